"""Bots that people install: packages with an entry point in the group `palaver.bots`. How to write one: `docs/bots.md`.

A plugin is anybody's code. It may block, fail at import, or throw anything: it never holds up the loop, and what it
throws ends its own reply alone.
"""

import asyncio
import inspect
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import aclosing
from functools import cached_property, partial
from importlib.metadata import EntryPoint, entry_points
from typing import Any, cast

import msgspec
from msgspec.structs import replace

from palaver.bots.characters import to_plain
from palaver.bots.threads import call_in_thread, say_in_thread
from palaver.chat.conversation import Past, Speaking
from palaver.chat.errors import BotUnavailable
from palaver.chat.pieces import Finished, Piece, Prompt, Reasoning, Text

log = logging.getLogger("palaver.bots")

GROUP = "palaver.bots"


class PromptText(str):
    """The message, as a string; and for bots that want to know more, what else is known of the turn."""

    __slots__ = ("history", "model", "request_id", "speaking", "summary", "system", "volatile")

    system: str
    summary: str
    history: tuple[Past, ...]
    volatile: str
    speaking: Speaking
    model: str | None
    request_id: str


def to_prompt_text(prompt: Prompt) -> PromptText:
    text = PromptText(prompt.message)
    text.system = prompt.system
    text.summary = prompt.summary
    text.history = prompt.history
    text.volatile = prompt.volatile
    text.speaking = prompt.speaking
    text.model = prompt.model
    text.request_id = prompt.request_id
    return text


class Plugins:
    """The installed bots by name. They are listed once, at the first question, and loaded when they first talk."""

    def __init__(self, *, taken: Collection[str]) -> None:
        self._taken = taken

    def known(self, name: str) -> bool:
        return name in self._bots

    def names(self) -> Sequence[str]:
        return sorted(self._bots)

    def bot(self, name: str) -> "PluginBot":
        """Raises `BotUnavailable` for one that is not installed."""
        bot = self._bots.get(name)
        if bot is None:
            log.warning("No bot named %r is installed; there are: %s", name, ", ".join(self.names()) or "none")
            raise BotUnavailable
        return bot

    @cached_property
    def _bots(self) -> dict[str, "PluginBot"]:
        bots: dict[str, PluginBot] = {}
        for entry in entry_points(group=GROUP):
            if entry.name in self._taken or entry.name in bots:
                log.warning("The bot %r of %s is left out: the name is taken", entry.name, entry.value)
            else:
                bots[entry.name] = PluginBot(entry)
        return bots


class PluginBot:
    """One installed bot, made once for all its talks."""

    def __init__(self, entry: EntryPoint) -> None:
        self._entry = entry
        self._talk: Callable[[PromptText], Any] | None = None
        self._loading = asyncio.Lock()

    async def talk(self, prompt: Prompt) -> AsyncGenerator[Piece, None]:
        try:
            async with aclosing(_to_pieces(self._say(prompt))) as pieces:
                async for piece in pieces:
                    yield piece
        except (Exception, SystemExit):
            name, request_id = self._entry.name, prompt.request_id
            log.exception("Request %s: the bot %r failed", request_id, name, extra={"request_id": request_id})
            raise BotUnavailable from None

    async def _say(self, prompt: Prompt) -> AsyncGenerator[object, None]:
        talk, text = await self._loaded(), to_prompt_text(prompt)
        on_loop = inspect.iscoroutinefunction(talk) or inspect.isasyncgenfunction(talk)
        said = _say_on_loop(talk(text)) if on_loop else _say_beside_loop(partial(talk, text))
        async with aclosing(said):
            async for thing in said:
                yield thing

    async def _loaded(self) -> Callable[[PromptText], Any]:
        async with self._loading:
            if self._talk is None:
                # An import may take seconds and do anything.
                self._talk = cast(Callable[[PromptText], Any], await call_in_thread(self._load))
            return self._talk

    def _load(self) -> object:
        found = self._entry.load()
        return (found() if isinstance(found, type) else found).talk


async def _say_on_loop(said: Any) -> AsyncGenerator[object, None]:
    if inspect.isawaitable(said):
        yield await said
        return
    async with aclosing(said):
        async for thing in said:
            yield thing


async def _say_beside_loop(talk: Callable[[], object]) -> AsyncGenerator[object, None]:
    async with aclosing(say_in_thread(talk)) as things:
        async for thing in things:
            # A function that only wraps an async one looks like any other until it is called.
            if inspect.isawaitable(thing) or isinstance(thing, AsyncIterator):
                async with aclosing(_say_on_loop(thing)) as inner_things:
                    async for inner in inner_things:
                        yield inner
            else:
                yield thing


async def _to_pieces(said: AsyncGenerator[object, None]) -> AsyncGenerator[Piece, None]:
    """What a plugin says, in the core's words. The pair of text and dict ends it, or `Finished`, or simply its end."""
    texts: list[str] = []
    async with aclosing(said):
        async for thing in said:
            for piece in _read(thing, texts):
                yield piece
                if isinstance(piece, Finished):
                    return
    yield Finished()


def _read(thing: object, texts: list[str]) -> Iterator[Piece]:
    match thing:
        case str() | Text():
            text = to_plain(thing.text if isinstance(thing, Text) else thing)
            if text:
                texts.append(text)
                yield Text(text)
        case Reasoning():
            yield Reasoning(to_plain(thing.text))
        case Finished():
            yield replace(thing, details=_to_details(thing.details))
        case (str() as message, details) if details is None or isinstance(details, Mapping):
            yield from _read(_rest(message, "".join(texts)), texts)
            yield Finished(details=_to_details(details))
        case _:
            raise TypeError(f"talk() gave {type(thing).__name__}, which is neither text nor a pair of text and dict")


def _rest(message: str, said: str) -> str:
    """What of the whole message was not said yet. What was said stands, also where the message is another."""
    plain = to_plain(message)
    if not plain.startswith(said):
        log.warning("A bot's last word is not what it had said; what it had said is kept")
        return ""
    return plain[len(said) :]


def _to_details(details: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """Plain values only: the core keeps them as JSON."""
    if details is None:
        return None
    plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(dict(details), enc_hook=str))
    return plain
