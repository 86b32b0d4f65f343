"""ai_chat's sessions as tests of its sockets need them: made, read, and told of."""

import asyncio
from typing import Any

from redis.asyncio import Redis

from palaver.chat.events import open_channel
from tests.journeys.client import TEXT, TIME, UUID, WHOLE, Client, Shaped
from tests.journeys.socket import SECONDS, Event
from tests.parts.palaver import Server

SESSIONS = "/ai-chat/api/sessions/"
UNKNOWN = "0d2b8a54-6f0f-4c55-9e0a-5a3c1d2f7b10"

# A reply that has said its first piece, and says no more.
STALLED = "[[text=one two three&pieces=3&fault=stall&after=1]]"
BROKEN = "[[text=one two three&pieces=3&fault=cut&after=1]]"
FIRST_PIECE = "one "

CURSOR = Shaped(r"\S{1,200}")


async def make(person: Client, **fields: Any) -> str:
    """The id of a new session."""
    answer = await person.post(SESSIONS, **fields)
    assert answer.status == 201, answer.text
    made: str = answer.body["id"]
    return made


async def read(person: Client, session: str) -> Event:
    answer = await person.get(f"{SESSIONS}{session}/")
    assert answer.status == 200, answer.text
    body: Event = answer.body
    return body


async def read_messages(person: Client, session: str) -> list[Event]:
    messages: list[Event] = (await read(person, session))["messages"]
    return messages


async def say(person: Client, session: str, message: str = "hello") -> Event:
    """A turn over HTTP, with its reply."""
    answer = await person.post(f"{SESSIONS}{session}/send_message/", message=message)
    assert answer.status == 200, answer.text
    body: Event = answer.body
    return body


async def until_nobody_has_it_open(server: Server, session: str) -> None:
    """Returns once every worker knows that its sockets are closed."""
    url = server.environment.get("PALAVER_REDIS_URL")
    if url is None:
        # One process knows it at once.
        return
    # The others look into Redis, which is told a moment later. Not all of its methods have types.
    redis: Any = Redis.from_url(url)
    async with redis, asyncio.timeout(SECONDS):
        while await redis.pubsub_channels(f"*{open_channel(session)}"):
            pass


def said(messages: list[Event]) -> list[tuple[str, str]]:
    return [(message["role"], message["content"]) for message in messages]


def message_shown(**fields: Any) -> Event:
    """A whole message, with these fields among the ones that every message has."""
    return {
        "id": UUID,
        "tool_calls": None,
        "tool_call_id": None,
        "metadata": Shaped(dict),
        "created_at": TIME,
        "token_count": WHOLE,
        "number": WHOLE,
        "status": "complete",
        **fields,
    }


def session_shown(**fields: Any) -> Event:
    """A session without its messages, with these fields among the ones that every session has."""
    return {
        "id": UUID,
        "user": {"id": WHOLE, "username": TEXT, "first_name": TEXT, "last_name": TEXT},
        "title": TEXT,
        "model_name": TEXT,
        "temperature": Shaped(float),
        "max_tokens": None,
        "enable_tools": Shaped(bool),
        "is_active": True,
        "status": "active",
        "created_at": TIME,
        "updated_at": TIME,
        "message_count": WHOLE,
        "last_message_time": TIME,
        **fields,
    }


def to_story(events: list[Event]) -> list[Event]:
    """What was told, whatever pieces a reply came in, and whatever was said between them: its text is one chunk before
    what comes next of it. Cursors are left out."""
    story: list[Event] = []
    open_chunks: dict[str, Event] = {}
    for event in events:
        told = {name: value for name, value in event.items() if name != "cursor"}
        match told:
            case {"type": "ai_message_chunk", "message_id": reply, "content": content}:
                before = open_chunks.get(reply, {"content": ""})
                open_chunks[reply] = {**told, "content": before["content"] + content}
            case {"message_id": reply} if reply in open_chunks:
                story += [open_chunks.pop(reply), told]
            case _:
                story.append(told)
    return story + list(open_chunks.values())
