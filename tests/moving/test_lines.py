"""`palaver export FILE` and `palaver import FILE` at their ports: lines, and what is not right about them."""

import io
import json
import re
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from palaver.chat.clock import DAY, SECOND, Micros, SystemClock
from palaver.chat.conversation import Speaking, Usage
from palaver.chat.errors import OverBudget
from palaver.chat.ledger import Budget, Budgets
from palaver.chat.preset import DOMAIN, DomainSettings, NewPreset, PresetChange
from palaver.chat.user import User, UserId
from palaver.moving.lines import LinesImport, NotOurs, write_lines
from palaver.moving.report import Report
from palaver.store import SqlStore, StoreOptions, open_store
from palaver.store.migrate import migrate
from palaver.store.moving.kinds import ALL
from tests.moving.bringing import EXAMPLE, Told, bring
from tests.ports.talking import NOW, answer, new_conversation, new_user, rows, said

PAGE = Path(__file__).parents[2] / "docs" / "moving.md"

POET = NewPreset(name="Poet", prompt="Answer in verse.", speaking=Speaking())


@pytest.fixture
async def empty(tmp_path: Path) -> AsyncIterator[SqlStore]:
    """Another server, with nothing in it."""
    async with open_store(StoreOptions(tmp_path / "another")) as store:
        await migrate(store.database, store.engine)
        yield store


async def write(store: SqlStore, whose: UserId | None = None, *, with_secrets: bool = False) -> str:
    file = io.BytesIO()
    await write_lines(store.writing_out, file, whose, with_secrets=with_secrets, written=lambda: None)
    return file.getvalue().decode()


async def read(store: SqlStore, text: str) -> Told:
    lines: list[str] = []
    report = Report((), lines.append)
    await LinesImport(store.reading_in, SystemClock(), report).run(io.BytesIO(text.encode()))
    return Told(report, lines)


def with_lines(*lines: Any) -> str:
    first = {"kind": "palaver", "version": 1}
    last = {"kind": "end", "lines": len(lines)}
    return "".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in (first, *lines, last))


async def talk(store: SqlStore, who: User, *words: str) -> str:
    """A conversation in which the first message was put anew; gives its UUID."""
    new = new_conversation(who, system_prompt=f"For {who.name}.")
    begun = await store.turns.begin(said(who, "What I did not mean", new))
    usage = Usage(30, 12, 7)
    await answer(store, begun, "Never seen", usage=usage)
    edited = replace(said(who, words[0], new.uuid), edits=begun.turn.prompt.uuid)
    await answer(store, await store.turns.begin(edited), f"Re: {words[0]}", usage=usage)
    for word in words[1:]:
        await answer(store, await store.turns.begin(said(who, word, new.uuid)), f"Re: {word}", "stopped")
    return new.uuid


@pytest.fixture
async def people(store: SqlStore) -> tuple[User, User]:
    """Alice and Bob, who have talked with the bot; an application's users, who have talked with each other; somebody
    who has used tokens and is gone."""
    alice = await store.accounts.add_user(new_user("alice", email="alice@example.com"), password_hash="hash of alice")
    bob = await store.accounts.add_user(new_user("bob"))
    gone = await store.accounts.add_user(new_user("vanished"))
    for who in (alice, bob, gone):
        await talk(store, who, f"{who.name} one", f"{who.name} two")
    await store.accounts.add_token(alice.id, "token", b"digest", "mine", NOW, None)
    await store.accounts.erase_user(gone.id, NOW)
    poet = await store.presets.add(alice, POET, NOW, refuse_taken=None)
    await store.presets.change(poet.id, PresetChange(title="Rhymer"), NOW, by=bob.id)
    await store.presets.share(poet.id, ["bob"])
    await bring(store, EXAMPLE)
    return alice, bob


async def test_export_brought_into_an_empty_server_is_exported_byte_for_byte(
    store: SqlStore, empty: SqlStore, people: tuple[User, User]
) -> None:
    exported = await write(store, with_secrets=True)
    told = await read(empty, exported)
    assert told.lines == []
    assert await write(empty, with_secrets=True) == exported
    # And it is known there, and where it comes from.
    for one in (empty, store):
        assert all(line.split(": ")[1].startswith("0 added") for line in (await read(one, exported)).totals)
    assert await write(store, with_secrets=True) == exported
    assert (await empty.accounts.find_user(people[0].name) or (None, None))[1] == "hash of alice"


