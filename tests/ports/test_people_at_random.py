"""Whatever people do to each other in whatever order: counters equal a count, and who comes back sees what all see."""

import asyncio
import uuid
from collections.abc import Awaitable
from contextlib import suppress
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from palaver.chat.clock import Micros
from palaver.chat.cursor import Mark
from palaver.chat.errors import ChatError, NotFound
from palaver.chat.events import MessageSaid
from palaver.chat.ports import GroupChange, NewSaid, Seat
from palaver.chat.room import to_events
from palaver.chat.user import Reader
from palaver.store import SqlStore
from tests.ports.talking import NOW, new_user
from tests.ports.test_connections import recount
from tests.promises import Measured

T = TypeVar("T")

PEOPLE = ("ann", "ben", "cid", "dan")
WHO = st.integers(0, len(PEOPLE) - 1)
WHERE = st.sampled_from(["group", "pair"])
WHICH = st.integers(0, 5)

# A conversation's messages as somebody sees them: number, words.
View = list[tuple[int, str]]


class Talk(RuleBasedStateMachine):
    """Four people, a group and a pair of two of them. `told` is what each of them has heard by now."""

    loop: asyncio.AbstractEventLoop
    store: SqlStore

    def run(self, work: Awaitable[T]) -> T:
        async def wait() -> T:
            return await work

        return asyncio.run_coroutine_threadsafe(wait(), self.loop).result(60)

    def tried(self, work: Awaitable[Any]) -> bool:
        """Whether it was carried out; refused, it has changed nothing that is looked at below."""
        with suppress(ChatError):
            self.run(work)
            return True
        return False

    @initialize()
    def begin(self) -> None:
        self.now = NOW
        # Each example has people of its own, in one database.
        self.people = [self.run(self.store.accounts.add_user(new_user(f"{name}{uuid.uuid4().hex}"))) for name in PEOPLE]
        ann, ben, cid, _ = self.people
        connections = self.store.connections
        made = self.run(connections.make_group(ann, [ben, cid], "Us", str(uuid.uuid4()), NOW))
        pair, _ = self.run(connections.find_or_make_pair(ann, ben, ann.id, str(uuid.uuid4()), NOW))
        self.places = {"group": made.conversation.uuid, "pair": pair.conversation.uuid}
        self.begun = [*self.places.values()]
        self.in_group = {ann.id, ben.id, cid.id}
        self.told: dict[tuple[int, str], tuple[Mark, View]] = {}
        for where in ("group", "pair"):
            self.chat([0, 1, 0], where)

    def seat(self, who: int) -> Seat:
        return Seat(self.people[who].id)

    def is_in(self, who: int, where: str) -> bool:
        return self.people[who].id in self.in_group if where == "group" else who < 2

    def listed(self, who: int, where: str) -> list[Any]:
        """All messages, for who is in it; who is not, finds nothing."""
        messages = self.store.connections.messages(self.seat(who), self.places[where], before=None, limit=1000)
        if self.is_in(who, where):
            return list(self.run(messages)[0])
        with suppress(NotFound):
            self.run(messages)
            raise AssertionError("somebody reads who is not in it")
        return []

    def pick(self, who: int, where: str, which: int) -> str:
        """One of the last messages."""
        listed = self.listed(who, where)
        return listed[-1 - which % len(listed)].message.uuid if listed else str(uuid.uuid4())

    @rule(who=WHO, where=WHERE, client_id=st.sampled_from([None, None, "k1", "k2"]))
    def say(self, who: int, where: str, client_id: str | None) -> None:
        self.now = Micros(self.now + 1)
        text = f"{self.now}" if client_id is None else f"always {client_id} @{self.people[0].name}"
        said = NewSaid(self.seat(who), self.places[where], text, 1, self.now, client_id)
        assert not self.tried(self.store.connections.say(said)) or self.is_in(who, where)

    @rule(who=st.lists(st.integers(0, 1), min_size=1, max_size=4), where=WHERE)
    def chat(self, who: list[int], where: str) -> None:
        for one in who:
            self.say(one, where, None)

    @rule(who=WHO, where=WHERE, which=WHICH)
    def edit(self, who: int, where: str, which: int) -> None:
        self.now = Micros(self.now + 1)
        message, text = self.pick(who, where, which), f"edited {self.now}"
        edited = self.store.connections.edit(self.seat(who), self.places[where], message, text, 2, self.now)
        assert not self.tried(edited) or self.is_in(who, where)

    @rule(who=WHO, where=WHERE, which=WHICH)
    def remove(self, who: int, where: str, which: int) -> None:
        message = self.pick(who, where, which)
        self.tried(self.store.connections.remove(self.seat(who), self.places[where], message, self.now))

    @rule(who=WHO, where=WHERE, which=WHICH)
    def read(self, who: int, where: str, which: int) -> None:
        message = self.pick(who, where, which)
        self.tried(self.store.connections.read_up_to(self.seat(who), self.places[where], message, self.now))

    @rule(who=WHO, other=WHO)
    def leave(self, who: int, other: int) -> None:
        """Or remove somebody."""
        if self.tried(self.store.connections.leave(self.seat(who), self.places["group"], self.people[other].id, NOW)):
            self.in_group.remove(self.people[other].id)

    @rule(who=WHO, other=WHO)
    def invite(self, who: int, other: int) -> None:
        coming = [self.people[other]]
        if self.tried(self.store.connections.invite(self.seat(who), self.places["group"], coming, self.now, 100)):
            self.in_group.add(self.people[other].id)
            self.told.pop((other, "group"), None)

    @rule(who=WHO, other=WHO, manages=st.booleans())
    def let_manage(self, who: int, other: int, manages: bool) -> None:
        group, person = self.places["group"], self.people[other].id
        self.tried(self.store.connections.let_manage(self.seat(who), group, person, manages=manages))

    @rule(who=WHO, muted=st.booleans())
    def mute(self, who: int, muted: bool) -> None:
        self.tried(self.store.connections.mute(self.seat(who), self.places["group"], muted=muted))

    @rule(who=WHO, title=st.sampled_from(["Us", "Them"]))
    def rename(self, who: int, title: str) -> None:
        change = GroupChange(title=title)
        self.tried(self.store.connections.change(self.seat(who), self.places["group"], change, NOW))

    @rule(who=WHO, other=WHO, on=st.booleans())
    def block(self, who: int, other: int, on: bool) -> None:
        blocker, blocked = self.people[who].id, self.people[other].id
        if who != other and on:
            self.run(self.store.connections.block(blocker, blocked, NOW))
        else:
            self.run(self.store.connections.unblock(blocker, blocked))

    @rule(who=st.integers(0, 1))
    def end(self, who: int) -> None:
        assert self.tried(self.store.connections.end(self.seat(who), self.places["pair"], self.now))

    @rule(who=st.integers(0, 1))
    def begin_again(self, who: int) -> None:
        one, other = self.people[who], self.people[1 - who]
        self.now = Micros(self.now + 1)
        pair = self.store.connections.find_or_make_pair(one, other, one.id, str(uuid.uuid4()), self.now)
        with suppress(ChatError):
            made, is_new = self.run(pair)
            assert is_new or made.conversation.uuid == self.places["pair"]
            self.places["pair"] = made.conversation.uuid
            if is_new:
                self.begun.append(made.conversation.uuid)
                self.told.pop((0, "pair"), None)
                self.told.pop((1, "pair"), None)

    @rule(who=WHO, where=WHERE)
    def come_back(self, who: int, where: str) -> None:
        """What was heard with what came since is what a fresh look tells."""
        if not self.is_in(who, where):
            self.told.pop((who, where), None)
            return
        uuid_, reader = self.places[where], Reader(self.people[who].id)
        fresh = [(one.message.number, one.message.content) for one in self.listed(who, where)]
        assert [number for number, _ in fresh] == list(range(1, len(fresh) + 1))
        mark, view = self.told.get((who, where), (Mark(0, 0, 0), []))
        found = self.run(self.store.events.since(reader, uuid_, mark))
        if found.known:
            events = to_events(found, mark)
            assert [event.mark.event for event in events if isinstance(event, MessageSaid)] == sorted(
                {event.mark.event for event in events if isinstance(event, MessageSaid)}
            )
            said = [event.message for event in events if isinstance(event, MessageSaid)]
            view = view + [(message.number, message.content) for message in said]
            assert view == fresh
        self.told[who, where] = (found.present.mark, fresh)

    @invariant()
    def counters_are_true(self) -> None:
        assert self.run(recount(self.store, *self.begun)) == []

    @invariant()
    def somebody_manages(self) -> None:
        for user_id in list(self.in_group)[:1]:
            members = self.run(self.store.connections.get(Seat(user_id), self.places["group"])).members
            assert {member.user.id for member in members} == self.in_group
            assert any(member.manages for member in members)

    def teardown(self) -> None:
        """All who are in it see the same."""
        for where in ("group", "pair"):
            views = [
                [(one.message.number, one.message.content, one.message.sender) for one in self.listed(who, where)]
                for who in range(len(PEOPLE))
                if self.is_in(who, where)
            ]
            assert all(view == views[0] for view in views)


@pytest.mark.proof("people")
async def test_whatever_people_do_counters_are_true_and_who_comes_back_sees_what_all_see(
    store: SqlStore, prove: bool, measured: Measured
) -> None:
    """Four people in a group and a pair: they say, edit, remove, leave, invite and block in any order."""

    class Here(Talk):
        pass

    Here.loop, Here.store = asyncio.get_running_loop(), store
    # Ten thousand steps, where all is to be proven.
    chosen = settings(
        max_examples=200 if prove else 12,
        stateful_step_count=50 if prove else 40,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    measured("stories", chosen.max_examples, "")
    measured("steps in each, at most", chosen.stateful_step_count, "")
    # Hypothesis waits for nothing: it is at work beside the loop, which all tests share.
    await asyncio.to_thread(run_state_machine_as_test, Here, settings=chosen)
