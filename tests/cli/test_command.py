"""The command as a whole: quick to say what it can do, and clear about what it cannot."""

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import click
import pytest

from palaver import __version__
from palaver.cli import COMMANDS
from palaver.settings import to_table
from tests.cli.conftest import Command
from tests.parts.palaver import palaver as installed
from tests.parts.process import bare_environment

# What takes long to import, and is not needed to say what the commands are.
HEAVY = {"aiohttp", "apsw", "argon2", "asyncio", "asyncpg", "msgspec", "starlette", "uvicorn"}


def test_help_names_every_command(embedded: Command) -> None:
    done = embedded("--help")
    assert [name for name in COMMANDS if f"\n  {name} " not in done.out] == []


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_says_what_it_does(embedded: Command, name: str) -> None:
    done = embedded(name, "--help")
    assert (done.code, done.err) == (0, "")
    assert "--help" in done.out


def test_every_command_is_in_a_module_of_its_name() -> None:
    modules = [import_module(f"palaver.cli.{name.replace('-', '_')}") for name in COMMANDS]
    assert [module for module in modules if not isinstance(module.command, click.Command)] == []


def test_help_loads_nothing_of_the_server() -> None:
    source = "import sys, palaver.cli\ntry: palaver.cli.main(['--help'])\nfinally: print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", source], capture_output=True, text=True, check=True, env=bare_environment()
    )
    loaded = set(done.stdout.splitlines()[-1].split())
    assert loaded & HEAVY == set()
    assert "palaver.cli" in loaded


def test_installed_command_knows_its_version() -> None:
    assert installed("--version", environment=bare_environment()) == f"palaver, version {__version__}\n"


def test_unknown_command_is_refused(embedded: Command) -> None:
    done = embedded("dance")
    assert done.code == 2
    assert "dance" in done.err


def test_settings_are_printed_as_a_table(embedded: Command) -> None:
    assert embedded("settings").out == to_table()


@pytest.mark.parametrize("command", [("serve",), ("migrate",), ("user", "list"), ("token", "revoke", "1")])
def test_bad_settings_stop_every_command_before_it_starts(
    embedded: Command, data_dir: Path, command: tuple[str, ...]
) -> None:
    done = embedded(*command, PALAVER_PORT="http", PALAVER_GUESTS="maybe", OPENAI_API_KEY="sekret key")
    assert done.code == 2
    assert [line.split()[0] for line in done.err.splitlines()] == ["PALAVER_PORT", "PALAVER_GUESTS", "OPENAI_API_KEY"]
    assert "sekret" not in done.err
    assert not data_dir.exists()


def test_port_on_the_command_line_is_checked_as_the_setting_is(embedded: Command) -> None:
    done = embedded("serve", "--port", "99999")
    assert (done.code, done.err) == (2, "PALAVER_PORT is '99999'. It has to be a whole number from 0 to 65535.\n")


def test_llm_server_takes_the_options_of_the_stand_in(embedded: Command) -> None:
    assert "--first-delay" in embedded("llm-server", "--help").out
    done = embedded("llm-server", "--port", "99999")
    assert done.code == 2
    assert "65535" in done.err
