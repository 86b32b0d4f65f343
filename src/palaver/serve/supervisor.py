"""The supervisor of several workers: it starts them, replaces them when they die or are to be new, and ends them.

It serves nothing itself and knows nothing of the app. It holds the sockets: one for each slot, which outlives the
workers in it. What waits to be accepted there is the next worker's; once there is to be none, it holds them no longer.
"""

import asyncio
import logging
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from msgspec.structs import replace

from palaver.serve import CannotStart, check_can_share
from palaver.serve.backoff import Backoff
from palaver.serve.listening import Listener, bound_for
from palaver.serve.orders import Order
from palaver.serve.output import TOGETHER, complain, say_link, say_ready, set_up_logging
from palaver.serve.process import WorkerProcess, to_reason
from palaver.settings import Settings
from palaver.watching.boards import Boards

log = logging.getLogger("palaver")

# Ends of replies that cannot be kept just now, connections, the store: what may still take its time after draining.
CLOSING_SECONDS = 20.0


def supervise(settings: Settings) -> int:
    """Serves with `settings.workers` processes until SIGTERM or SIGINT. Gives the exit code."""
    set_up_logging(settings, TOGETHER, None)
    boards = Boards.open()
    try:
        check_can_share(settings)
        with bound_for(settings.host, settings.port, settings.workers) as (address, listeners):
            return asyncio.run(Supervisor(settings, address, listeners, boards).run())
    except CannotStart as error:
        complain(error)
        return 1
    finally:
        boards.close()


class FirstFailed(Exception):
    """The first worker does not start, and no other would."""

    def __init__(self, code: int) -> None:
        super().__init__(to_reason(code))
        self.code = code


class NotReplaced(Exception):
    """Why a worker has no successor."""


class Slot:
    """A place for a worker: its socket, and who serves there."""

    def __init__(self, number: int, listener: Listener) -> None:
        self.number = number
        self.listener = listener
        self.worker: WorkerProcess
        self.keeper: asyncio.Task[None]
        self.backoff = Backoff()
        self.served = asyncio.Event()
        """Set once a worker has been ready here."""
        self.starting = asyncio.Lock()
        """Held while the keeper starts a worker: it must not be cancelled then."""
        self.replacing = False


