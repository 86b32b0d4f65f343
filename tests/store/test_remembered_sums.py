"""Whatever happens in whatever order: SQLite's writer remembers of those who pay what the database says.

Less, and somebody could pass a budget; more, and somebody would be locked out.
"""

import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import NoReturn

import apsw
import pytest
from msgspec.structs import replace

from palaver.chat.clock import DAY, SECOND, Micros
from palaver.chat.conversation import End, Speaking, Usage, WhenBusy
from palaver.chat.errors import ChatError, NotFound
from palaver.chat.ledger import Budget, Budgets, DatedPrice, Price, Spent, month_of
from palaver.chat.ports import AnotherReply, Begun
from palaver.chat.user import Reader, User
from palaver.store import SqlStore, StoreOptions, open_store, sqlite_spending
from palaver.store.database import Transaction
from palaver.store.migrate import migrate
from palaver.store.payers import payers_of
from palaver.store.sqlite import SqliteDatabase
from palaver.store.sqlite_spending import ADD_UP_BY, HELD_BY, recall
from tests.ports.recalled import check_remembered, remembered
from tests.ports.talking import HERE, NOW, ending, new_conversation, new_user, said
from tests.promises import Measured

pytestmark = pytest.mark.proof("money")

BUSY: Sequence[WhenBusy] = ("queue", "interrupt")
ENDS: Sequence[End] = ("complete", "complete", "stopped", "failed")
CHANGES = (
    "UPDATE messages SET reserved_tokens = reserved_tokens + 70 WHERE status = 'running'",
    "UPDATE ledger SET prompt_tokens = 0",
    f"INSERT INTO reservations (payer_id, tokens, money, until) VALUES (1, 7, 7, {NOW + 1000 * DAY})",
)
EVERYBODY = Budgets(Budget(3000, 20_000, 10_000), Budget(20_000, 100_000, 50_000))


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqlStore]:
    async with open_store(StoreOptions(tmp_path)) as store:
        await migrate(store.database, store.engine)
        await store.ledger.add_price(DatedPrice("gpt-4", NOW, Price(1_000_000, 100_000, 2_000_000)))
        yield store


