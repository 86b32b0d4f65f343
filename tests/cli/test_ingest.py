"""`palaver ingest`, without a server and beside one, on each of the stores."""

import asyncio
import signal
import subprocess
import sys
from pathlib import Path

import aiohttp
import pytest

from tests.cli.conftest import Command
from tests.knowledge.files import docx, paragraph, pdf
from tests.parts.llm import LLM
from tests.parts.palaver import StartServer
from tests.parts.process import bare_environment


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two documents that can be read, one of them deeper down, and what is hidden."""
    papers = tmp_path / "papers"
    (papers / "deep").mkdir(parents=True)
    (papers / ".git").mkdir()
    (papers / "whale.md").write_text("# Whales\n\nThe whale is the largest animal.\n" * 40)
    (papers / "deep" / "rolls.docx").write_bytes(docx(paragraph("Rolls are baked at six.")))
    (papers / ".git" / "config").write_text("hidden")
    (papers / ".hidden").write_text("hidden")
    return papers


@pytest.fixture
def admin(embedded: Command) -> Command:
    """Where there is somebody whose the collections are."""
    embedded("user", "add", "root", "--admin")
    return embedded


def test_a_folder_is_put_into_a_collection_that_is_made_for_it(palaver: Command, folder: Path) -> None:
    palaver("user", "add", "root", "--admin")
    done = palaver("ingest", str(folder), "--collection", "papers")
    assert (done.code, done.out) == (0, "papers: 2 new, 0 replaced, 0 unchanged, 0 failed.\n")


def test_running_it_again_changes_nothing_and_takes_what_has_changed(admin: Command, folder: Path) -> None:
    admin("ingest", str(folder), "--collection", "papers")
    assert admin("ingest", str(folder), "--collection", "papers").out == (
        "papers: 0 new, 0 replaced, 2 unchanged, 0 failed.\n"
    )
    (folder / "whale.md").write_text("Whales have gone.")
    (folder / "new.txt").write_text("New.")
    assert admin("ingest", str(folder), "--collection", "papers").out == (
        "papers: 1 new, 1 replaced, 1 unchanged, 0 failed.\n"
    )


def test_what_cannot_be_read_is_told_with_its_reason_and_the_rest_is_read(admin: Command, folder: Path) -> None:
    (folder / "half.docx").write_bytes(docx(paragraph("x" * 500))[:200])
    (folder / "empty.txt").write_text("")
    (folder / "large.txt").write_text("x" * 2_000_000)
    done = admin("ingest", str(folder), "--collection", "papers", PALAVER_KNOWLEDGE_DOCUMENT_MEGABYTES="1")
    assert done.code == 1
    assert done.out == "papers: 2 new, 0 replaced, 0 unchanged, 3 failed.\n"
    for line in ("half.docx: it is damaged.", "empty.txt: there is no text in it.", "large.txt: it is too large"):
        assert line in done.err


# `palaver`, which stands still once all of the tenth file is sent, and before that is said.
STANDING_STILL = """
import asyncio
import itertools
import sys

from palaver.cli import ingest, main

send, counted = ingest._Ingesting._send, itertools.count(1)

async def stand_still(*_):
    print("the tenth", file=sys.stderr, flush=True)
    await asyncio.Event().wait()

async def send_or_stand_still(self, found):
    if next(counted) == 10:
        type(self._documents).arrive = stand_still
    return await send(self, found)

ingest._Ingesting._send = send_or_stand_still
main()
"""

# `palaver`, where each file is another one as soon as it has been looked at.
CHANGING = """
from palaver.cli import ingest, main

look = ingest._to_digest

def look_and_change(path):
    digest = look(path)
    path.write_text("Whales have gone.")
    return digest

