"""Says so in the log when this process may open nothing more: no connection, no file, no process.

What is open goes on. The loop takes each new connection and closes it at once, for one that is left waiting would keep
it busy; whoever asks is told nothing, so that the log has to.
"""

import asyncio
import errno
import logging
import os
import resource
from typing import NoReturn

log = logging.getLogger("palaver")

LOOK_SECONDS = 1.0


async def watch_descriptors() -> NoReturn:
    """Runs until cancelled."""
    short = False
    while True:
        was_short, short = short, is_short()
        if short and not was_short:
            most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
            log.error(
                "all %d file descriptors are in use: new connections are closed at once until some are free. "
                "Raise the limit (LimitNOFILE in a systemd unit, ulimit -n in a shell)",
                most,
            )
        elif was_short and not short:
            log.warning("there are free file descriptors again: new connections are taken")
        await asyncio.sleep(LOOK_SECONDS)


def is_short() -> bool:
    try:
        os.close(os.dup(0))
    except OSError as error:
        return error.errno in (errno.EMFILE, errno.ENFILE)
    return False
