"""What is promised and tried at full size: the tests marked `proof`, and how each of them ended when last tried.

`make prove` keeps every end in docs/promises.jsonl, one line for each case; of that scripts/promises.py makes
docs/promises.md. What was not tried this time keeps its last end.
"""

import ast
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
TRIES = ROOT / "docs" / "promises.jsonl"

# `measured("kills", 200, "")`: what was tried or measured, how much of it, in what.
Measured = Callable[[str, float | int | str, str], None]

Test = ast.FunctionDef | ast.AsyncFunctionDef

# What a test may be marked with, and what the page calls it; in its order.
GROUPS = {
    "words": "Nothing said is lost or doubled",
    "streams": "Streams, and coming back",
    "money": "Limits and money",
    "people": "People, and reaching them",
    "knowledge": "Knowledge",
    "bots": "What the bot sees and says",
    "out": "What comes in and what goes out",
    "security": "Security",
    "faults": "Faults",
    "load": "Load and size",
    "operating": "Operating it",
}


@dataclass(frozen=True)
class Promise:
    """A test that is marked `@pytest.mark.proof(group)`, or stands in a file that is."""

    test: str
    group: str
    # Its name as a sentence, and the first line of its docstring.
    words: str
    more: str


@dataclass(frozen=True)
class Figure:
    what: str
    value: float | int | str
    unit: str


@dataclass(frozen=True)
class Try:
    """How one case of a promise ended when it was last tried at full size."""

    case: str
    held: bool
    date: str
    seconds: float
    seed: str
    # Of the machine in the minute before it ended.
    load: float
    figures: tuple[Figure, ...]

    @property
    def test(self) -> str:
        return test_of(self.case)

    @property
    def parameters(self) -> str:
        return self.case.removeprefix(self.test).strip("[]")


def test_of(case: str) -> str:
    """`tests/a.py::test_b` for `tests/a.py::test_b[sqlite]`."""
    return case.partition("[")[0]


# What is promised


@cache
def find_promises(root: Path = ROOT) -> Sequence[Promise]:
    """All promises, in the order of their files. They are looked for once."""
    return [promise for file in _test_files(root) for promise in _promises_in(file, str(file.relative_to(root)))]


def _promises_in(file: Path, name: str) -> Iterator[Promise]:
    source = file.read_text()
    # To read all files takes seconds, and each worker of a run does it.
    if "proof" not in source:
        return
    module = ast.parse(source)
    of_all = next((group for node in module.body if (group := _group_of_file(node)) is not None), None)
    for node in _tests_in(module):
        own = next((group for mark in node.decorator_list if (group := _group(mark)) is not None), of_all)
        if own is not None:
            yield Promise(f"{name}::{node.name}", own, _sentence(node.name), _first_line(node))


def find_unmarked(root: Path = ROOT) -> list[str]:
    """Tests that have a full size, or measure something, and do not say what they prove."""
    promised = {promise.test for promise in find_promises(root)}
    return [
        test
        for file in _test_files(root)
        if any(word in (source := file.read_text()) for word in ("prove", "measured", "given"))
        for node in _tests_in(ast.parse(source))
        if (test := f"{file.relative_to(root)}::{node.name}") not in promised and _has_a_full_size(node)
    ]


def _has_a_full_size(node: Test) -> bool:
    asked = {argument.arg for argument in (*node.args.args, *node.args.kwonlyargs)}
    return bool(asked & {"prove", "measured"}) or any(_is_given(mark) for mark in node.decorator_list)


def _is_given(mark: ast.expr) -> bool:
    """Of hypothesis."""
    return isinstance(mark, ast.Call) and isinstance(mark.func, ast.Name) and mark.func.id == "given"


def _test_files(root: Path) -> list[Path]:
    return sorted((root / "tests").rglob("test_*.py"))


def _tests_in(module: ast.Module) -> Iterator[Test]:
    for node in module.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            yield node


def _group_of_file(node: ast.stmt) -> str | None:
    match node:
        case ast.Assign(targets=[ast.Name(id="pytestmark")], value=ast.List(elts=marks)):
            return next((group for mark in marks if (group := _group(mark)) is not None), None)
        case ast.Assign(targets=[ast.Name(id="pytestmark")], value=mark):
            return _group(mark)
        case _:
            return None


def _group(mark: ast.expr) -> str | None:
    match mark:
        case ast.Call(func=ast.Attribute(attr="proof"), args=[ast.Constant(value=str(group))]):
            return group
        case _:
            return None


# Whose spelling a test's name loses.
_NAMES = {
    word.lower(): word for word in ("API", "APIs", "Firebase", "HTTP", "JSON", "LLM", "PostgreSQL", "Redis", "UUID")
} | {"postgres": "PostgreSQL"}


def _sentence(name: str) -> str:
    words = [_NAMES.get(word, word) for word in name.removeprefix("test_").split("_")]
    return " ".join([words[0][0].upper() + words[0][1:], *words[1:]])


def _first_line(node: Test) -> str:
    """Its docstring's first paragraph, on one line."""
    return re.sub(r"\s+", " ", (ast.get_docstring(node) or "").split("\n\n")[0]).strip()


# How it was tried


def read_tries(file: Path = TRIES) -> list[Try]:
    if not file.exists():
        return []
    return [_to_try(json.loads(line)) for line in file.read_text().splitlines()]


def keep_tries(tries: Iterable[Try], file: Path = TRIES) -> None:
    """Put these in the place of earlier ones of the same cases; all others stay as they were."""
    kept = {one.case: one for one in (*read_tries(file), *tries)}
    lines = [json.dumps(asdict(kept[case]), ensure_ascii=False) for case in sorted(kept)]
    # Whoever reads it meanwhile, or ends this, is not to have a part of it.
    written = file.with_suffix(".new")
    written.write_text("".join(f"{line}\n" for line in lines))
    written.replace(file)


def _to_try(fields: dict[str, Any]) -> Try:
    figures = tuple(Figure(**figure) for figure in fields.pop("figures"))
    return Try(**fields, figures=figures)
