"""Who may do how much: turns a minute, replies and sockets at once, by user, application, conversation and address.

What is decided here is counted by `Counts`, for all workers together. Whoever is refused hears which limit it was and
when to come back, and nothing has changed. Tokens and money are the ledger's, which counts in the store's transactions.
"""

import asyncio
import logging
import secrets
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from itertools import count
from typing import NoReturn, Self
from uuid import UUID

from msgspec import Struct

from palaver.chat.conversation import Conversation, NewConversation
from palaver.chat.counts import LocalCounts
from palaver.chat.errors import Conflict, NotFound, RateLimited
from palaver.chat.limit import NO_OWN, Limit, LimitName, LimitOf, OwnLimits
from palaver.chat.ports import Accounts, Counts, Standing, Store, Wanted
from palaver.chat.user import NOT_STORED, Reader, User, UserId

log = logging.getLogger("palaver.limits")

MINUTE_SECONDS = 60

# The one that was looked up first is forgotten first.
REMEMBERED_CONVERSATIONS = 10_000

# Of so many it is known what a turn takes; all are forgotten where one more comes.
REMEMBERED_CALLERS = 10_000

# How soon every worker holds to what an admin has given somebody.
LOOK_SECONDS = 2.0


class LimitRules(Struct, frozen=True):
    """What the operator has settled for all; 0: no limit."""

    turns_a_minute: int = 0
    app_turns_a_minute: int = 0
    conversation_turns_a_minute: int = 0
    replies_at_once: int = 0
    app_replies_at_once: int = 0
    sockets_at_once: int = 0
    address_sockets_at_once: int = 0
    uploads_at_once: int = 0


class Asked(Struct, frozen=True):
    """Limits, and what has to be had for each: some is `counted` within a time, and some `held` for one moment."""

    limits: tuple[Limit, ...] = ()
    wanted: tuple[Wanted, ...] = ()
    counted: tuple[Wanted, ...] = ()
    held: tuple[Wanted, ...] = ()

    def and_of(self, other: "Asked") -> "Asked":
        """Both, to be had together or not at all."""
        if not (self.wanted and other.wanted):
            return self if self.wanted else other
        return Asked(
            self.limits + other.limits, self.wanted + other.wanted, self.counted + other.counted, self.held + other.held
        )


NOTHING = Asked()


class _Known(Struct, frozen=True):
    """A conversation that goes on, and what anybody's turn in it takes."""

    conversation: Conversation
    asked: Asked


class Given(Struct, frozen=True):
    """What an admin has given somebody; `app` is the application whose user that is."""

    user: User
    app: User | None
    limits: OwnLimits


class Grant(Struct, eq=False):
    """What somebody was granted by `counts`. What is held of it for one moment is given back when the block ends, or,
    where a reply has claimed it, with that reply.

    `refusal`: there are too many replies at once. That forbids no turn whose reply has to wait for another one: it
    takes that one's place. The turn that would start one is refused with it.
    """

    counts: Counts | None = None
    holder: str = ""
    claimed: bool = False
    refusal: RateLimited | None = None
    limits: tuple[Limit, ...] = ()
    """Those at work that were asked for; and in the same order how each of them stands now."""
    standings: Sequence[Standing] = ()
    of_conversation: "Limits | None" = None
    """Set where there is more to ask once the conversation is known."""
    held: tuple[Wanted, ...] = ()
    counted: tuple[Wanted, ...] = ()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        if not self.claimed:
            self.release()

    async def ask_conversation(self, reader: Reader, conversation: str | None, new: NewConversation | None) -> None:
        """As `Limits.allow_conversation`."""
        if self.of_conversation is not None:
            await self.of_conversation.allow_conversation(reader, conversation, new, self)

    def add(self, asked: Asked, standings: Sequence[Standing]) -> Sequence[tuple[Limit, Standing]]:
        """All of it was had; or nothing, and the limits that were met are given."""
        for standing in standings:
            if standing.wait:
                return [(limit, each) for limit, each in zip(asked.limits, standings, strict=True) if each.wait]
        if not self.limits:
            # Nearly all is asked for at once.
            self.limits, self.standings = asked.limits, standings
            self.counted, self.held = asked.counted, asked.held
            return ()
        self.counted += asked.counted
        self.held += asked.held
        self.show(asked.limits, standings)
        return ()

    def show(self, limits: tuple[Limit, ...], standings: Sequence[Standing]) -> None:
        """Whoever asked is told of these, too."""
        self.limits += limits
        self.standings = [*self.standings, *standings]

    def release(self) -> None:
        if self.held and self.counts is not None:
            held, self.held = self.held, ()
            self.counts.give_back(held, self.holder)

    def undo(self) -> None:
        """There was no turn: what was counted is as if it had not been."""
        if self.counted and self.counts is not None:
            counted, self.counted = self.counted, ()
            self.counts.give_back(counted)