class Supervisor:
    """One run of it, from the first worker's start to the last one's end."""

    def __init__(
        self, settings: Settings, address: tuple[str, int], listeners: Sequence[Listener], boards: Boards
    ) -> None:
        # The port may have been any free one.
        self._settings = replace(settings, port=address[1])
        self._address = address
        self._slots = [Slot(number, listener) for number, listener in enumerate(listeners, 1)]
        self._boards = boards
        self._workers: set[WorkerProcess] = set()
        self._said_ready = False
        self._code: str | None = None
        self._asked_to_end = asyncio.Event()
        self._asked_to_roll = asyncio.Event()

    async def run(self) -> int:
        """The exit code: 0 where it was asked to end, the first worker's where that one does not start."""
        with self._on_signals():
            asked = asyncio.create_task(self._asked_to_end.wait())
            serving = asyncio.create_task(self._serve())
            await asyncio.wait([asked, serving], return_when="FIRST_COMPLETED")
            for task in (asked, serving):
                task.cancel()
            await asyncio.wait([asked, serving])
            await self._end()
        return _to_exit_code(serving)

    @contextmanager
    def _on_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        handlers = {
            signal.SIGTERM: self._asked_to_end.set,
            signal.SIGINT: self._asked_to_end.set,
            signal.SIGHUP: self._asked_to_roll.set,
        }
        for number, handler in handlers.items():
            loop.add_signal_handler(number, handler)
        try:
            yield
        finally:
            for number in handlers:
                loop.remove_signal_handler(number)

    async def _serve(self) -> None:
        await self._start_all()
        async with asyncio.TaskGroup() as tasks:
            first, *others = self._slots
            first.keeper = tasks.create_task(self._keep(first))
            for slot in others:
                slot.keeper = tasks.create_task(self._fill(slot))
            for slot in others:
                await slot.served.wait()
            self._say_ready()
            while True:
                await self._asked_to_roll.wait()
                # Asked again meanwhile, it rolls once more: what was new then may be old now.
                self._asked_to_roll.clear()
                await self._roll(tasks)

    async def _start_all(self) -> None:
        first, *others = self._slots
        try:
            # It brings the database's schema up to date and makes the first admin. The others find that done.
            first.worker = await self._start(first)
            if not await self._see_in(first, first.worker):
                raise FirstFailed(await first.worker.wait_end() or 0)
            for slot in others:
                slot.worker = await self._start(slot)
        except OSError as error:
            raise CannotStart(f"Palaver cannot start a worker: {error}.") from error

    async def _start(self, slot: Slot) -> WorkerProcess:
        board = self._boards.new_file(slot.number)
        worker = await WorkerProcess.start(self._settings, slot.listener, board)
        self._workers.add(worker)

        def has_ended(_: object) -> None:
            self._workers.discard(worker)
            self._boards.fold(board)

        worker.ended.add_done_callback(has_ended)
        return worker

    async def _see_in(self, slot: Slot, worker: WorkerProcess) -> bool:
        """Whether it has come to serve; it ended before otherwise."""
        ready = await worker.wait_ready()
        if ready is None:
            return False
        log.info("worker %d serves in slot %d", worker.pid, slot.number)
        self._say_link(ready.code)
        slot.served.set()
        return True

    async def _fill(self, slot: Slot) -> None:
        await self._see_in(slot, slot.worker)
        await self._keep(slot)

    async def _keep(self, slot: Slot) -> None:
        """Starts another worker whenever the one in the slot has ended. Runs until cancelled."""
        while True:
            code = await slot.worker.wait_end()
            if not slot.replacing:
                try:
                    slot.listener.renew()
                except OSError as error:
                    # What waits in its queue waits for the next worker.
                    log.warning("slot %d keeps its socket: %s", slot.number, error)
            await self._start_again(slot, f"worker {slot.worker.pid} has died: {to_reason(code or 0)}")
            await self._see_in(slot, slot.worker)

    async def _start_again(self, slot: Slot, why: str) -> None:
        served = slot.worker.seconds_served
        while True:
            seconds = slot.backoff.after(served)
            log.warning("%s; the next one for slot %d starts %s", why, slot.number, _to_when(seconds))
            await asyncio.sleep(seconds)
            try:
                async with slot.starting:
                    slot.worker = await self._start(slot)
                return
            except OSError as error:
                why, served = f"no worker can be started: {error}", 0.0

    async def _roll(self, tasks: asyncio.TaskGroup) -> None:
        """A new worker for each slot, one after the other. Where one does not start, the rest stay as they are."""
        log.info("all workers are replaced, one by one")
        for slot in self._slots:
            slot.replacing = True
            try:
                old = await self._replace(slot, tasks)
            except NotReplaced as error:
                log.error("worker %d stays, and the others behind it: %s", slot.worker.pid, error)
                return
            finally:
                slot.replacing = False
            tasks.create_task(self._see_off(old))
        log.info("all workers are new")

    async def _replace(self, slot: Slot, tasks: asyncio.TaskGroup) -> WorkerProcess:
        """The worker that was there. Its successor serves already, at the same socket. Raises `NotReplaced`."""
        try:
            successor = await self._start(slot)
        except OSError as error:
            raise NotReplaced(f"no worker can be started: {error}") from error
        if not await self._see_in(slot, successor):
            raise NotReplaced(f"its successor did not start: {to_reason(await successor.wait_end() or 0)}")
        async with slot.starting:
            slot.keeper.cancel()
            old, slot.worker = slot.worker, successor
            slot.keeper = tasks.create_task(self._keep(slot))
        return old

    async def _see_off(self, worker: WorkerProcess) -> None:
        worker.tell("leave")
        # Its requests, and then the replies that nobody waits for, may each take as long as a reply may.
        seconds = 2 * self._settings.reply_seconds + CLOSING_SECONDS
        if await worker.wait_end(seconds) is None:
            log.warning("worker %d does not leave and is killed", worker.pid)
            worker.kill()
        else:
            log.info("worker %d has left", worker.pid)

    async def _end(self) -> None:
        """Ends all workers: asked first, then pressed, then killed. A further signal goes on to the next."""
        for slot in self._slots:
            # Nobody is to wait at the socket of a worker that has ended while the others still answer.
            slot.listener.close()
        orders: list[tuple[Order, float]] = [
            ("drain", self._settings.drain_seconds + CLOSING_SECONDS),
            ("now", CLOSING_SECONDS),
        ]
        for order, seconds in orders:
            if not self._workers:
                return
            self._asked_to_end.clear()
            log.info("all workers are to %s", "drain" if order == "drain" else "end now")
            for worker in self._workers:
                worker.tell(order)
            await self._wait_for_ends(seconds)
        if not self._workers:
            return
        for worker in self._workers:
            log.warning("worker %d does not end and is killed", worker.pid)
            worker.kill()
        await asyncio.wait([worker.ended for worker in self._workers])

    async def _wait_for_ends(self, seconds: float) -> None:
        """Until all have ended, or a signal comes, or so long."""
        ends = asyncio.create_task(asyncio.wait([worker.ended for worker in self._workers]))
        asked = asyncio.create_task(self._asked_to_end.wait())
        await asyncio.wait([ends, asked], timeout=seconds, return_when="FIRST_COMPLETED")
        for task in (ends, asked):
            task.cancel()
        await asyncio.wait([ends, asked])

    def _say_ready(self) -> None:
        say_ready(self._settings.public_url, self._address, self._code)
        self._said_ready = True

    def _say_link(self, code: str | None) -> None:
        """Not before the server can be used."""
        if self._said_ready and code is not None:
            say_link(self._settings.public_url, self._address, code)
        else:
            self._code = code or self._code


def _to_when(seconds: float) -> str:
    return f"in {seconds:g} s" if seconds else "at once"


def _to_exit_code(serving: "asyncio.Task[None]") -> int:
    if serving.cancelled():
        return 0
    error = serving.exception()
    if isinstance(error, FirstFailed):
        if error.code <= 0:
            complain(f"Palaver cannot start: the first worker ended before it served ({error}).")
        return max(error.code, 1)
    serving.result()
    return 0
