"""Where the time of the hottest paths goes: `.venv/bin/python bench/profiles.py`. Prints a table for each of them.

The loop's thread is watched by cProfile, which makes every call dearer, small ones most of all: shares are told, not
times. Each path is gone by a server of its own.
"""

import asyncio
import cProfile
import pstats
import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

# Run by its path, Python looks for modules in this folder only.
sys.path.insert(0, str(Path(__file__).parents[1]))

import msgspec
from tests.parts.run import open_run

from bench.load import Load
from bench.measure import run_load
from bench.stream_load import Heard, StreamLoad
from bench.stream_systems import System as StreamSystem
from bench.stream_systems import run_load as run_stream
from bench.systems import ROOT, House, Ours
from bench.wire import connect, to_request

TOP = 10
TURNS = 3000
SESSIONS = 16
PIECES = 3000
MESSAGE = f"[[pieces={PIECES}&stamp=true&delay=0.001]]"


async def _turns(system: Ours) -> None:
    sessions = await system.add_sessions(SESSIONS)
    bodies = [[system.to_body(session)] for session in sessions]
    await run_load(Load(port=system.port, path=system.path, token=system.token, bodies=bodies, turns=TURNS, seconds=60))


async def _events(system: Ours) -> None:
    await _stream(system, "sse", "/api/chat/stream/", [f"profiled-{number}" for number in range(SESSIONS)])


async def _sockets(system: Ours) -> None:
    sessions = await StreamSystem(system.port, system.token, []).add_sessions(SESSIONS)
    await _stream(system, "ws", "/ws/ai-chat/session/{}/?full_content=0", sessions)


async def _stream(system: Ours, way: object, path: str, sessions: list[str]) -> None:
    load = msgspec.convert(
        {
            "type": "stream", "way": way, "port": system.port, "token": system.token, "path": path, "message": MESSAGE,
            "sessions": sessions, "pieces": PIECES, "together": True, "seconds": 30,
        },
        StreamLoad,
    )  # fmt: skip
    await run_stream(load, Heard)


async def _people(system: Ours) -> None:
    await system.server.token("bob")
    connection = await connect("127.0.0.1", system.port)
    asked = to_request("/api/people/conversations", b'{"members": ["bob"]}', system.token)
    pair = msgspec.json.decode((await connection.ask(asked)).body)["id"]
    connection.close()
    said = to_request(f"/api/people/conversations/{pair}/messages", b'{"content": "hello"}', system.token)

    async def say() -> None:
        connection = await connect("127.0.0.1", system.port)
        for _ in range(TURNS // SESSIONS):
            await connection.ask(said)
        connection.close()

    await asyncio.gather(*(say() for _ in range(SESSIONS)))


PATHS: Mapping[str, Callable[[Ours], Awaitable[None]]] = {
    "a stored turn, 16 at once": _turns,
    "a piece over server-sent events, 16 replies at once": _events,
    "a piece over WebSockets, 16 replies at once": _sockets,
    "a message between people, 16 at once": _people,
}


async def _profile(name: str, go: Callable[[Ours], Awaitable[None]]) -> str:
    with open_run() as run:
        house = House(run, None)
        await house.start_llm()
        file = run.folder / "profile"
        command = [sys.executable, str(Path(__file__)), str(file)]
        system = await house.start_ours("sqlite", {"PYTHONPATH": str(ROOT)}, command)
        assert isinstance(system, Ours)
        await go(system)
        await system.stop()
        stats = pstats.Stats(str(file))
    return f"### {name}\n\n{_to_table(stats)}\n"


def _to_table(stats: pstats.Stats) -> str:
    # What waits for the kernel is no work.
    calls = {key: value for key, value in stats.stats.items() if "run_until_complete" not in key[2]}  # type: ignore[attr-defined]
    whole = sum(own for _, _, own, _, _ in calls.values())
    lines = ["| function | share of its own | with what it calls | calls |", "| --- | --- | --- | --- |"]
    for (file, _, function), (_, count, own, all_in, _) in sorted(calls.items(), key=lambda item: -item[1][2])[:TOP]:
        where = file.rpartition("site-packages/")[2].rpartition("/src/")[2].lstrip("~")
        shown = f"{where}: {function}" if where else function.strip("<>")
        lines.append(f"| `{shown}` | {own / whole:.1%} | {all_in / whole:.1%} | {count:,} |")
    return "\n".join(lines)


def _serve(file: str) -> None:
    from palaver.cli import main as palaver
    from palaver.serve import serving

    profiler, keep = cProfile.Profile(), serving.keep_what_stays

    def keep_and_begin() -> None:
        keep()
        profiler.enable()

    serving.keep_what_stays = keep_and_begin
    try:
        palaver(prog_name="palaver")
    finally:
        profiler.disable()
        profiler.dump_stats(file)


def main() -> None:
    if len(sys.argv) > 1:
        # As the server that is watched: the file, and then what `palaver` is told.
        _serve(sys.argv.pop(1))
        return
    for name, go in PATHS.items():
        print(asyncio.run(_profile(name, go)), flush=True)


if __name__ == "__main__":
    main()
