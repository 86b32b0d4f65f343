"""How well passages are found, on a question set in English, German and Italian:
`.venv/bin/python bench/retrieval.py [--postgres] [--embedding-url URL --model NAME [--key KEY]]`.

Full text alone, vectors alone and both are measured with each embedder there is: the stand-in's hashes; an encoder that
is to be had as a package, in a virtual environment of its own; and any server you name.
"""

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

# Run by its path, Python looks for modules in this folder only.
sys.path.insert(0, str(Path(__file__).parents[1]))

from msgspec import Struct
from tests.parts.postgres import Postgres
from tests.parts.run import Run, open_run

from bench.embedding_server import MODEL as ENCODER
from bench.finding import Figures, Found, Library, Way, open_library, to_figures
from bench.question_set import FOLDER, KINDS, LANGUAGES, Question, asked_later, read_documents, read_questions
from bench.venvs import make_embedders_venv
from palaver.knowledge.embeddings import EmbeddingOptions, EmbeddingServer
from palaver.llm_server import Options
from palaver.llm_server import running as running_llm
from palaver.store import StoreOptions

HASHES = "palaver-hash-384"
SERVER = Path(__file__).with_name("embedding_server.py")

# The encoder's vectors of the question set, so that tests can do without it.
WRITTEN = FOLDER / "vectors.bin"

Belongs = Callable[[Question], bool]


class Embedder(Struct, frozen=True):
    title: str
    options: EmbeddingOptions


class Column(Struct, frozen=True):
    title: str
    found: Sequence[Found]


async def measure(options: StoreOptions, embedders: Sequence[Embedder]) -> Sequence[Column]:
    """In a new database."""
    questions = read_questions()
    asked = [*questions, *asked_later(questions)]
    async with open_library(options, read_documents()) as library:
        columns = [Column("full text", await library.ask(asked, Way.WORDS))]
        for embedder in embedders:
            columns += await _measure_with(library, asked, embedder)
        return columns


async def _measure_with(library: Library, asked: Sequence[Question], embedder: Embedder) -> Sequence[Column]:
    async with EmbeddingServer(embedder.options) as server:
        vectors = await library.embed(server, asked)
    return (
        Column(embedder.title, await library.ask(asked, Way.MEANING, vectors)),
        Column(f"full text and {embedder.title}", await library.ask(asked, Way.BOTH, vectors)),
    )


@asynccontextmanager
async def hashing() -> AsyncIterator[Embedder]:
    async with running_llm(Options(port=0, record=0)) as llm:
        yield Embedder("hashes", EmbeddingOptions(url=llm.url, model=HASHES))


@asynccontextmanager
async def encoding(python: str | Path, *arguments: str | Path) -> AsyncIterator[Embedder]:
    """The encoder, or what was written of it, served by this Python."""
    process = await asyncio.create_subprocess_exec(python, SERVER, *arguments, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    try:
        line = await process.stdout.readline()
        if not line:
            raise RuntimeError("The encoder has not started.")
        yield Embedder("encoder", EmbeddingOptions(url=line.decode().strip(), model=ENCODER))
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


def to_table(columns: Sequence[Column]) -> str:
    """Recall among the first five and mean reciprocal rank, in hundredths."""
    lines = [["", "questions", *(column.title for column in columns)]]
    lines.append(["---"] * len(lines[0]))
    for title, belongs in rows():
        figures = [to_figures([one for one in column.found if belongs(one.question)]) for column in columns]
        lines.append([title, str(figures[0].questions), *map(to_cell, figures)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def rows() -> Sequence[tuple[str, Belongs]]:
    """What each is called, and which questions belong to it."""
    kinds = [(f"`{kind}`", _of_kind(kind)) for kind in KINDS if kind != "none"]
    languages = [(f"asked in `{language}`", _in_language(language)) for language in LANGUAGES]
    later: Belongs = _of_kind("asked_later")
    return [*kinds, *languages, ("**all**", lambda question: not later(question)), ("`asked_later`", later)]


def to_cell(figures: Figures) -> str:
    return f"{100 * figures.recall:.0f}, {100 * figures.mrr:.0f}"


def _of_kind(kind: str) -> Belongs:
    return lambda question: question.kind == kind


def _in_language(language: str) -> Belongs:
    return lambda question: question.language == language and question.kind != "asked_later"


async def main() -> None:
    parser = argparse.ArgumentParser(description="How well passages are found. Prints a table.")
    parser.add_argument("--postgres", action="store_true", help="keep them in PostgreSQL")
    parser.add_argument(
        "--written", action="store_true", help="take the encoder's vectors from the question set's file"
    )
    parser.add_argument("--write", action="store_true", help="write that file")
    parser.add_argument("--embedding-url", help="an embedding server of yours")
    parser.add_argument("--model", help="the model to ask it for")
    parser.add_argument("--key", help="the key it wants")
    arguments = parser.parse_args()
    if bool(arguments.embedding_url) != bool(arguments.model):
        parser.error("--embedding-url and --model go together.")
    own = []
    if arguments.model:
        options = EmbeddingOptions(url=arguments.embedding_url, model=arguments.model, key=arguments.key)
        own = [Embedder(arguments.model, options)]
    if arguments.written:
        encoder = encoding(sys.executable, "--read", WRITTEN)
    else:
        encoder = encoding(make_embedders_venv(), *(("--write", WRITTEN) if arguments.write else ()))
    with open_run() as run:
        async with hashing() as hashes, encoder as packaged:
            columns = await measure(_to_options(run, arguments.postgres), [hashes, packaged, *own])
    print(to_table(columns))


def _to_options(run: Run, on_postgres: bool) -> StoreOptions:
    url = None
    if on_postgres:
        postgres = Postgres(run)
        url = postgres.url(postgres.create_database())
    return StoreOptions(run.make_folder("data"), url)


if __name__ == "__main__":
    asyncio.run(main())