async def test_domain_that_nobody_has_changed_is_what_the_settings_say_where_it_was_brought(
    store: SqlStore, empty: SqlStore
) -> None:
    await store.presets.follow_settings(DomainSettings("theirs", 0.1))
    await empty.presets.follow_settings(DomainSettings("ours", 0.2))
    exported = await write(store)
    for _ in range(2):
        await read(empty, exported)
        found = await empty.presets.find(DOMAIN)
        assert found is not None
        assert (found.speaking.model, found.speaking.temperature) == ("ours", 0.2)


@pytest.mark.usefixtures("people")
async def test_conversation_goes_on_where_it_was_brought(store: SqlStore, empty: SqlStore) -> None:
    await read(empty, await write(store))
    found = await empty.accounts.find_person("alice")
    assert found is not None
    [(conversation,)] = await rows(empty, "SELECT uuid FROM conversations WHERE owner_id = $1", found.id)
    begun = await empty.turns.begin(said(found, "alice three", conversation))
    assert [past.content for past in begun.history] == ["Re: alice two", "alice two", "Re: alice one", "alice one"]
    assert begun.system_prompt == "For alice."


@pytest.mark.usefixtures("people")
async def test_export_without_secrets_holds_none(store: SqlStore) -> None:
    assert "hash of alice" in await write(store, with_secrets=True)
    without = await write(store)
    assert "hash of alice" not in without
    assert '"kind":"token"' not in without


async def test_export_of_one_person_holds_nothing_of_others(
    store: SqlStore, empty: SqlStore, people: tuple[User, User]
) -> None:
    alice, bob = people
    exported = await write(store, alice.id)
    assert "alice two" in exported
    for foreign in ("bob", bob.uuid, "vanished", "u-81", "Ahoy", "pirate"):
        assert foreign not in exported
    await read(empty, exported)
    assert await write(empty, UserId(1)) == exported


async def test_what_one_has_said_to_people_is_theirs_and_what_they_said_is_not(store: SqlStore) -> None:
    await bring(store, EXAMPLE)
    [(user,)] = await rows(store, "SELECT id FROM users WHERE name = 'u-81'")
    [(other,)] = await rows(store, "SELECT id FROM users WHERE name = 'u-82'")
    assert "See you?" in await write(store, user)
    assert "See you?" not in await write(store, other)


async def test_reply_that_is_written_just_now_ends_with_the_server_it_is_written_on(
    store: SqlStore, empty: SqlStore
) -> None:
    alice = await store.accounts.add_user(new_user("alice"))
    await store.turns.begin(said(alice, "hello", new_conversation(alice)))
    await read(empty, await write(store))
    found = await rows(empty, "SELECT role, status, content FROM messages ORDER BY number")
    assert [tuple(row) for row in found] == [("user", "complete", "hello"), ("assistant", "failed", "")]
    assert [tuple(row) for row in await rows(empty, "SELECT open_replies FROM conversations")] == [(0,)]


async def test_admin_that_a_first_start_has_made_gets_what_was_the_admins(store: SqlStore, empty: SqlStore) -> None:
    admin = await store.accounts.add_user(new_user("admin"))
    await talk(store, admin, "mine")
    there = await empty.accounts.add_user(new_user("Admin"))
    told = await read(empty, await write(store))
    assert told.lines == ["line 2: admin is here already: what is theirs becomes that one's"]
    assert [row[0] for row in await rows(empty, "SELECT owner_id FROM conversations")] == [there.id]


async def test_preset_that_is_somebody_elses_here_is_not_taken_for_it(store: SqlStore, empty: SqlStore) -> None:
    alice = await store.accounts.add_user(new_user("alice"))
    await store.accounts.add_user(new_user("bob"))
    preset = await store.presets.add(alice, POET, NOW, refuse_taken=None)
    await store.presets.share(preset.id, ["bob"])
    carol = await empty.accounts.add_user(new_user("carol"))
    hers = await empty.presets.add(carol, POET, NOW, refuse_taken=None)
    told = await read(empty, await write(store))
    assert [line.partition(": ")[2] for line in told.lines] == [
        "its name id is that of somebody else's preset here",
        'its preset, "poet", is not here',
    ]
    assert await empty.presets.shared_with(hers.id) == []