class Happening:
    """What people, workers and other processes do, one after the other, as the dice fall."""

    def __init__(self, store: SqlStore, file: Path, people: list[User], dice: random.Random) -> None:
        self._store = store
        self._file = file
        self._people = people
        self._dice = dice
        self.now = NOW
        self._numbers = count()
        self._talks: list[tuple[User, str]] = []
        self._running: list[Begun] = []
        self._answers: list[int] = []
        self.happened: dict[str, int] = {}

    async def go_on(self) -> None:
        common: list[Callable[[], Awaitable[None]]] = [self.begins, self.begins, self.ends, self.ends, self.says_more]
        rare: list[Callable[[], Awaitable[None]]] = [
            self.asks_again, self.edits, self.deletes, self.ends_the_talk, self.fails, self.fails_without_a_change,
            self.cannot_be_committed,
            self.looks_at_answers, self.has_answered, self.changes_the_price, self.writes_from_elsewhere,
            self.another_day_comes, self.is_swept,
        ]  # fmt: skip
        what = self._dice.choice(common if self._dice.random() < 0.7 else rare)
        try:
            await what()
        except ChatError as refused:
            self._count(f"{what.__name__}: {type(refused).__name__}")
        else:
            self._count(what.__name__)

    def _any_talk(self) -> tuple[User, str]:
        if not self._talks:
            raise NotFound
        return self._dice.choice(self._talks)

    def _count(self, what: str) -> None:
        self.happened[what] = self.happened.get(what, 0) + 1

    async def begins(self) -> None:
        who = self._dice.choice(self._people)
        new = new_conversation(who, speaking=Speaking(model="gpt-4", max_tokens=self._dice.choice((50, 100, 400))))
        await self._say(who, new.uuid, new=True)

    async def says_more(self) -> None:
        if self._talks:
            await self._say(*self._dice.choice(self._talks))

    async def _say(self, who: User, talk: str, *, new: bool = False) -> None:
        where = replace(new_conversation(who, speaking=Speaking(model="gpt-4", max_tokens=100)), uuid=talk)
        busy = self._dice.choice(BUSY)
        turn = said(
            who, "hello", where if new else talk, client_id=f"c{next(self._numbers)}", when_busy=busy, now=self.now,
            lease_until=Micros(self.now + 10 * SECOND),
        )  # fmt: skip
        begun = await self._store.turns.begin(replace(turn, budgets=EVERYBODY))
        if new:
            self._talks.append((who, begun.turn.conversation.uuid))
        self._note(begun)

    def _note(self, begun: Begun | None) -> None:
        if begun is not None and begun.state == "started":
            self._running.append(begun)

    async def ends(self) -> None:
        if self._running:
            begun = self._running.pop(self._dice.randrange(len(self._running)))
            end = self._dice.choice(ENDS)
            usage = self._dice.choice((None, Usage(40, 20, 10), Usage(100, 90)))
            text = "" if end == "failed" else "An answer."
            ended = await self._store.turns.finish(
                replace(ending(begun, text, end, usage=usage, promote=True, now=self.now), billed_as="gpt-4")
            )
            self._note(ended.next)

    async def asks_again(self) -> None:
        who, talk = self._any_talk()
        asked = AnotherReply(
            Reader(who.id), talk, None, self.now, HERE, Micros(self.now + 10 * SECOND), "queue", EVERYBODY
        )
        self._note(await self._store.turns.begin_another(asked))

    async def edits(self) -> None:
        who, talk = self._any_talk()
        find = (
            "SELECT m.uuid FROM messages m JOIN conversations c ON c.id = m.conversation_id "
            "WHERE c.uuid = $1 AND m.role = 'user' AND m.in_view"
        )
        row = await self._store.database.read(lambda tx: tx.one(find, talk))
        if row is not None:
            turn = said(who, "hello, rather", talk, client_id=f"c{next(self._numbers)}", now=self.now)
            self._note(await self._store.turns.begin(replace(turn, edits=row[0], budgets=EVERYBODY)))

    async def deletes(self) -> None:
        if self._talks:
            who, talk = self._talks.pop(self._dice.randrange(len(self._talks)))
            await self._store.conversations.delete(Reader(who.id), talk, self.now)

    async def ends_the_talk(self) -> None:
        who, talk = self._any_talk()
        await self._store.conversations.end(Reader(who.id), talk, self.now)

    async def fails(self) -> None:
        changes = self._dice.sample(CHANGES, self._dice.randint(1, len(CHANGES)))

        async def work(tx: Transaction) -> NoReturn:
            for change in changes:
                await tx.run(change)
            # What is looked up meanwhile is found so.
            await recall(tx, payers_of(self._dice.choice(self._people).id, None), self.now)
            raise NotFound

        await self._store.database.write(work)

    async def cannot_be_committed(self) -> None:
        async def work(tx: Transaction) -> None:
            for change in CHANGES:
                await tx.run(change)

        database = self._store.database
        assert isinstance(database, SqliteDatabase)
        database._connection.set_commit_hook(lambda: True)
        with pytest.raises(apsw.ConstraintError):
            await database.write(work)
        database._connection.set_commit_hook(None)

    async def fails_without_a_change(self) -> None:
        async def work(_tx: Transaction) -> NoReturn:
            raise NotFound

        known = await remembered(self._store)
        with pytest.raises(NotFound):
            await self._store.database.write(work)
        assert await remembered(self._store) == known

    async def looks_at_answers(self) -> None:
        who = self._dice.choice(self._people)
        until = Micros(self.now + DAY)
        held = await self._store.ledger.reserve_answer(
            who.id, who.app_id, Speaking(model="gpt-4", max_tokens=50), 10, EVERYBODY, self.now, until
        )
        if held is not None:
            self._answers.append(held)

    async def has_answered(self) -> None:
        if self._answers:
            who, held = self._dice.choice(self._people), self._answers.pop()
            await self._store.ledger.add_usage(
                who.id, who.app_id, "gpt-4", Usage(30, 30), self.now, billed_as="gpt-4", reservation=held
            )

    async def changes_the_price(self) -> None:
        since = Micros(self.now + next(self._numbers))
        await self._store.ledger.add_price(DatedPrice("gpt-4", since, Price(2_000_000, 100_000, 1_000_000)))

    async def writes_from_elsewhere(self) -> None:
        with closing(apsw.Connection(str(self._file))) as other:
            other.execute("UPDATE messages SET reserved_tokens = reserved_tokens + 5 WHERE status = 'running'")
            other.execute("UPDATE ledger SET completion_tokens = completion_tokens + 1")

    async def another_day_comes(self) -> None:
        """Or the one before: a clock may be put right."""
        self.now = Micros(max(NOW, self.now + self._dice.choice((-1, 1, 1, 40)) * DAY))

    async def is_swept(self) -> None:
        self._running.clear()
        for left in await self._store.turns.abandoned(Micros(self.now + 60 * DAY), Micros(self.now + 59 * DAY)):
            await self._store.turns.finish(left)
        worker, lease = "next-worker", Micros(self.now + 10 * SECOND)
        for begun in await self._store.turns.promote_waiting(worker, self.now, lease):
            await self._store.turns.finish(ending(begun, worker=worker, usage=Usage(10, 10), now=self.now))


async def check_looked_up(store: SqlStore, who: User, now: Micros) -> None:
    """And what a turn is told of somebody is that of its own day."""

    async def work(tx: Transaction) -> None:
        told, _ = await recall(tx, payers_of(who.id, who.app_id), now)
        for payer in payers_of(who.id, who.app_id):
            row = await tx.one(ADD_UP_BY[payer.of], payer.id, now // DAY, month_of(now).first_day)
            held = await tx.one(HELD_BY[payer.of], payer.id, now)
            assert row is not None
            assert held is not None
            assert told[payer.scope] == Spent(*row[:3], *held)

    await store.database.write(work)


async def test_what_is_remembered_is_what_the_database_says_whatever_happens(
    store: SqlStore, tmp_path: Path, dice: random.Random, prove: bool, monkeypatch: pytest.MonkeyPatch,
    measured: Measured,
) -> None:  # fmt: skip
    # So that some have to be forgotten.
    monkeypatch.setattr(sqlite_spending, "MOST", 4)
    people = [await store.accounts.add_user(new_user(f"user-{number}")) for number in range(4)]
    shop = await store.accounts.add_user(new_user("shop", "app"))
    people += [
        await store.accounts.add_user(new_user(f"customer-{number}", "app_user", app_id=shop.id)) for number in range(3)
    ]
    happening = Happening(store, tmp_path / "palaver.sqlite3", people, dice)
    steps = 4_000 if prove else 400
    most = 0
    for _ in range(steps):
        await happening.go_on()
        await check_remembered(store)
        await check_looked_up(store, dice.choice(people), happening.now)
        most = max(most, len(await remembered(store)))
    assert most > 3
    assert len(happening.happened) > 12
    measured("things that happened", steps, "")
