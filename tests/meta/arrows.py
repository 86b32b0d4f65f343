"""Which part of Palaver may know which other, checked against the source itself."""

import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

Names = frozenset[str]

_SIBLINGS = ("api", "bots", "store", "bus", "knowledge", "notify", "moving")
# "" is palaver/__init__.py, which knows the version and nothing else.
_KNOWS: dict[str, Names] = {
    "": frozenset(),
    "chat": frozenset({"chat", "watching", ""}),
    **{name: frozenset({name, "chat", "watching", ""}) for name in _SIBLINGS},
    "api": frozenset({"api", "chat", "guards", "watching", ""}),
    "settings": frozenset({"kinds"}),
    "kinds": frozenset(),
    # What every answer tells a browser, those that no API gives as well.
    "guards": frozenset(),
    # What each part takes of the settings.
    "options": frozenset({"settings", "chat", "bots", "knowledge", "notify", "store"}),
    # Like logging: whoever has something to count or to trace may, and it knows nobody.
    "watching": frozenset({"watching", ""}),
    "llm_server": frozenset({"llm_server"}),
    "__main__": frozenset({"cli"}),
    # It runs the app as a process, and says in plain words why that cannot be.
    "serve": frozenset(
        {"serve", "app", "options", "guards", "bots", "bus", "settings", "store", "chat", "watching", ""}
    ),
}
_KNOW_ALL: Names = frozenset({"app", "cli"})
_KEPT_OUT_OF_CHAT: Names = frozenset(
    {"starlette", "uvicorn", "aiohttp", "apsw", "sqlite3", "asyncpg", "redis", "openai", "fastapi", "sqlalchemy"}
)
# What reads hostile files in a process of its own: whoever took it over is to find as little as can be.
_READS_FILES = re.compile(r"knowledge/(?:formats/.*|blocks|child|cutting|orders|unreadable)\.py")
_KEPT_OUT_OF_FILES: Names = frozenset({"aiohttp", "asyncio", "http", "socket", "ssl", "subprocess", "urllib"})
_NEED_NOTHING: Names = frozenset({"settings", "kinds", "guards"})
_READS_ENVIRONMENT = "settings"
_SPEAKS_SQL = "store"

# Keywords in one case throughout: "Select a model from the list" is a sentence, "SELECT name FROM model" is not.
_SQL = re.compile(
    r"\b(?:SELECT\b.*\bFROM|INSERT (?:OR \w+ )?INTO|UPDATE\s+\S+\s+SET|DELETE FROM|(?:CREATE|ALTER|DROP) TABLE)\b"
    r"|^\s*(?:select\b.*\bfrom|insert (?:or \w+ )?into|update\s+\S+\s+set|delete from|(?:create|alter|drop) table)\b",
    re.DOTALL,
)


@dataclass(frozen=True)
class Import:
    """A module that a file imports, by whatever kind of import, wherever in the file."""

    module: str
    line: int

    @property
    def top(self) -> str:
        return self.module.partition(".")[0]

    @property
    def area(self) -> str:
        """The part of Palaver that it is in."""
        return [*self.module.split("."), ""][1]


def find_wrong_arrows(package: Path) -> list[str]:
    """One sentence for each import, environment read or SQL statement in `package` that stands where it may not."""
    return [fault for file in sorted(package.rglob("*.py")) for fault in _check_file(package, file)]


def _check_file(package: Path, file: Path) -> Iterator[str]:
    tree = ast.parse(file.read_text(), filename=str(file))
    place = file.relative_to(package)
    area = _to_area(place)
    if area not in _KNOWS and area not in _KNOW_ALL:
        yield f"{place}: no rule says what {area!r} may import; give it one in tests/meta/arrows.py"
        return
    if area not in _KNOW_ALL:
        for imported in _find_imports(tree, package, file):
            if fault := _check_import(area, imported):
                yield f"{place}:{imported.line}: {fault}"
            elif imported.top in _KEPT_OUT_OF_FILES and _READS_FILES.fullmatch(place.as_posix()):
                yield f"{place}:{imported.line}: imports {imported.module}: what reads files talks to nobody"
    if area != _READS_ENVIRONMENT:
        yield from (f"{place}:{line}: reads the environment; only settings.py may" for line in _find_reads(tree))
    if area != _SPEAKS_SQL:
        yield from (f"{place}:{line}: speaks SQL; only store/ may" for line in _find_sql(tree))


def _check_import(area: str, imported: Import) -> str | None:
    if imported.top == "palaver":
        return None if imported.area in _KNOWS[area] else f"{area or 'palaver'} imports {imported.module}"
    if area == "chat" and imported.top in _KEPT_OUT_OF_CHAT:
        return f"chat imports {imported.module}: the core knows no HTTP, SQL, Redis or vendor"
    if area in _NEED_NOTHING and imported.top not in sys.stdlib_module_names and imported.top != "msgspec":
        return f"{area} imports {imported.module}: it needs the standard library and msgspec alone"
    return None


def _to_area(place: Path) -> str:
    area = place.parts[0].removesuffix(".py")
    return "" if area == "__init__" else area


def _find_imports(tree: ast.Module, package: Path, file: Path) -> Iterator[Import]:
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from (Import(name.name, node.lineno) for name in names)
            case ast.ImportFrom(module=module, names=names, level=level):
                base = _to_absolute(module, level, package, file)
                # `from palaver import bots` imports palaver.bots.
                from_root = base == "palaver"
                for name in names:
                    known = from_root and _is_module(package, name.name)
                    yield Import(f"{base}.{name.name}" if known else base, node.lineno)
            case ast.Call(func=func, args=[ast.Constant(value=str(module)), *_]) if _is_called(
                func, {"import_module", "__import__"}
            ):
                yield Import(module, node.lineno)


def _to_absolute(module: str | None, level: int, package: Path, file: Path) -> str:
    if level == 0:
        return module or ""
    folder = file.parent
    for _ in range(level - 1):
        folder = folder.parent
    return ".".join(["palaver", *folder.relative_to(package).parts, *([module] if module else [])])


def _is_module(package: Path, name: str) -> bool:
    return (package / name).is_dir() or (package / f"{name}.py").exists()


def _is_called(func: ast.expr, names: set[str]) -> bool:
    return (isinstance(func, ast.Name) and func.id in names) or (isinstance(func, ast.Attribute) and func.attr in names)


def _find_reads(tree: ast.Module) -> Iterator[int]:
    words = {"environ", "environb", "getenv", "getenvb"}
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=ast.Name(id="os"), attr=attribute) if attribute in words:
                yield node.lineno
            case ast.ImportFrom(module="os", names=names) if words & {name.name for name in names}:
                yield node.lineno


def _find_sql(tree: ast.Module) -> Iterator[int]:
    prose = _find_docstrings(tree)
    inside = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        match node:
            case ast.Constant(value=str(text)) if id(node) not in prose | inside:
                pass
            case ast.JoinedStr(values=parts):
                text = "".join(str(part.value) if isinstance(part, ast.Constant) else "x" for part in parts)
            case _:
                continue
        if _SQL.search(text):
            yield node.lineno


def _find_docstrings(tree: ast.Module) -> set[int]:
    """Every string that stands as a statement of its own, as one under an attribute does too."""
    return {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
