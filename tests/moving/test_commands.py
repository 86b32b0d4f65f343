"""`palaver import` and `palaver export` as people run them: beside a server, killed, with files of any size."""

import asyncio
import json
import os
import pty
import random
import re
import signal
import stat
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from tests.cli.conftest import Command
from tests.journeys.client import open_client
from tests.moving.bringing import EXAMPLE, SESSION
from tests.parts.palaver import Database, Server
from tests.parts.process import bare_environment
from tests.promises import Measured

PALAVER = str(Path(sys.executable).with_name("palaver"))
MEGABYTE = 1_000_000
MOST_MEMORY = 200 * MEGABYTE

# What the kernel counts for a child that has ended holds what its parent had, too.
MEASURED = """
import atexit, pathlib, sys
from palaver.cli import main
atexit.register(lambda: sys.stderr.write(pathlib.Path("/proc/self/status").read_text()))
main()
"""


@pytest.fixture
def example(tmp_path: Path) -> Path:
    file = tmp_path / "example.json"
    file.write_text(EXAMPLE)
    return file


def write_export(file: Path, size: int, *, sessions: int | None = None) -> int:
    """A file of about that size, as Firebase writes it: in the order of the keys. Gives how many entries it has."""
    some = random.Random(7)
    sessions = sessions or size // 4000
    of_each = size // sessions // 210
    with file.open("w") as out:
        out.write('{"connections":{},"userSessions":{')
        for number in range(sessions):
            out.write(f'{"," * bool(number)}"s{number}":{{"conversation_history":{{')
            for place in range(of_each):
                words, role = "word " * some.randint(5, 40), ("user", "assistant")[place % 2]
                entry = {"content": words, "role": role, "timestamp": 1_700_000_000_000 + place}
                out.write(f'{"," * bool(place)}"-N{place:018}":{json.dumps(entry)}')
            out.write(f'}},"status":"active","user_id":"u{number % 500}"}}')
        out.write("}}")
    return sessions * of_each


def test_example_twice_is_all_unchanged(palaver: Command, example: Path) -> None:
    assert palaver("import", "firebase", str(example)).code == 0
    done = palaver("import", "firebase", str(example))
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines() == [
        "templates: 0 added, 1 unchanged, 0 skipped",
        "userSessions: 0 added, 1 unchanged, 0 skipped",
        "conversation_history: 0 added, 2 unchanged, 0 skipped",
        "connections: 0 added, 1 unchanged, 0 skipped",
        "messages: 0 added, 1 unchanged, 0 skipped",
    ]


def test_files_and_standard_streams_will_do(embedded: Command, example: Path, tmp_path: Path) -> None:
    assert "1 added" in embedded("import", "firebase", "-", "--dry-run", stdin=EXAMPLE).out
    embedded("import", "firebase", str(example), "--app", "shop")
    file = tmp_path / "out.json"
    file.write_text("old")
    file.chmod(0o644)
    assert embedded("export", "firebase", str(file), "--app", "shop").code == 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert embedded("export", "firebase", "-", "--app", "shop").out == file.read_text()
    assert embedded("export", str(file)).code == 0
    assert embedded("import", "-", stdin=file.read_text()).code == 0
    assert sorted(one.name for one in tmp_path.iterdir()) == ["data", "example.json", "out.json"]


@pytest.mark.parametrize("words", [("import", "firebase"), ("export",), ("import",), ("export", "firebase")])
def test_terminal_sees_how_far_it_has_come(embedded: Command, example: Path, tmp_path: Path, words: list[str]) -> None:
    embedded("import", "firebase", str(example))
    file = {"firebase": example}.get(words[-1], tmp_path / "lines")
    embedded("export", str(tmp_path / "lines"))
    environment = {**bare_environment(), "PALAVER_DATA_DIR": str(tmp_path / "data"), "PALAVER_DISCOVER_PORTS": ""}
    ours, theirs = pty.openpty()
    done = subprocess.run(
        [PALAVER, *words, str(file)], env=environment, stdout=subprocess.PIPE, stderr=theirs, check=True
    )
    os.close(theirs)
    seen = read_out(ours)
    os.close(ours)
    assert re.search("100%|lines are written", seen), seen
    assert "100%" not in done.stdout.decode()


