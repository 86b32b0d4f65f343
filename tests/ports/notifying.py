"""The words in which the suites say who wrote to whom, where people are reached, and what became of it."""

import asyncio
import uuid
from collections.abc import Collection, Sequence

from palaver.chat.backoff import Backoff
from palaver.chat.clock import SECOND, Micros
from palaver.chat.conversation import ConversationId, MessageId
from palaver.chat.ports import (
    ChannelKind,
    FcmTarget,
    Notice,
    NoticeKind,
    Outcome,
    Sent,
    Target,
    WebPushTarget,
)
from palaver.chat.ports.outbox import Device
from palaver.chat.sender import Sender, SendRules
from palaver.chat.user import TokenId, User, UserId
from palaver.store import SqlStore
from palaver.store.database import Transaction
from palaver.store.outbox import add_notices
from tests.ports.talking import HERE, NOW, rows

ALL: Collection[ChannelKind] = ("web_push", "fcm", "mail", "webhook")

# To the moment, so that a test can say when.
BACKOFF = Backoff(tries=3, base=10.0, cap=100.0, longest_told=3600.0, jitter=lambda: 1.0)
LEASE_SECONDS = 90


class Clock:
    """One that stands still until it is moved."""

    def __init__(self) -> None:
        self.at = NOW

    def now(self) -> Micros:
        return self.at

    def advance(self, seconds: float) -> None:
        self.at = Micros(self.at + int(seconds * SECOND))


class Talk:
    """A conversation of people, as its row stands in the store."""

    def __init__(self, store: SqlStore, id_: ConversationId, uuid_: str, members: Sequence[User]) -> None:
        self.store = store
        self.id = id_
        self.uuid = uuid_
        self.members = members

    async def say(
        self, sender: User, text: str, *, kind: NoticeKind = "message", now: Micros = NOW, keeps: bool = True
    ) -> MessageId:
        """Committed with a notice for everybody else. Without `keeps` all of it is undone at the end."""
        others = [user.id for user in self.members if user.id != sender.id]

        async def work(tx: Transaction) -> MessageId:
            number = await tx.one(
                "UPDATE conversations SET last_number = last_number + 1 WHERE id = $1 RETURNING last_number", self.id
            )
            assert number is not None
            row = await tx.one(
                "INSERT INTO messages (conversation_id, number, uuid, role, status, content, sender_id, created_at) "
                "VALUES ($1, $2, $3, 'user', 'complete', $4, $5, $6) RETURNING id",
                self.id, number[0], str(uuid.uuid4()), text, sender.id, now,
            )  # fmt: skip
            assert row is not None
            await tx.run(
                "UPDATE participants SET unread = unread + 1 WHERE conversation_id = $1 AND user_id <> $2",
                self.id, sender.id,
            )  # fmt: skip
            await add_notices(tx, [(user, self.id, MessageId(row[0]), kind) for user in others], now)
            if not keeps:
                raise Undone
            return MessageId(row[0])

        return await self.store.database.write(work)

    async def set(self, user: User, column: str, value: object) -> None:
        """In what stands of that person here."""
        sql = f"UPDATE participants SET {column} = $3 WHERE conversation_id = $1 AND user_id = $2"
        await self.store.database.write(lambda tx: tx.run(sql, self.id, user.id, value))


class Undone(Exception):
    """The transaction came to nothing."""


async def talk(store: SqlStore, *members: User, title: str = "") -> Talk:
    """A pair, or a group where there are more."""
    uuid_, kind = str(uuid.uuid4()), "pair" if len(members) == 2 else "group"

    async def work(tx: Transaction) -> ConversationId:
        row = await tx.one(
            "INSERT INTO conversations (uuid, kind, owner_id, origin, title, created_at, updated_at) "
            "VALUES ($1, $2, $3, 'chatify', $4, $5, $5) RETURNING id",
            uuid_, kind, members[0].id, title, NOW,
        )  # fmt: skip
        assert row is not None
        await tx.run_many(
            "INSERT INTO participants (conversation_id, user_id, joined_at) VALUES ($1, $2, $3)",
            [(row[0], member.id, NOW) for member in members],
        )
        return ConversationId(row[0])

    return Talk(store, await store.database.write(work), uuid_, members)