class Limits:
    """`counts`: what counts for all workers; without it this process counts for itself."""

    def __init__(
        self, rules: LimitRules | None = None, counts: Counts | None = None, store: Store | None = None
    ) -> None:
        self.rules = rules or LimitRules()
        self._counts = counts or LocalCounts()
        self._store = store
        self._own: Mapping[UserId, OwnLimits] = {}
        self._asked: dict[UserId, Asked] = {}
        self._conversations: dict[str, _Known] = {}
        self._seen: str | None = None
        self._look = asyncio.Event()
        self._name = secrets.token_hex(6)
        self._numbers = count()

    def usual(self, *, is_app: bool) -> OwnLimits:
        """What the settings say of a person, or of an application with all its users; of what is summed up, nothing."""
        rules = self.rules
        if is_app:
            return OwnLimits(rules.app_turns_a_minute, rules.app_replies_at_once, 0)
        return OwnLimits(rules.turns_a_minute, rules.replies_at_once, rules.sockets_at_once)

    # What is asked

    async def allow_turn(self, user: User, address: str | None = None, *, may_wait: bool = True) -> Grant:
        """Whether this caller may begin a turn now. `address` stands for one that nobody would know again; `may_wait`:
        its reply may turn out to have to wait, and then it is none at once.

        Raises `RateLimited`; then nothing was counted.
        """
        grant = Grant(self._counts)
        asked = self._of_turn(user, address)
        met = self._take_now(asked, grant)
        if met is None:
            met = await self._take(asked, grant)
        if met:
            grant.refusal = _to_refusal(met)
            if not may_wait or any(limit.name != "replies_at_once" for limit, _ in met):
                raise grant.refusal
            # Nothing but too many replies at once stands against it: all the rest is had.
            await self._have(self._of_caller(user, address, replies=False), grant)
            grant.show(*_to_shown(met))
        of_its_users = user.kind == "app" and (self.rules.turns_a_minute or self._own)
        if of_its_users or self.rules.conversation_turns_a_minute:
            grant.of_conversation = self
        return grant

    async def allow_search(self, user: User, address: str | None = None) -> Grant:
        """Whether this caller may have documents searched now: it counts as a turn, and holds no reply's place. As
        `allow_turn`."""
        return await self._have(self._of_caller(user, address, replies=False))

    async def allow_among_people(self, speaker: User, conversation: str, *, by_app: bool) -> Grant:
        """What only the conversation tells, and for whom of its users an application speaks: that one has the limits of
        any other. What the caller may was asked before. Raises `RateLimited`, and `NotFound` for who is not in it."""
        asked = self._of_user(speaker, replies=False) if by_app else NOTHING
        if self.rules.conversation_turns_a_minute:
            assert self._store is not None, "limits of conversations want a store"
            # Nobody else can use up what it takes.
            await self._store.connections.check(speaker.id, conversation)
            asked = asked.and_of(self._of_conversation(conversation))
        return await self._have(asked)

    async def allow_reply(self, user: User) -> Grant:
        """Whether one more reply may be made for this one, who has said something to people and named a bot: the
        message was counted before. As `allow_turn`."""
        grant = Grant(self._counts)
        if met := await self._take(self._of_caller(user, turns=False), grant):
            grant.refusal = _to_refusal(met)
            grant.show(*_to_shown(met))
        return grant

    async def allow_conversation(
        self, reader: Reader, conversation: str | None, new: NewConversation | None, grant: Grant | None = None
    ) -> Grant:
        """What only the conversation tells: how much is said in it, and for whom of its users an application speaks.
        It is added to the `grant`, where there is one.

        Raises `RateLimited`, and `NotFound` for one that is not the reader's: nobody else can use up its limit.
        """
        if conversation is not None:
            known = self._conversations.get(conversation)
            if known is None or not known.conversation.admits(reader):
                known = await self._look_up(reader, conversation)
            owner, asked = known.conversation.owner_id, known.asked
        else:
            assert new is not None, "a turn is in a conversation"
            owner, asked = new.owner_id, self._of_conversation(new.uuid)
        if reader.app_id is not None and owner != reader.user_id:
            # The application speaks for one of its users, who has the limits of any other.
            own = self._own.get(owner, NO_OWN)
            most = _pick(own.turns_a_minute, self.rules.turns_a_minute)
            asked = asked.and_of(_ask_turn("user", f"user:{owner}", most))
        return await self._have(asked, grant)

    async def _look_up(self, reader: Reader, uuid: str) -> _Known:
        """Whose it is never changes: a conversation that goes on is looked up once."""
        assert self._store is not None, "limits of conversations want a store"
        found = await self._store.conversations.access(reader, uuid)
        if len(self._conversations) >= REMEMBERED_CONVERSATIONS:
            del self._conversations[next(iter(self._conversations))]
        known = self._conversations[found.uuid] = _Known(found, self._of_conversation(found.uuid))
        return known

    async def allow_socket(self, user: User | None, address: str, *, known: bool = True) -> Grant:
        """Whether there may be one more socket of that caller, and from that address. Raises `RateLimited`."""
        asked = NOTHING
        rules = self.rules
        if user is not None and known:
            default = 0 if user.kind == "app" else rules.sockets_at_once
            most = _pick(self._own.get(user.id, NO_OWN).sockets_at_once, default)
            asked = _ask("sockets_at_once", "user", f"sockets:{_name(user)}", most)
        most = rules.address_sockets_at_once
        of_address = _ask("sockets_at_once", "address", f"sockets:address:{address}", most)
        return await self._have(asked.and_of(of_address))

    async def allow_upload(self, user: User) -> Grant:
        """Whether there may be one more document on its way from that caller. Raises `RateLimited`."""
        return await self._have(_ask("uploads_at_once", "user", f"uploads:{_name(user)}", self.rules.uploads_at_once))

    def _of_turn(self, user: User, address: str | None) -> Asked:
        """What a turn takes: the same one after the other."""
        if address is not None or user.kind == "guest":
            return self._of_caller(user, address)
        asked = self._asked.get(user.id)
        if asked is None:
            if len(self._asked) >= REMEMBERED_CALLERS:
                self._asked.clear()
            asked = self._asked[user.id] = self._of_caller(user)
        return asked

    def _of_caller(self, user: User, address: str | None = None, *, turns: bool = True, replies: bool = True) -> Asked:
        """What a turn takes, or a message without a reply, or a reply without a message."""
        app_id = user.id if user.kind == "app" else user.app_id
        asked = self._of_user(user, address, turns=turns, replies=replies)
        if app_id is None:
            return asked
        own, rules = self._own.get(app_id, NO_OWN), self.rules
        most = _pick(own.turns_a_minute, rules.app_turns_a_minute) if turns else 0
        most_replies = _pick(own.replies_at_once, rules.app_replies_at_once) if replies else 0
        return asked.and_of(_ask_turn("app", f"app:{app_id}", most, most_replies))

    def _of_user(self, user: User, address: str | None = None, *, turns: bool = True, replies: bool = True) -> Asked:
        """What of it counts for a person or an application's user; nothing where the application speaks itself."""
        own, rules = self._own.get(user.id, NO_OWN), self.rules
        most = _pick(own.turns_a_minute, rules.turns_a_minute) if turns else 0
        most_replies = _pick(own.replies_at_once, rules.replies_at_once) if replies else 0
        if user.kind == "app" or not (most or most_replies):
            return NOTHING
        name = _name(user) if address is None else f"address:{address}"
        return _ask_turn("user", name, most, most_replies)

    def _of_conversation(self, uuid: str) -> Asked:
        """What a turn in it takes, whoever says it."""
        return _ask_turn("conversation", f"conversation:{uuid}", self.rules.conversation_turns_a_minute)

    async def _have(self, asked: Asked, grant: Grant | None = None) -> Grant:
        grant = grant or Grant(self._counts)
        met = self._take_now(asked, grant)
        if met is None:
            met = await self._take(asked, grant)
        if met:
            # What was granted before counts for nothing, if this is refused.
            grant.undo()
            raise _to_refusal(met)
        return grant

    async def _take(self, asked: Asked, grant: Grant) -> Sequence[tuple[Limit, Standing]]:
        """Adds what was asked for to the grant; or nothing, and gives the limits that were met."""
        met = self._take_now(asked, grant)
        if met is None:
            met = grant.add(asked, await self._counts.take(asked.wanted, grant.holder))
        return met

    def _take_now(self, asked: Asked, grant: Grant) -> Sequence[tuple[Limit, Standing]] | None:
        """As `_take`, without a coroutine, for what every turn asks; None where it has to be waited for."""
        if not asked.wanted:
            return ()
        if asked.held and not grant.holder:
            # Somebody who is nobody else in any worker.
            grant.holder = f"{self._name}:{next(self._numbers)}"
        standings = self._counts.take_now(asked.wanted, grant.holder)
        return None if standings is None else grant.add(asked, standings)

    # What admins give

    async def all_given(self) -> Sequence[Given]:
        """Of all who have limits of their own, by name."""
        assert self._store is not None, "what admins give is in the store"
        limits = await self._store.limits.all()
        users = await self._store.accounts.get_users(limits)
        apps = await self._store.accounts.get_users({user.app_id for user in users.values() if user.app_id})
        named = sorted(users.values(), key=lambda user: (user.name, user.id))
        return [Given(user, apps.get(user.app_id or NOT_STORED), limits[user.id]) for user in named]

    async def given(self, named: str) -> Given:
        """Raises as `find_named`."""
        assert self._store is not None, "what admins give is in the store"
        user = await find_named(self._store.accounts, named)
        app = None if user.app_id is None else await self._store.accounts.get_user(user.app_id)
        return Given(user, app, await self._store.limits.get(user.id))

    async def give(self, named: str, limits: OwnLimits) -> Given:
        """This worker holds to them from now on, the others soon. Raises as `find_named`."""
        assert self._store is not None, "what admins give is in the store"
        before = await self.given(named)
        await self._store.limits.put(before.user.id, limits)
        self._look.set()
        return Given(before.user, before.app, limits)

    async def follow(self) -> None:
        """What admins have given, as the store has it now. Raises `StoreUnavailable`."""
        assert self._store is not None, "what admins give is in the store"
        changes = await self._store.limits.changes()
        if changes != self._seen:
            self._own = await self._store.limits.all()
            self._asked.clear()
            self._seen = changes

    async def watch(self) -> NoReturn:
        """Runs until cancelled. All workers read one row now and then, so that no turn has to look anybody up."""
        while True:
            try:
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._look.wait()
            except TimeoutError:
                pass
            self._look.clear()
            try:
                await self.follow()
            except OSError as error:
                # What was known still holds; the next look tells.
                log.debug("the limits of single users cannot be looked up just now: %s", error)
            except Exception:
                # A fault in one round must not end all the rounds to come.
                log.exception("the limits of single users cannot be looked up")