def read_out(terminal: int) -> str:
    """All that was written to it. The other side is closed: where it ends, the kernel says that it is broken."""
    parts: list[bytes] = []
    with suppress(OSError):
        while part := os.read(terminal, 10_000):
            parts.append(part)
    return b"".join(parts).decode()


def test_what_cannot_be_read_or_written_is_told_and_leaves_nothing(embedded: Command, tmp_path: Path) -> None:
    broken = tmp_path / "broken.json"
    broken.write_text(EXAMPLE[:-9])
    done = embedded("import", "firebase", str(broken))
    assert (done.code, done.out) == (1, "")
    assert "is no readable JSON object" in done.err
    assert embedded("import", str(broken)).code == 1
    assert embedded("export", "firebase", str(tmp_path / "x.json")).code == 1
    assert embedded("export", "--user", "nobody", str(tmp_path / "x.json")).code == 1
    assert embedded("export", str(tmp_path / "none" / "x.json")).code == 1
    assert embedded("user", "list").out.count("\n") == 1


async def test_session_goes_on_beside_a_server_in_every_api(server: Server, example: Path) -> None:
    await server.cli("import", "firebase", str(example))
    token = (await server.cli("token", "create", "--app", "firebase")).strip()
    async with open_client(server, Authorization=f"Bearer {token}") as app:
        state = (await app.get(f"/api/v1/chatbot/session/{SESSION}")).body
        assert (state["message_count"], state["template_id"], state["user_id"]) == (1, "pirate", "u-81")
        answer = await app.post(f"/api/v1/chatbot/session/{SESSION}/message", message="[[text=Under the palm.]]Where?")
        assert (answer.status, answer.body["message_count"]) == (200, 2)
        messages = (await app.get(f"/ai-chat/api/sessions/{SESSION}/")).body["messages"]
        said = [(one["role"], one["content"]) for one in messages]
        assert said[:2] == [("user", "Ahoy"), ("assistant", "Arr!")]
        assert [one["number"] for one in messages] == [1, 2, 3, 4]
        assert len(said) == 4
    # A newer export of the old server, while this one runs.
    newer = json.loads(EXAMPLE)
    newer["userSessions"][SESSION]["conversation_history"].append({"role": "user", "content": "Late"})
    told = await server.cli("import", "firebase", "-", stdin=json.dumps(newer))
    assert "conversation_history: 1 added, 2 unchanged, 0 skipped" in told


async def test_export_of_a_server_that_was_used_is_the_same_after_it_was_brought_into_an_empty_one(
    server: Server, example: Path, embedded: Command, tmp_path: Path
) -> None:
    admin, alice = await server.token("admin"), await server.token("alice")
    bob = await server.token("bob")
    await server.cli("import", "firebase", str(example))
    papers = tmp_path / "paper.md"
    papers.write_text("# Whales\n\nThe whale is the largest animal.\n" * 20)
    await server.cli("ingest", str(papers), "--collection", "papers", "--user", "alice")
    async with open_client(server) as nobody:
        for path, fields in (
            ("/api/v1/settings/universal-rules", {"rules": "Always be kind to people."}),
            ("/api/admin/limits/alice", {"turns_a_minute": 1000}),
        ):
            assert (await nobody.bearing(admin).send("PUT", path, fields)).status == 200
        person = nobody.bearing(alice)
        made = await person.post("/api/v1/personalities/", name="Poet", personalityPrompt="You answer in verse only.")
        assert made.status == 200, made.text
        await person.send("PUT", "/api/v1/personalities/poet", {"description": "Rhymes."})
        presets = (await person.get("/ai-chat/api/presets/")).body
        [poet] = [one for one in presets if one["name"] == "Poet"]
        shared = await person.send("PUT", f"/ai-chat/api/presets/{poet['id']}/shares/", {"usernames": ["bob"]})
        assert shared.status == 200, shared.text
        for who in (person, nobody.bearing(bob)):
            session = (await who.post("/api/v1/chatbot/session", user_id="me", template_id="poet")).body["session_id"]
            for text in ("hello", "[[fault=cut]]broken", "again"):
                await who.post(f"/api/v1/chatbot/session/{session}/message", message=text, client_message_id=text)
        await person.post("/ai-chat/api/sessions/", title="Nothing yet", system_prompt="Be brief.")
    await server.stop()
    first, second = tmp_path / "first.jsonl", tmp_path / "second.jsonl"
    await server.cli("export", str(first), "--with-secrets")
    kinds = set(re.findall(r'^\{"kind":"(\w+)"', first.read_text(), re.MULTILINE))
    assert {
        "user", "token", "limit", "rules", "collection", "document", "document_part", "preset", "preset_version",
        "preset_share", "conversation", "message", "participant", "ledger",
    } <= kinds  # fmt: skip
    brought = await asyncio.to_thread(embedded, "import", str(first))
    assert "skipped line" not in brought.out
    await asyncio.to_thread(embedded, "export", str(second), "--with-secrets")
    assert second.read_bytes() == first.read_bytes()
    alone = (await server.cli("export", "--user", "alice", "-")).split()
    assert "bob" not in " ".join(alone)


