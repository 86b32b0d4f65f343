"""Imports point one way, the environment is read in one place, and SQL is spoken in one folder."""

from pathlib import Path

import pytest

from tests.meta.arrows import find_wrong_arrows

PACKAGE = Path(__file__).parents[2] / "src" / "palaver"
# Everything that a wrong line below could point at.
MODULES = (
    "app",
    "settings",
    "chat/user",
    "bots/dummy",
    "store/rows",
    "bus/redis",
    "api/errors",
    "cli/serve",
    "llm_server/run",
)


def write(package: Path, place: str, source: str) -> None:
    file = package / place
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(source)


@pytest.fixture
def package(tmp_path: Path) -> Path:
    for name in ("__init__", *MODULES):
        write(tmp_path, f"{name}.py", "")
    return tmp_path


def test_palaver_keeps_to_the_arrows() -> None:
    assert find_wrong_arrows(PACKAGE) == []


@pytest.mark.parametrize(
    ("place", "source"),
    [
        ("chat/flow.py", "import aiohttp"),
        ("chat/flow.py", "from starlette.responses import Response"),
        ("chat/flow.py", "from palaver.store.rows import Row"),
        ("chat/flow.py", "from palaver import settings"),
        ("chat/flow.py", "from ..bus import redis"),
        ("chat/flow.py", "from .. import app"),
        ("chat/flow.py", "def late() -> None:\n    import asyncpg"),
        ("chat/flow.py", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from palaver.api import errors"),
        ("chat/flow.py", "from importlib import import_module\nimport_module('palaver.bots.dummy')"),
        ("bots/rag.py", "from palaver.store import rows"),
        ("store/sqlite.py", "import palaver.settings"),
        ("api/chatify/routes.py", "from palaver.bus.redis import Bus"),
        ("api/chatify/routes.py", "from ...llm_server import run"),
        ("bus/memory.py", "from palaver.api import errors"),
        ("knowledge/search.py", "from palaver.store import rows"),
        ("knowledge/search.py", "from palaver.bots.dummy import DummyBot"),
        ("knowledge/worker.py", "from palaver import settings"),
        ("knowledge/formats/html.py", "from urllib.request import urlopen"),
        ("knowledge/formats/pdf.py", "def late() -> None:\n    import subprocess"),
        ("knowledge/child.py", "import socket"),
        ("notify/outbox.py", "from palaver.cli import serve"),
        ("settings.py", "import yaml"),
        ("settings.py", "from palaver.chat import user"),
        ("llm_server/run.py", "from palaver.chat import user"),
        ("llm_server/run.py", "from palaver import __version__"),
        ("__init__.py", "from palaver import app"),
        ("services/thing.py", "import json"),
    ],
)
def test_import_against_an_arrow_is_found(package: Path, place: str, source: str) -> None:
    write(package, place, source)
    assert len(find_wrong_arrows(package)) == 1


@pytest.mark.parametrize(
    ("place", "source"),
    [
        (
            "chat/flow.py",
            "import asyncio\nimport msgspec\nfrom palaver import __version__\nfrom palaver.chat.user import User",
        ),
        ("chat/flow.py", "from . import user\nfrom .user import User"),
        (
            "api/chatify/routes.py",
            "import starlette\nfrom palaver.chat import user\nfrom palaver.api.errors import Wrong",
        ),
        ("knowledge/embeddings.py", "import aiohttp\nfrom palaver.chat import user"),
        ("store/sqlite.py", "import apsw\nfrom palaver.store.rows import Row"),
        ("settings.py", "import os\nimport msgspec\nHERE = os.environ['PALAVER_HOST']"),
        ("app.py", "from palaver import settings\nfrom palaver.api import errors\nfrom palaver.store import rows"),
        ("cli/serve.py", "from palaver.app import make_app"),
        ("llm_server/run.py", "from palaver.llm_server import run"),
        ("__main__.py", "from palaver.cli import main"),
    ],
)
def test_import_along_the_arrows_is_not_found(package: Path, place: str, source: str) -> None:
    write(package, place, source)
    assert find_wrong_arrows(package) == []


@pytest.mark.parametrize(
    "source",
    [
        "import os\nHOST = os.environ.get('HOST')",
        "import os\nHOST = os.getenv('HOST')",
        "from os import environ",
        "def late() -> None:\n    from os import getenv",
    ],
)
def test_environment_read_outside_settings_is_found(package: Path, source: str) -> None:
    write(package, "app.py", source)
    assert len(find_wrong_arrows(package)) == 1


@pytest.mark.parametrize(
    "source",
    [
        "Q = 'SELECT id FROM user WHERE name = ?'",
        "Q = f'SELECT {columns} FROM {table}'",
        "Q = 'select id from user'",
        "Q = '''\n  INSERT INTO user\n  VALUES (1)'''",
        "Q = 'INSERT OR REPLACE INTO user VALUES (1)'",
        "Q = 'UPDATE user SET name = ?'",
        "Q = 'DELETE FROM user'",
        "Q = 'WITH old AS (SELECT id FROM user) ' 'SELECT 1'",
        "Q = 'CREATE TABLE user (id)'",
    ],
)
def test_sql_outside_the_store_is_found(package: Path, source: str) -> None:
    write(package, "knowledge/search.py", source)
    assert len(find_wrong_arrows(package)) == 1


@pytest.mark.parametrize(
    "source",
    [
        "SENTENCE = 'Select a model from the list.'",
        "SENTENCE = 'Could not update the settings; delete the file from disk.'",
        "'''What a SELECT gives that reads FROM the store.'''",
        "class A:\n    name: str\n    '''From SELECT name FROM user.'''",
    ],
)
def test_prose_is_not_taken_for_sql(package: Path, source: str) -> None:
    write(package, "knowledge/search.py", source)
    assert find_wrong_arrows(package) == []


def test_sql_in_the_store_is_not_found(package: Path) -> None:
    write(package, "store/queries.py", "Q = 'SELECT id FROM user'")
    assert find_wrong_arrows(package) == []