ingest._to_digest = look_and_change
main()
"""


def test_a_file_that_changes_while_it_is_taken_is_known_by_what_was_kept(
    admin: Command, data_dir: Path, folder: Path
) -> None:
    path = folder / "whale.md"
    before = path.read_text()
    settings = {"PALAVER_DATA_DIR": str(data_dir), "PALAVER_DISCOVER_PORTS": ""}
    command = [sys.executable, "-c", CHANGING, "ingest", str(path), "--collection", "papers"]
    subprocess.run(command, env={**bare_environment(), **settings}, check=True, capture_output=True)
    assert "1 unchanged" in admin("ingest", str(path), "--collection", "papers").out
    path.write_text(before)
    assert "1 replaced" in admin("ingest", str(path), "--collection", "papers").out


def test_names_that_nobody_sees_as_they_are_are_refused(admin: Command, folder: Path) -> None:
    (folder / "a\nb.txt").write_text("Two lines.")
    (folder / "\u202egnp.exe").write_text("Turned round.")
    done = admin("ingest", str(folder), "--collection", "papers")
    assert done.out == "papers: 2 new, 0 replaced, 0 unchanged, 2 failed.\n"
    assert "'\\u202egnp.exe': its name holds a control character" in done.err


def test_files_of_one_name_are_not_mixed_up(admin: Command, folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "whale.md"
    other.write_text("Another.")
    done = admin("ingest", str(folder), str(other), "--collection", "papers")
    assert done.code == 1
    assert "another file that was given is called whale.md, too" in done.err


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (("--overlap", "300"), 2, "--overlap can be half"),
        (("--user", "nobody"), 1, "There is no user 'nobody'."),
        (("--chunk-characters", "5"), 2, "not in the range"),
    ],
)
def test_what_cannot_be_done_is_refused_in_a_sentence(
    admin: Command, folder: Path, options: tuple[str, ...], code: int, said: str
) -> None:
    done = admin("ingest", str(folder), "--collection", "papers", *options)
    assert done.code == code
    assert said in done.err


def test_a_collection_is_its_users(embedded: Command, folder: Path) -> None:
    assert "There is no admin yet." in embedded("ingest", str(folder), "--collection", "papers").err
    embedded("user", "add", "ana")
    embedded("user", "add", "root", "--admin")
    assert embedded("ingest", str(folder), "--collection", "papers").code == 0
    assert embedded("ingest", str(folder), "--collection", "papers", "--user", "ana").out == (
        "papers: 2 new, 0 replaced, 0 unchanged, 0 failed.\n"
    )


def test_what_was_ended_in_the_middle_goes_on_where_it_was(admin: Command, data_dir: Path, folder: Path) -> None:
    for number in range(18):
        (folder / f"{number}.txt").write_text(f"Text {number}. " * 300)
    settings = {"PALAVER_DATA_DIR": str(data_dir), "PALAVER_DISCOVER_PORTS": ""}
    command = [sys.executable, "-c", STANDING_STILL, "ingest", str(folder), "--collection", "papers"]
    process = subprocess.Popen(command, env={**bare_environment(), **settings}, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    assert process.stderr.readline() == "20 files\n"
    assert process.stderr.readline() == "the tenth\n"
    process.send_signal(signal.SIGINT)
    assert process.communicate()[1] == "\nAborted!\n"
    done = admin("ingest", str(folder), "--collection", "papers")
    assert done.out == "papers: 11 new, 0 replaced, 9 unchanged, 0 failed.\n"


async def test_it_works_beside_a_server_and_makes_vectors(start_server: StartServer, folder: Path, llm: LLM) -> None:
    (folder / "a.pdf").write_bytes(pdf(["A page."]))
    server = await start_server(PALAVER_EMBEDDING_MODEL="vectors-1")
    said = await server.cli("ingest", str(folder), "--collection", "papers")
    assert said == "papers: 3 new, 0 replaced, 0 unchanged, 0 failed.\n"
    # By whichever of the two was first, and by one of them alone: what comes later is asked for after it.
    (folder / "later.txt").write_text("Another page.")
    await server.cli("ingest", str(folder), "--collection", "papers")
    async with asyncio.timeout(60):
        while "Another page." not in (texts := [text for one in await llm.record() for text in one.body["input"]]):
            pass
    assert texts.count("A page.") == 1
    async with aiohttp.ClientSession() as client, client.get(f"{server.url}/health") as response:
        assert response.status == 200


async def test_another_model_than_the_one_that_is_searched_is_left_to_servers(
    admin: Command, folder: Path, llm: LLM
) -> None:
    def ingest(model: str) -> str:
        (folder / "new.txt").write_text(model)
        arguments = ("ingest", str(folder), "--collection", "papers")
        return admin(*arguments, PALAVER_EMBEDDING_MODEL=model, PALAVER_EMBEDDING_URL=llm.url).err

    assert "vectors" not in await asyncio.to_thread(ingest, "vectors-1")
    asked = len(await llm.record())
    said = "No vectors were made: those of vectors-1 are searched, and PALAVER_EMBEDDING_MODEL is vectors-2 here."
    assert said in await asyncio.to_thread(ingest, "vectors-2")
    assert len(await llm.record()) == asked
