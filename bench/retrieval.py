"""How well passages are found, on a question set in English, German and Italian: `.venv/bin/python bench/retrieval.py
[--postgres] [--embedding-url URL --model NAME]`.

Full text alone, vectors alone and both are measured with each embedder there is: the stand-in's hashes, a model that is
to be had as a package, in a virtual environment of its own (`--hashes-only` leaves it out), and any server you name.
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

from bench.embedding_server import MODEL as PACKAGED
from bench.finding import Figures, Found, Library, Way, open_library, to_figures
from bench.question_set import KINDS, LANGUAGES, Question, read_documents, read_questions
from bench.venvs import make_embedders_venv
from palaver.knowledge.embeddings import EmbeddingOptions, EmbeddingServer
from palaver.llm_server import Options
from palaver.llm_server import running as running_llm
from palaver.store import StoreOptions

HASHES = "palaver-hash-384"
SERVER = Path(__file__).with_name("embedding_server.py")

Belongs = Callable[[Question], bool]


class Column(Struct, frozen=True):
    title: str
    found: Sequence[Found]


async def measure(options: StoreOptions, packages: Path | None, own: EmbeddingOptions | None) -> Sequence[Column]:
    """`packages`: the Python that has the packaged model."""
    documents, questions = read_documents(), read_questions()
    async with open_library(options, documents) as library:
        columns = [Column(Way.WORDS, await library.ask(questions, Way.WORDS))]
        async with running_llm(Options(port=0, record=0)) as llm:
            columns += await measure_with(library, questions, EmbeddingOptions(url=llm.url, model=HASHES))
        if packages is not None:
            async with serving(packages) as url:
                columns += await measure_with(library, questions, EmbeddingOptions(url=url, model=PACKAGED))
        if own is not None:
            columns += await measure_with(library, questions, own)
        return columns


async def measure_with(library: Library, questions: Sequence[Question], options: EmbeddingOptions) -> list[Column]:
    say(f"Asking with {options.model}.")
    async with EmbeddingServer(options) as server:
        vectors = await library.embed(server, questions)
    ways = (Way.MEANING, Way.BOTH)
    return [Column(f"{options.model}: {way}", await library.ask(questions, way, vectors)) for way in ways]


@asynccontextmanager
async def serving(python: Path) -> AsyncIterator[str]:
    """The URL of the packaged model."""
    process = await asyncio.create_subprocess_exec(python, SERVER, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    try:
        line = await process.stdout.readline()
        if not line:
            raise RuntimeError("The packaged model has not started.")
        yield line.decode().strip()
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
    kinds = [(kind.replace("_", "-"), _of_kind(kind)) for kind in KINDS if kind != "none"]
    languages = [(f"asked in {language}", _in_language(language)) for language in LANGUAGES]
    return [*kinds, *languages, ("**all**", lambda _: True)]


def to_cell(figures: Figures) -> str:
    return f"{100 * figures.recall:.0f}, {100 * figures.mrr:.0f}"


def _of_kind(kind: str) -> Belongs:
    return lambda question: question.kind == kind


def _in_language(language: str) -> Belongs:
    return lambda question: question.language == language


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


async def main() -> None:
    parser = argparse.ArgumentParser(description="How well passages are found. Prints a table.")
    parser.add_argument("--postgres", action="store_true", help="keep them in PostgreSQL")
    parser.add_argument("--hashes-only", action="store_true", help="leave the packaged model out")
    parser.add_argument("--embedding-url", help="an embedding server of yours")
    parser.add_argument("--model", help="the model to ask it for")
    parser.add_argument("--key", help="the key it wants")
    arguments = parser.parse_args()
    if bool(arguments.embedding_url) != bool(arguments.model):
        parser.error("--embedding-url and --model go together.")
    own = None
    if arguments.model:
        own = EmbeddingOptions(url=arguments.embedding_url, model=arguments.model, key=arguments.key)
    with open_run() as run:
        packages = None if arguments.hashes_only else make_embedders_venv()
        columns = await measure(_to_options(run, arguments.postgres), packages, own)
    print(to_table(columns))


def _to_options(run: Run, on_postgres: bool) -> StoreOptions:
    url = None
    if on_postgres:
        postgres = Postgres(run)
        url = postgres.url(postgres.create_database())
    return StoreOptions(run.make_folder("data"), url)


if __name__ == "__main__":
    asyncio.run(main())