async def find_named(accounts: Accounts, named: str) -> User:
    """Whoever has this UUID; else the person or the application of this name. An e-mail will not do, as for `People`.

    Raises `NotFound`, and `Conflict` where a person and an application have the name.
    """
    with suppress(ValueError):
        known = await accounts.get_user_by_uuid(str(UUID(named)))
        if known is not None:
            return known
    person, app = await accounts.find_person(named), await accounts.find_app(named)
    if person is not None and app is not None:
        raise Conflict
    if person is not None:
        return person
    if app is None:
        raise NotFound
    return app


# A few, which every turn is asked for: what is told of them is remembered by them (api/limited.py).
_to_limit = lru_cache(maxsize=1000)(Limit)


# The same at each turn of somebody.
@lru_cache(maxsize=4000)
def _ask_turn(of: LimitOf, name: str, turns: int, replies: int = 0) -> Asked:
    counted = _ask("turns_a_minute", of, f"turns:{name}", turns)
    return counted.and_of(_ask("replies_at_once", of, f"replies:{name}", replies))


def _ask(name: LimitName, of: LimitOf, key: str, most: int) -> Asked:
    """Nothing, where there is no such limit."""
    if not most:
        return NOTHING
    seconds = MINUTE_SECONDS if name == "turns_a_minute" else 0
    wanted = (Wanted(key, most, seconds),)
    return Asked((_to_limit(name, most, seconds, of),), wanted, wanted if seconds else (), () if seconds else wanted)


def _pick(own: int | None, default: int) -> int:
    return default if own is None else own


def _to_shown(met: Sequence[tuple[Limit, Standing]]) -> tuple[tuple[Limit, ...], Sequence[Standing]]:
    limits, standings = zip(*met, strict=True)
    return limits, standings


def _to_refusal(met: Sequence[tuple[Limit, Standing]]) -> RateLimited:
    limit, standing = max(met, key=lambda one: one[1].wait)
    return RateLimited(standing.wait, limit)


def _name(user: User) -> str:
    """A guest gets its row, and with it a number, in the middle of things."""
    return f"guest:{user.uuid}" if user.kind == "guest" else f"user:{user.id}"
