"""Pages of docs/ as tests read them: what they tell to type, what it prints, and what their tables say."""

import asyncio
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.parts.palaver import Server
from tests.parts.process import bare_environment

DOCS = Path(__file__).parents[2] / "docs"

# What the commands of the pages take for granted: the palaver that is tested comes first.
_PATH = f"{Path(sys.executable).parent}:{bare_environment()['PATH']}"


@dataclass(frozen=True)
class Command:
    """A line of a page that begins with `$`, with those that it goes on in, and what stands below it."""

    line: str
    prints: str


def read_page(name: str) -> str:
    return (DOCS / name).read_text()


def section(page: str, title: str) -> str:
    """What stands below the heading, without those below it that are as high."""
    level, _, rest = re.split(rf"^(##+) ({re.escape(title)})\n", page, maxsplit=1, flags=re.MULTILINE)[1:]
    return re.split(rf"^#{{2,{len(level)}}} ", rest, maxsplit=1, flags=re.MULTILINE)[0]


def commands(page: str) -> Iterator[Command]:
    for line, prints in re.findall(r"^    \$ ((?:.*\\\n)*.*)\n((?:    (?!\$ ).*\n)*)", page, re.MULTILINE):
        yield Command(line, re.sub("^    ", "", prints, flags=re.MULTILINE))


def rows(page: str) -> Iterator[list[str]]:
    """The cells of all rows of all tables, their heads included."""
    for line in re.findall(r"^\|(.*)\|$", page, re.MULTILINE):
        yield [cell.strip() for cell in line.split("|")]


def sentences(page: str) -> Iterator[str]:
    """All of them, on one line each, without headings, tables and what is indented; a colon ends one, too."""
    prose = re.sub(r"^(?:    .*|#+ .*|\|.*\|)$", "", page, flags=re.MULTILINE)
    for block in re.split(r"\n\s*\n|\n(?=- )", prose):
        for sentence in re.split(r"(?<=[.:]) (?=[A-Z`*])", " ".join(block.split()).removeprefix("- ")):
            if sentence:
                yield sentence


def quoted(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


async def run(line: str, server: Server, environment: Mapping[str, str]) -> str:
    """What it prints, with `server` in place of the one that the pages ask."""
    process = await asyncio.create_subprocess_shell(
        line.replace("http://127.0.0.1:8000", server.url),
        stdout=asyncio.subprocess.PIPE,
        env={**server.environment, "PATH": _PATH, **environment},
    )
    printed, _ = await process.communicate()
    return printed.decode().replace("\r\n", "\n").rstrip()


async def check_commands(page: str, server: Server, **environment: str) -> int:
    """Each command prints what stands below it, where `…` is anything. How many there are."""
    known = {**environment}
    for name, line in re.findall(r"^    export (\w+)=(\$\(.*\))$", page, re.MULTILINE):
        known[name] = await run(f'printf %s "{line}"', server, known)
        assert known[name]
    found = list(commands(page))
    for command in found:
        expected = re.escape(command.prints.rstrip()).replace("…", ".*")
        printed = await run(command.line, server, known)
        assert re.fullmatch(expected, printed, re.DOTALL), f"{command.line}\n{printed}"
    return len(found)
