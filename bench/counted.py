"""`palaver` that says how many tasks its loop has: it writes the number to the file `BENCH_TASKS` twice a second.

Only bench/soak.py runs it, as `python -m bench.counted serve …`: nothing outside of a process can see them.
"""

import asyncio
import os
from pathlib import Path

from palaver.cli import main
from palaver.serve import serving

LOOK_SECONDS = 0.5

# The loop itself holds no task.
_held: list["asyncio.Task[None]"] = []


async def _count(file: Path) -> None:
    while True:
        file.write_text(str(len(asyncio.all_tasks())))  # noqa: ASYNC240 (a few bytes, in memory)
        await asyncio.sleep(LOOK_SECONDS)


def _keep_what_stays(keep: object = serving.keep_what_stays) -> None:
    assert callable(keep)
    _held.append(asyncio.create_task(_count(Path(os.environ["BENCH_TASKS"]))))
    keep()


if __name__ == "__main__":
    serving.keep_what_stays = _keep_what_stays
    main(prog_name="palaver")
