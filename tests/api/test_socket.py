"""What becomes of an open socket when something goes wrong that is no fault of its client."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import pytest
from starlette.types import Message

from palaver.api.call import Call, Site
from palaver.api.socket import JsonSocket
from palaver.chat.accounts import Caller
from palaver.chat.errors import StoreUnavailable
from palaver.chat.flow import Chat
from palaver.chat.user import User, UserId

SECONDS = 60
SECRET = "a path, a key, a line of code"
INTERNAL = {"type": "error", "message": "Internal server error", "code": "internal"}

every_fault = pytest.mark.parametrize("fault", [RuntimeError(SECRET), StoreUnavailable(SECRET)], ids=["bug", "outage"])


class Stays:
    """Nobody is ever shut out."""

    @contextmanager
    def staying(self, _caller: Caller, _shut_out: object) -> Iterator[None]:
        yield


class Accounts:
    """Any token will do."""

    async def by_token(self, _token: str) -> Caller:
        return Caller(User(UserId(1), "uuid", "person", "alice"))


class FailingSocket(JsonSocket):
    """Fails where it is told to."""

    commands = frozenset(("ping", "look"))

    def __init__(self, place: str, fault: Exception) -> None:
        nothing = cast(Any, None)
        site = Site(cast(Chat, None), cast(Any, Accounts()), cast(Any, Stays()), nothing, "1", nothing, nothing)
        headers = [(b"authorization", b"Bearer token")]
        call = Call(site, {"type": "websocket", "headers": headers}, "socket-1", "en")
        self.heard: asyncio.Queue[Message] = asyncio.Queue()
        self.told: asyncio.Queue[Message] = asyncio.Queue()
        self.has_left = False
        self._failing = place
        self._fault = fault
        super().__init__(call, self.heard.get, self.told.put)

    def _maybe_fail(self, place: str) -> None:
        if place == self._failing:
            raise self._fault

    async def open(self) -> None:
        self._maybe_fail("open")

    async def handle(self, kind: str, payload: dict[str, Any]) -> None:  # noqa: ARG002 (it has no fields)
        self._maybe_fail("handle")
        self.wake()

    async def take(self) -> list[str]:
        self._maybe_fail("take")
        return []

    def leave(self) -> None:
        self.has_left = True

    async def next(self) -> Message:
        return await asyncio.wait_for(self.told.get(), SECONDS)


async def shake_hands(socket: FailingSocket) -> asyncio.Task[None]:
    await socket.heard.put({"type": "websocket.connect"})
    running = asyncio.create_task(socket.run())
    assert (await socket.next())["type"] == "websocket.accept"
    return running


async def run(socket: FailingSocket) -> None:
    """Until it has ended, with a client who says a word and hangs up when it is told to."""
    running = await shake_hands(socket)
    await socket.heard.put({"type": "websocket.receive", "text": '{"type": "look"}'})
    assert json.loads((await socket.next())["text"]) == INTERNAL
    assert await socket.next() == {"type": "websocket.close", "code": 4500}
    await socket.heard.put({"type": "websocket.disconnect", "code": 4500})
    await asyncio.wait_for(running, SECONDS)
    assert socket.told.empty()
    assert socket.has_left


@every_fault
async def test_socket_that_cannot_be_opened_says_so_and_closes(fault: Exception) -> None:
    await run(FailingSocket("open", fault))


@every_fault
async def test_socket_that_can_tell_nothing_more_says_so_and_closes(fault: Exception) -> None:
    await run(FailingSocket("take", fault))


async def test_unforeseen_fault_closes_and_the_cause_is_in_the_log_alone(caplog: pytest.LogCaptureFixture) -> None:
    await run(FailingSocket("handle", RuntimeError(SECRET)))
    assert SECRET in caplog.text
    assert "socket-1" in caplog.text


async def test_outage_while_something_is_done_is_said_and_the_socket_goes_on() -> None:
    socket = FailingSocket("handle", StoreUnavailable(SECRET))
    running = await shake_hands(socket)
    for _ in range(2):
        await socket.heard.put({"type": "websocket.receive", "text": '{"type": "look"}'})
        error = json.loads((await socket.next())["text"])
        assert error["code"] == "internal"
        assert SECRET not in error["message"]
    await socket.heard.put({"type": "websocket.disconnect", "code": 1000})
    await asyncio.wait_for(running, SECONDS)
    assert socket.has_left