@pytest.mark.proof("out")
@pytest.mark.parametrize("sessions", [None, 1], ids=["many sessions", "one session"])
def test_memory_does_not_grow_with_the_file(
    tmp_path: Path, prove: bool, measured: Measured, sessions: int | None
) -> None:
    file = tmp_path / "large.json"
    entries = write_export(file, (200 if prove else 5) * MEGABYTE, sessions=sessions)
    environment = {**bare_environment(), "PALAVER_DATA_DIR": str(tmp_path / "data"), "PALAVER_DISCOVER_PORTS": ""}
    command = [sys.executable, "-c", MEASURED, "import", "firebase", str(file)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert f"conversation_history: {entries} added, 0 unchanged, 0 skipped" in done.stdout
    most = re.search(r"VmHWM:\s+(\d+) kB", done.stderr)
    assert most is not None
    measured("brought in", file.stat().st_size // MEGABYTE, "MiB")
    measured("memory at most", int(most[1]) // 1024, "MiB")
    assert int(most[1]) * 1024 < MOST_MEMORY


@pytest.mark.proof("out")
def test_second_run_finishes_what_a_kill_has_broken_off(
    tmp_path: Path, database: Database, palaver: Command, dice: random.Random, prove: bool, measured: Measured
) -> None:
    file, whole = tmp_path / "export.json", tmp_path / "whole"
    entries = write_export(file, MEGABYTE)
    environment = {
        **bare_environment(),
        "PALAVER_DATA_DIR": str(tmp_path / "data"),
        "PALAVER_DISCOVER_PORTS": "",
        **database.environment,
    }
    kills = 40 if prove else 2
    for _ in range(kills):
        running = subprocess.Popen(
            [PALAVER, "import", "firebase", str(file)], env=environment, stdout=subprocess.DEVNULL
        )
        try:
            # That it is killed at any moment is what is tested: nothing tells the moment.
            running.wait(dice.uniform(0.2, 1.2))
        except subprocess.TimeoutExpired:
            running.send_signal(signal.SIGKILL)
            running.wait()
    done = palaver("import", "firebase", str(file))
    assert done.code == 0
    counted = re.search(r"conversation_history: (\d+) added, (\d+) unchanged, 0 skipped", done.out)
    assert counted is not None
    measured("kills", kills, "")
    measured("entries", entries, "")
    assert int(counted[1]) + int(counted[2]) == entries
    assert f"conversation_history: 0 added, {entries} unchanged" in palaver("import", "firebase", str(file)).out
    # Each is whole: none lost, none twice, counted as they are.
    palaver("export", "firebase", str(whole))
    sessions = json.loads(whole.read_text())["userSessions"]
    original = json.loads(file.read_text())["userSessions"]
    told = sorted([one["content"] for one in session["conversation_history"]] for session in sessions.values())
    assert told == sorted([one["content"] for one in one["conversation_history"].values()] for one in original.values())
    assert all(session["message_count"] == len(session["conversation_history"]) // 2 for session in sessions.values())