async def test_what_was_said_since_is_not_mixed_with_what_is_brought(
    store: SqlStore, empty: SqlStore, people: tuple[User, User]
) -> None:
    await read(empty, await write(store))
    alice = people[0]
    [(conversation,)] = await rows(store, "SELECT uuid FROM conversations WHERE owner_id = $1", alice.id)
    await answer(store, await store.turns.begin(said(alice, "later", conversation)))
    told = await read(empty, await write(store))
    assert len(told.lines) == 2
    assert all(line.endswith("the conversation is here as an older export has it") for line in told.lines)


async def test_what_is_not_right_is_told_with_its_line(store: SqlStore) -> None:
    alice = {
        "kind": "user", "uuid": str(uuid.uuid4()), "type": "person", "name": "alice", "email": "", "full_name": "",
        "is_admin": False, "shows_presence": True, "created_at": 1,
    }  # fmt: skip
    share = {"kind": "preset_share", "preset": "none", "user": alice["uuid"]}
    texts = ("slug", "name", "title", "description", "category", "prompt", "welcome", "tags", "visibility")
    preset = {"kind": "preset", **dict.fromkeys(texts, "x"), "temperature": 10**400}
    told = await read(
        store,
        with_lines(
            alice,
            "[]",
            {"kind": "song"},
            {**alice, "uuid": "x", "name": "b", "is_admin": 1},
            {**alice, "uuid": "y", "name": None},
            {**alice, "uuid": "z", "name": "c", "created_at": 2**70},
            share,
            {"kind": "ledger", "user": alice["uuid"], "day": "x"},
            {"kind": "rules", "rules": 7},
            preset,
        ),
    )
    assert told.lines == [
        "skipped line 3: it is no line of an export",
        "skipped line 4: an unknown kind of line",
        "skipped line 5: its is_admin is not what it should be",
        "skipped line 6: it has no name",
        "skipped line 7: its created_at is no whole number",
        'skipped line 8: its preset, "none", is not here',
        "skipped line 9: its day is no whole number",
        "skipped line 10: they are no rules",
        "skipped line 11: its temperature is not what it should be",
    ]
    assert [row[0] for row in await rows(store, "SELECT name FROM users")] == ["alice"]


async def test_what_was_brought_counts_towards_a_budget_at_once(store: SqlStore) -> None:
    alice = await store.accounts.add_user(new_user("alice"))
    most = Budgets(Budget(tokens_a_day=1000))

    async def reserve() -> int | None:
        until = Micros(NOW + SECOND)
        return await store.ledger.reserve_answer(alice.id, None, Speaking(max_tokens=60), 10, most, NOW, until)

    held = await reserve()
    assert held is not None
    await store.ledger.refund_answer(held)
    sums = {"turns": 1, "prompt_tokens": 990, "completion_tokens": 0, "cached_tokens": 0, "cost": 0}
    used = {"kind": "ledger", "user": alice.uuid, "day": NOW // DAY, "model": "gpt-4", **sums}
    assert (await read(store, with_lines(used))).lines == []
    with pytest.raises(OverBudget):
        await reserve()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}\n",
        EXAMPLE,
        with_lines() + "\n",
        '{"kind": "palaver", "version": 2}\n',
        with_lines({"kind": "user"})[:-20],
    ],
)
async def test_file_that_is_not_whole_or_not_ours_brings_nothing(store: SqlStore, text: str) -> None:
    with pytest.raises(NotOurs):
        await read(store, text)


def test_page_tells_of_every_kind_of_line_and_of_all_that_stands_in_it() -> None:
    page = PAGE.read_text()
    kinds = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", page, re.MULTILINE))
    settings = page.partition("\nThe settings are ")[2].partition(".\n")[0]
    assert kinds.keys() - {kind.name for kind in ALL} == {"kind", "rules", "document_end", "ledger"}
    for kind in ALL:
        names = {column.name.replace("kind", "type") for column in kind.columns}
        told = set(re.findall(r"`(\w+)`", kinds[kind.name] + settings * ("the settings" in kinds[kind.name])))
        assert names - told == set(), kind.name
