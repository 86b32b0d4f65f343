"""What Node checks of the web app's sources, and what it shares with the server's."""

import asyncio
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


async def run(*command: str) -> subprocess.CompletedProcess[str]:
    return await asyncio.to_thread(
        subprocess.run, [sys.executable, *command], cwd=ROOT, capture_output=True, text=True, check=False
    )


async def test_unit_tests_of_the_app_pass() -> None:
    done = await run("hatch_build.py", "test")
    assert done.returncode == 0, done.stderr


async def test_types_of_what_the_app_gets_are_those_of_the_openapi_document() -> None:
    done = await run("scripts/api_types.py", "--check")
    assert done.returncode == 0, done.stderr
