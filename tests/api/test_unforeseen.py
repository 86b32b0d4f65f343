"""What is answered where something goes wrong that nobody foresaw: the API's own shape, and no trace of the cause."""

import json
from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest
from starlette.types import Message, Scope

from palaver.api import chat_domain, chat_flow, streaming_chat
from palaver.api.ai_chat import health, models
from palaver.api.call import Call, Site
from palaver.api.dispatch import Dispatcher
from palaver.api.operation import Api
from palaver.chat.accounts import Accounts
from palaver.chat.flow import Chat, Rules
from palaver.chat.models import Models
from palaver.chat.stays import Stays
from palaver.guards import GUARDS
from tests.chat.talking import HandBot, HandBots

SECRET = "a path, a key, a line of code"


class BrokenBots(HandBots):
    async def is_healthy(self) -> bool:
        raise RuntimeError(SECRET)


class Staying:
    """As much of `Replies` as says whether the server goes away."""

    def check_stays(self) -> None:
        """It does not."""


def site() -> Site:
    # The operations of these tests look at nothing but the bots, and whether the server stays.
    nothing = cast(Any, None)
    chat = Chat(nothing, BrokenBots(HandBot()), cast(Any, Staying()), nothing, nothing, Rules(), nothing)
    return Site(chat, cast(Accounts, None), cast(Stays, None), cast(Models, None), "1", nothing, nothing)


async def get(api: Api, path: str) -> tuple[int, Any]:
    """The answer to a GET that a dispatcher over the API's operations gives."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b""}

    async def send(message: Message) -> None:
        sent.append(message)

    scope: Scope = {"type": "http", "method": "GET", "path": path, "query_string": b"", "headers": []}
    await Dispatcher(site(), api.operations, {})(scope, receive, send)
    body = b"".join(message.get("body", b"") for message in sent[1:])
    assert SECRET not in body.decode()
    assert set(GUARDS) <= set(sent[0]["headers"])
    return sent[0]["status"], json.loads(body)


def like(api: Api) -> Api:
    """The same API with one operation, which fails."""

    async def fail(_call: Call) -> None:
        raise RuntimeError(SECRET)

    failing = Api(api.name, api.style, api.refusals, says_error=api.says_error)
    add: Callable[[Callable[[Call], Awaitable[Any]]], Any] = failing.add("GET", "/failing", who="open")
    add(fail)
    return failing


@pytest.mark.parametrize(
    ("api", "key"),
    [(chat_flow.api, "detail"), (chat_domain.api, "detail"), (streaming_chat.api, "error"), (models.api, "error")],
    ids=["chat_flow", "chat_domain", "streaming_chat", "ai_chat"],
)
async def test_unforeseen_fault_is_500_in_the_shape_of_the_api(api: Api, key: str) -> None:
    assert await get(like(api), "/failing") == (500, {key: "Internal server error"})


async def test_health_that_cannot_be_told_is_500_and_says_no_more_than_false() -> None:
    assert await get(health.api, "/ai-chat/api/health/llm_server/") == (
        500,
        {
            "llm_server_healthy": False,
            "llm_server_url": None,
            "timestamp": None,
            "error": "Internal server error",
        },
    )
