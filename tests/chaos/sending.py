"""A worker that does nothing but reach people, as a process: `python -m tests.chaos.sending STORE NAME LEASE_SECONDS`.

STORE is the folder of a SQLite file, or a PostgreSQL address.
"""

import asyncio
import sys
from pathlib import Path

from palaver.chat.clock import SystemClock
from palaver.chat.sender import Sender, SendRules
from palaver.chat.user import UserId
from palaver.notify import NotifyOptions, new_vapid_key, open_channels
from palaver.store import StoreOptions, open_store

READY = "ready to send"


class Nobody:
    async def is_looking(self, _conversation: str, _user: UserId, /) -> bool:
        return False


async def send(store_at: str, name: str, lease: float) -> None:
    # What is under way when it is killed is due again after its lease; a try takes no longer than half of it.
    rules = SendRules(delay_seconds=0, lease_seconds=lease, send_seconds=lease / 2, look_seconds=0.02)
    on_postgres = store_at.startswith("postgres")
    options = StoreOptions(Path("." if on_postgres else store_at), store_at if on_postgres else None, connections=4)
    notify = NotifyOptions(vapid_key=new_vapid_key(), allow=("127.0.0.1",))
    clock = SystemClock()
    async with open_store(options) as store, open_channels(notify, clock=clock) as channels:
        if not on_postgres:
            # As the server itself does where nobody else can live.
            await store.outbox.release_all(clock.now())
        sender = Sender(store.outbox, channels, Nobody(), clock, name, rules)
        print(READY, flush=True)  # noqa: T201 (whoever started it waits for it)
        await sender.work()


if __name__ == "__main__":
    asyncio.run(send(sys.argv[1], sys.argv[2], float(sys.argv[3])))
