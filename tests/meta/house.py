"""What no file of this repository may say, and what no test may do."""

import ast
import re
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

# In pieces, so that this file does not name them itself.
_REGISTRIES = (
    ("pypi", "org"),
    ("pythonhosted", "org"),
    ("registry", "npmjs", "org"),
    ("npmjs", "com"),
    ("registry", "yarnpkg", "com"),
    ("npm", "pkg", "github", "com"),
    ("crates", "io"),
    ("proxy", "golang", "org"),
    ("anaconda", "org"),
    ("deb", "debian", "org"),
)
_HOSTS = re.compile("|".join(re.escape(".".join(host)) for host in _REGISTRIES), re.IGNORECASE)
# An installer's setting that points somewhere, whatever the host is called.
_SOURCES = re.compile(
    r"(?:index[-_]url|find[-_]links|registry|resolved|trusted[-_]host)[\"']?\s*[=: ]\s*[\"']?(?:https?|file)://",
    re.IGNORECASE,
)
_MACHINE_PATHS = re.compile(r"(?<![\w./~-])/(?:root|work|home/\w+|Users/\w+|opt/(?:pypi|wheels))(?:/|\b(?![\w.]))")

_SKIPS = frozenset({"skip", "skipif", "xfail", "importorskip", "skipTest", "SkipTest"})


def list_files(root: Path) -> list[Path]:
    """All files of the repository that git knows of, or will once they are added."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout
    return [root / name for name in listed.split("\0") if name and (root / name).is_file()]


def find_registries(text: str) -> list[str]:
    """Hosts of package registries, and settings that point an installer somewhere."""
    return [found[0] for pattern in (_HOSTS, _SOURCES) for found in pattern.finditer(text)]


def find_machine_paths(text: str, own: Iterable[Path] = ()) -> list[str]:
    """Paths that exist on one person's machine alone; `own` are further ones, such as the checkout's."""
    found = [match[0] for match in _MACHINE_PATHS.finditer(text)]
    # Not a folder as short as "/" or "/src", which a container may have.
    return found + [str(path) for path in own if len(path.parts) > 2 and str(path) in text]


def find_naps(source: str) -> Iterator[int]:
    """Lines of a test that sleep. Giving way to other tasks, `sleep(0)`, is not sleeping."""
    # To read all files takes seconds.
    if "sleep" not in source:
        return
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Call(args=[ast.Constant(value=0)], keywords=[]):
                continue
            case ast.Call(func=ast.Attribute(attr="sleep") | ast.Name(id="sleep")):
                yield node.lineno


def find_skips(source: str) -> Iterator[int]:
    """Lines that let a test pass without having run, or whatever it finds."""
    if not any(word in source for word in _SKIPS):
        return
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Attribute(value=value, attr=name) if name in _SKIPS and _is_of_a_test_runner(value):
                yield node.lineno
            case ast.ImportFrom(names=names) if _SKIPS & {name.name for name in names}:
                yield node.lineno


_LEVELS = frozenset({"debug", "info", "warning", "error", "exception", "critical"})


def find_formats(source: str) -> Iterator[int]:
    """Lines that make a text of a form that is no literal and no constant: whoever wrote it could read what is ours."""
    if "log" not in source and "format" not in source:
        return
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Call(ast.Attribute(value=ast.Name(id="log"), attr=level), args=[form, *_]) if level in _LEVELS:
                known = _is_known(form)
            case ast.Call(func=ast.Attribute(value=ast.Name(id="log"), attr="log"), args=[_, form, *_]):
                known = _is_known(form)
            case ast.Call(func=ast.Attribute(value=form, attr="format" | "format_map")):
                known = _is_known(form)
            case _:
                continue
        if not known:
            yield node.lineno


def _is_known(form: ast.expr) -> bool:
    match form:
        case ast.Constant(value=str()):
            return True
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name.isupper()
        case ast.Subscript(value=table):
            return _is_known(table)
        case _:
            return False


def _is_of_a_test_runner(value: ast.expr) -> bool:
    match value:
        case ast.Name(id="pytest" | "unittest" | "mark" | "self") | ast.Attribute(attr="mark"):
            return True
        case _:
            return False
