"""What asks, as a process of its own: JSON to its standard input, JSON from its standard output."""

import asyncio
import sys
from typing import TypeVar

import msgspec

from bench.load import Failed
from bench.systems import ROOT

T = TypeVar("T")


async def run_apart(module: str, load: msgspec.Struct, outcome: type[T]) -> T:
    """What came of it. `Failed` where it was not carried out."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, cwd=ROOT,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        output, errors = await process.communicate(msgspec.json.encode(load))
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        raise Failed(errors.decode(errors="replace"))
    return msgspec.json.decode(output, type=outcome)