async def reached(
    store: SqlStore, user: User, name: str = "phone", *, host: str = "push.example.org", sign_in: TokenId | None = None
) -> Device:
    """A browser of that person."""
    target = WebPushTarget(f"https://{host}/{name}", "key", "secret")
    added = await store.targets.add(user.id, target, host, name, NOW, 20, sign_in)
    assert added is not None
    return added


class Post:
    """Takes what is sent, and says what it was told to say: then `Sent`. It never looks at what it is given."""

    kinds = ALL
    public_key = ""

    def __init__(self) -> None:
        self.says: list[Outcome | Exception] = []
        self.got: list[tuple[Target, Notice]] = []

    def check_target(self, target: Target) -> None:
        """Any will do."""

    async def send(self, target: Target, notice: Notice) -> Outcome:
        self.got.append((target, notice))
        said = self.says.pop(0) if self.says else Sent()
        if isinstance(said, Exception):
            raise said
        return said

    @property
    def notices(self) -> list[Notice]:
        return [notice for _, notice in self.got]

    @property
    def places(self) -> list[str]:
        """The last part of each address."""
        return [place(target) for target, _ in self.got]


def place(target: Target) -> str:
    match target:
        case WebPushTarget():
            return target.endpoint.rpartition("/")[2]
        case FcmTarget():
            return target.token
        case _:
            return str(getattr(target, "url", getattr(target, "address", "")))


class SlowPost(Post):
    """One place never answers."""

    def __init__(self, slow: str) -> None:
        super().__init__()
        self._slow = slow
        self._never = asyncio.Event()
        self.answered = asyncio.Event()
        self.under_way = 0
        self.most_under_way = 0

    async def send(self, target: Target, notice: Notice) -> Outcome:
        if isinstance(target, WebPushTarget) and self._slow in target.endpoint:
            self.under_way += 1
            self.most_under_way = max(self.under_way, self.most_under_way)
            try:
                await self._never.wait()
            finally:
                self.under_way -= 1
        outcome = await super().send(target, notice)
        self.answered.set()
        return outcome


class Stopped(Clock):
    """The process stands still for a minute, once `stops_after` has been asked for so often."""

    def __init__(self, stops_after: int) -> None:
        super().__init__()
        self._left = stops_after

    def now(self) -> Micros:
        self._left -= 1
        if self._left == -1:
            self.advance(60)
        return super().now()


class Eyes:
    """Who has what before them."""

    def __init__(self) -> None:
        self.on: set[tuple[str, UserId]] = set()
        self.closed: set[str] = set()
        """Conversations of which nothing can be told just now."""

    async def is_looking(self, conversation_uuid: str, user: UserId) -> bool:
        if conversation_uuid in self.closed:
            raise ConnectionError
        return (conversation_uuid, user) in self.on


RULES = SendRules(delay_seconds=3, lease_seconds=LEASE_SECONDS, backoff=BACKOFF, public_url="https://chat.example.org")


class Worker:
    """A sender that does its rounds when it is told to."""

    def __init__(
        self, store: SqlStore, clock: Clock, name: str = HERE, post: Post | None = None, rules: SendRules = RULES
    ) -> None:
        self.post = post or Post()
        self.eyes = Eyes()
        self.sender = Sender(store.outbox, self.post, self.eyes, clock, name, rules)

    async def round(self) -> None:
        """All that is due is sent, and settled."""
        await self.sender.look()
        await self.sender.settled()


async def states(store: SqlStore) -> list[tuple[str, str | None]]:
    """Of every row of the outbox, in order, what it is and why."""
    found = await rows(store, "SELECT state, problem FROM outbox ORDER BY id")
    return [(state, problem) for state, problem in found]
