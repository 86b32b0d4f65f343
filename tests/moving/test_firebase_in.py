"""`palaver import firebase` at its port: what becomes of an export, of the same once more, and of a newer one."""

import json
import uuid
from collections.abc import Sequence
from typing import Any

import pytest

from palaver.chat.clock import SECOND, Micros
from palaver.chat.conversation import Conversation
from palaver.chat.moved import Arrived, Part
from palaver.chat.ports import Begun
from palaver.chat.user import Reader
from palaver.moving import firebase_in
from palaver.moving.json_stream import Unreadable
from palaver.store import SqlStore
from palaver.store.database import Row
from palaver.store.moving import SqlArriving
from palaver.store.texts import Texts
from tests.moving.bringing import (
    EXAMPLE,
    SESSION,
    bring,
    one_connection,
    one_session,
    read_session,
    take,
)
from tests.ports.talking import ending, said

AT = 1_772_439_331_000


async def rows(store: SqlStore, sql: str, *values: Any) -> list[Row]:
    return [tuple(row) for row in await store.database.read(lambda tx: tx.all(sql, *values))]


async def test_example_becomes_a_preset_a_session_and_a_connection(store: SqlStore) -> None:
    told = await bring(store, EXAMPLE)
    assert told.counts == {
        "templates": (1, 0, 0),
        "userSessions": (1, 0, 0),
        "conversation_history": (2, 0, 0),
        "connections": (1, 0, 0),
        "messages": (1, 0, 0),
    }
    assert told.lines == []
    preset = await store.presets.find("pirate")
    assert preset is not None
    assert (preset.name, preset.prompt, preset.is_public) == ("Pirate", "You talk like a pirate.", True)
    assert (preset.speaking.model, preset.speaking.temperature, preset.usage_count) == ("gpt-4o-mini", 0.9, 1)
    session, messages = await read_session(store)
    assert [(one.role, one.content, one.created_at) for one in messages] == [
        ("user", "Ahoy", AT * 1000),
        ("assistant", "Arr!", AT * 1000),
    ]
    assert (session.exchange_count, session.message_count, session.ended) == (1, 2, False)
    assert (session.preset_slug, session.label, session.last_message_at) == ("pirate", "u-81", AT * 1000)
    assert await rows(
        store, "SELECT kind, status, pair_key IS NULL, message_count FROM conversations WHERE kind <> 'bot'"
    )
    assert await rows(store, "SELECT name FROM users WHERE kind = 'app_user' ORDER BY name") == [("u-81",), ("u-82",)]


async def test_example_imported_again_changes_nothing(store: SqlStore) -> None:
    await bring(store, EXAMPLE)
    before = await take(store)
    told = await bring(store, EXAMPLE)
    assert told.counts == {
        "templates": (0, 1, 0),
        "userSessions": (0, 1, 0),
        "conversation_history": (0, 2, 0),
        "connections": (0, 1, 0),
        "messages": (0, 1, 0),
    }
    assert await take(store) == before


async def test_dry_run_tells_the_same_and_changes_nothing(store: SqlStore) -> None:
    told = await bring(store, EXAMPLE, dry=True)
    assert await rows(store, "SELECT id FROM users") == []
    assert await rows(store, "SELECT digest FROM moved") == []
    assert told.counts == (await bring(store, EXAMPLE)).counts


async def test_order_of_the_sections_does_not_matter(store: SqlStore) -> None:
    session = one_session(("user", "Ahoy"), template_id="pirate")
    await bring(store, {**session, "templates": {"pirate": {"systemPrompt": "Arr.", "temperature": 1.5}}})
    conversation, _ = await read_session(store)
    assert (conversation.preset_slug, conversation.speaking.temperature) == ("pirate", 1.5)


async def test_field_that_makes_no_sense_is_told_with_its_path_and_the_rest_is_taken(store: SqlStore) -> None:
    told = await bring(
        store,
        {
            "templates": {
                "odd": {"personalityPrompt": "Be odd.", "temperature": "hot", "isPublic": "maybe", "max_tokens": 50}
            },
            "userSessions": {
                "s1": {"user_id": "u-1", "created_at": "garbage", "message_count": "many", "ended_at": None}
            },
        },
    )
    assert [line.partition(":")[0] for line in sorted(told.lines)] == [
        "templates/odd/isPublic", "templates/odd/temperature",
        "userSessions/s1/created_at", "userSessions/s1/message_count",
    ]  # fmt: skip
    assert (told.counts["templates"], told.counts["userSessions"]) == ((1, 0, 0), (1, 0, 0))
    preset = await store.presets.find("odd")
    assert preset is not None
    assert (preset.is_public, preset.speaking.temperature, preset.speaking.max_tokens) == (False, 0.9, 50)


async def test_number_of_any_size_that_makes_no_sense_is_told_with_its_path(store: SqlStore) -> None:
    huge, digits = 10**400, "9" * 5000
    told = await bring(
        store,
        {
            "templates": {"odd": {"personalityPrompt": "Be odd.", "temperature": huge, "maxTokens": -huge}},
            **one_session(
                {"role": "user", "content": "x", "timestamp": digits}, created_at=AT, last_activity=digits,
                message_count=huge,
            ),
        },
    )  # fmt: skip
    assert [line.partition(":")[0] for line in sorted(told.lines)] == [
        "templates/odd/maxTokens", "templates/odd/temperature",
        f"userSessions/{SESSION}/last_activity", f"userSessions/{SESSION}/message_count",
    ]  # fmt: skip
    _, [said] = await read_session(store)
    assert said.created_at == AT * 1000


@pytest.mark.parametrize(
    ("written", "is_public"),
    [({}, True), ({"isPublic": None}, True), ({"isPublic": True}, True), ({"isPublic": "true"}, True),
     ({"isPublic": 1}, True), ({"isPublic": "false"}, False), ({"isPublic": 0}, False), ({"isPublic": "no"}, False)],
)  # fmt: skip
async def test_template_is_public_where_nothing_else_is_said(
    store: SqlStore, written: dict[str, object], is_public: bool
) -> None:
    await bring(store, {"templates": {"one": {"personalityPrompt": "Be one.", **written}}})
    preset = await store.presets.find("one")
    assert preset is not None
    assert preset.is_public == is_public


async def test_each_skipped_item_is_told_with_its_path_and_the_reason(store: SqlStore) -> None:
    told = await bring(
        store,
        {
            "users": {"u-1": {}},
            "templates": {"empty": {"name": "Empty"}, "odd": 7, "long": {"personalityPrompt": "x" * 20_001}},
            "userSessions": {
                "s1": {"status": "active"},
                "s2": {
                    "user_id": "u-1",
                    "conversation_history": {
                        "-N1": {"role": "tool", "content": "x"},
                        "-N2": {"role": "user"},
                        "-N3": "x",
                        "-N4": {"role": "user", "content": "a\0b"},
                        "-N5": {"role": "user", "content": "good"},
                    },
                },
                "s3": {"user_id": "u" * 256},
            },
            "connections": {
                "c1": {"user1Id": "u-1", "status": "active"},
                "c2": {"user1Id": "u-1", "user2Id": "u-1"},
                "c3": {"user1Id": "u-1", "user2Id": "u-2", "messages": [None, {"senderId": "u-3", "content": "x"}]},
                "c4": None,
            },
        },
    )
    assert sorted(told.lines) == [
        "skipped connections/c1: no user2Id",
        "skipped connections/c2: a connection of a user with itself",
        "skipped connections/c3/messages/1: its sender is not of the pair",
        "skipped templates/empty: no prompt",
        "skipped templates/long: its prompt has more than 20000 characters",
        "skipped templates/odd: it is no object",
        "skipped userSessions/s1: no user_id",
        "skipped userSessions/s2/conversation_history/-N1: unknown role",
        "skipped userSessions/s2/conversation_history/-N2: no content",
        "skipped userSessions/s2/conversation_history/-N3: it is no object",
        "skipped userSessions/s2/conversation_history/-N4: its content holds a character that cannot be kept",
        "skipped userSessions/s3: its user_id has more than 255 characters",
        "skipped users: unknown top-level key",
    ]
    assert told.counts == {
        "templates": (0, 0, 3),
        "userSessions": (1, 0, 2),
        "conversation_history": (1, 0, 4),
        "connections": (1, 0, 2),
        "messages": (0, 0, 1),
        "top level": (0, 0, 1),
    }


@pytest.mark.parametrize(
    "text", ["", "[]", "7", "null", '{"userSessions": {"s": {"user_id": "u"}}', EXAMPLE + "x", "\xff{}"]
)
async def test_what_is_no_json_object_brings_nothing(store: SqlStore, text: str) -> None:
    with pytest.raises(Unreadable):
        await bring(store, text)
    assert await rows(store, "SELECT id FROM users") == []


async def test_newer_export_adds_what_is_new_and_leaves_what_was_changed_here(store: SqlStore) -> None:
    template = {"templates": {"pirate": {"personalityPrompt": "You talk like a pirate."}}}
    await bring(store, {**template, **one_session(("user", "One"), ("assistant", "1"), message_count=1)})
    session, [said, _] = await read_session(store)
    await store.database.write(lambda tx: tx.run("UPDATE messages SET content = 'Two' WHERE id = $1", said.id))
    template["templates"]["pirate"]["personalityPrompt"] = "You talk like a captain."
    newer = one_session(("user", "One"), ("assistant", "1"), ("user", "One"), ("assistant", "2"), message_count=2)
    told = await bring(store, {**template, **newer})
    assert told.counts == {
        "templates": (0, 1, 0),
        "userSessions": (0, 1, 0),
        "conversation_history": (2, 2, 0),
    }
    later, messages = await read_session(store)
    assert [one.content for one in messages] == ["Two", "1", "One", "2"]
    assert (later.exchange_count, later.message_count, later.last_number) == (2, 4, 4)
    # Whoever has it open is told to look afresh.
    assert later.revision > session.revision
    preset = await store.presets.find("pirate")
    assert preset is not None
    assert preset.prompt == "You talk like a pirate."


async def test_entries_alike_are_as_many_as_they_were(store: SqlStore) -> None:
    alike = [{"role": "user", "content": "Hi", "timestamp": AT}, {"role": "user", "content": "Hi", "timestamp": AT - 1}]
    await bring(store, one_session(*alike))
    assert (await bring(store, one_session(*alike))).counts["conversation_history"] == (0, 2, 0)
    assert (await bring(store, one_session(*alike, *alike, alike[0]))).counts["conversation_history"] == (3, 2, 0)
    assert (await bring(store, one_session(*alike, *alike, alike[0]))).counts["conversation_history"] == (0, 5, 0)


async def test_lists_come_with_holes_with_numbers_and_with_push_ids(store: SqlStore) -> None:
    def said(text: str) -> dict[str, str]:
        return {"role": "user", "content": text}

    await bring(store, one_session(None, said("a"), None, said("b")))
    assert [one.content for one in (await read_session(store))[1]] == ["a", "b"]
    by_number = {str(number): said(f"{number}") for number in (10, 9, 2, 100)}
    entries = {**by_number, "-Nb": said("y"), "-Na": said("x")}
    session = one_session()["userSessions"][SESSION]
    await bring(store, {"userSessions": {SESSION: {**session, "conversation_history": entries}}}, app="other")
    told = await store.accounts.find_app("other")
    assert told is not None
    # The id is the first application's: here it has another.
    [(other,)] = await rows(store, "SELECT uuid FROM conversations WHERE app_id = $1", told.id)
    assert other != SESSION
    _, messages = await read_session(store, other, app="other")
    assert [one.content for one in messages] == ["2", "9", "10", "100", "x", "y"]


async def test_times_come_in_any_form_and_go_on_where_they_are_missing(store: SqlStore) -> None:
    times: list[Any] = [
        "2026-03-02T08:15:31",
        "2026-03-02T09:15:31.5+01:00",
        AT + 7,
        None,
        "never",
        str(AT + 8),
        -5,
        True,
    ]
    await bring(store, one_session(*({"role": "user", "content": "x", "timestamp": time} for time in times)))
    _, messages = await read_session(store)
    whole = Micros(AT * 1000)
    after = [0, SECOND // 2, 7000, 7000, 7000, 8000, 8000, 8000]
    assert [one.created_at - whole for one in messages] == after


async def test_time_that_is_the_very_first_one_is_a_time(store: SqlStore) -> None:
    at_first = [{"role": "user", "content": "a", "timestamp": AT}, {"role": "user", "content": "b", "timestamp": 0}]
    first = {"senderId": "u-1", "content": "a", "timestamp": "1970-01-01T00:00:00Z"}
    undated = one_connection(first, {"senderId": "u-1", "content": "b", "timestamp": AT})
    ended = {"status": "ended", "last_activity": 0, "ended_at": 0, "created_at": None}
    silent = {
        "userSessions": {"silent": {"user_id": "u-1", **ended, "conversation_history": [first | {"role": "user"}]}}
    }
    await bring(store, {**one_session(*at_first), **undated})
    await bring(store, silent)
    times = await rows(store, "SELECT created_at FROM messages ORDER BY conversation_id, number")
    assert [row[0] for row in times] == [AT * 1000, 0, 0, AT * 1000, 0]
    kept = await rows(store, "SELECT created_at, last_message_at, ended_at FROM conversations ORDER BY id")
    assert kept == [(AT * 1000, AT * 1000, None), (0, AT * 1000, None), (0, 0, 0)]


async def test_session_that_goes_on_is_active_however_long_it_is_silent(store: SqlStore) -> None:
    await bring(store, one_session(("user", "x")))
    for _ in range(2):
        assert await store.conversations.active() == [SESSION]
        assert await store.conversations.end_idle(Micros(AT * 2000), Micros(AT * 2000)) == []


async def test_session_that_has_ended_stays_so(store: SqlStore) -> None:
    ended = {"status": "timeout", "ended_at": AT + 5, "last_activity": AT + 4, "message_count": 9}
    await bring(store, one_session(("user", "x"), **ended))
    session, _ = await read_session(store)
    assert (session.ended, session.ended_at, session.last_message_at) == (True, (AT + 5) * 1000, (AT + 4) * 1000)
    assert session.exchange_count == 9


async def test_session_that_was_ended_here_keeps_its_end(store: SqlStore) -> None:
    await bring(store, one_session(("user", "x")))
    app = await store.accounts.find_app("firebase")
    assert app is not None
    ended_here = Micros(AT * 1000 + SECOND)
    await store.conversations.end(Reader(app.id, app_id=app.id), SESSION, ended_here)
    for told in ({}, {"ended_at": AT + 60_000}):
        newer = one_session(("user", "x"), ("user", f"and {len(told)}"), status="ended", **told)
        assert (await bring(store, newer)).counts["conversation_history"] == (1, 1, 0)
        assert (await read_session(store))[0].ended_at == ended_here


async def test_message_count_is_counted_where_it_is_missing(store: SqlStore) -> None:
    await bring(
        store, one_session(("assistant", "Hello!"), ("user", "a"), ("user", "b"), ("assistant", "c"), ("system", "d"))
    )
    session, _ = await read_session(store)
    assert (session.exchange_count, session.message_count) == (1, 5)


async def test_prompt_is_the_given_one_or_that_of_the_template_with_the_rules(store: SqlStore) -> None:
    async def prompt_of(conversation: Conversation) -> str:
        assert conversation.prompt_id is not None
        return await store.conversations.text(conversation.prompt_id)

    template = {"templates": {"pirate": {"personalityPrompt": "Arr."}}}
    await bring(store, {**template, **one_session(("user", "x"), template_id="pirate", system_prompt="Mine.")})
    assert await prompt_of((await read_session(store))[0]) == "Mine."
    other = one_session(("user", "x"), template_id="pirate")["userSessions"][SESSION]
    key = str(uuid.uuid4())
    await bring(store, {"userSessions": {key: other}})
    assert await prompt_of((await read_session(store, key))[0]) == "Arr."


async def test_what_is_said_behind_an_answer_without_a_word_follows_what_was_to_be_answered(store: SqlStore) -> None:
    await bring(store, one_session(("user", "Ahoy"), ("assistant", "")))
    session, messages = await read_session(store)
    assert await rows(store, "SELECT leaf_uuid FROM conversations WHERE id = $1", session.id) == [(messages[0].uuid,)]


async def test_unknown_template_is_the_general_one(store: SqlStore) -> None:
    await bring(store, one_session(("user", "x"), template_id="gone"))
    assert (await read_session(store))[0].preset_slug == "general"


async def test_template_whose_id_is_taken_gets_another_and_its_sessions_find_it(store: SqlStore) -> None:
    export = {
        "templates": {"general": {"personalityPrompt": "Mine."}},
        **one_session(("user", "x"), template_id="general"),
    }
    assert (await bring(store, export)).lines == ["templates/general: its id is general-2 here"]
    assert (await read_session(store))[0].preset_slug == "general-2"
    assert (await bring(store, export)).counts["templates"] == (0, 1, 0)


@pytest.mark.parametrize("key", ["motivationalCoach", "-NxAbC_9", "UPPER", "x" * 100])
async def test_template_keeps_its_id_as_it_is_written(store: SqlStore, key: str) -> None:
    template = {"personalityPrompt": "Be one."}
    export = {"templates": {key.lower(): template | {"name": "Other"}, key: template}}
    assert (await bring(store, export)).lines == []
    preset = await store.presets.find(key)
    assert preset is not None
    assert (preset.slug, preset.prompt) == (key, "Be one.")
    taken = await take(store)
    assert list(json.loads(taken)["templates"]) == list(export["templates"])
    assert (await bring(store, taken)).counts["templates"] == (0, len(export["templates"]), 0)


@pytest.mark.parametrize(("key", "slug"), [("Sea Wolf", "sea-wolf"), ("Käpt'n", "kptn"), ("X" * 101, "x" * 100)])
async def test_template_whose_key_can_be_no_id_gets_one_made_of_it(store: SqlStore, key: str, slug: str) -> None:
    told = await bring(store, {"templates": {key: {"personalityPrompt": "Be one."}}})
    assert told.lines == [f"templates/{key}: its id is {slug} here"]


async def test_messages_of_a_connection_are_by_time_and_unread_as_if_they_had_been_said_here(store: SqlStore) -> None:
    messages = [
        {"messageId": "m3", "senderId": "u-2", "content": "c", "timestamp": AT + 3},
        {"messageId": "m1", "senderId": "u-1", "content": "a", "timestamp": AT + 1},
        {"senderId": "u-2", "content": "d", "timestamp": AT + 4},
        {"messageId": "m2", "senderId": "u-1", "content": "b", "timestamp": AT + 2},
    ]
    await bring(store, one_connection(*messages))
    said = await rows(store, "SELECT number, content, parent_number FROM messages ORDER BY number")
    assert said == [(1, "a", None), (2, "b", 1), (3, "c", 2), (4, "d", 3)]
    seats = (
        "SELECT u.name, p.read_number, p.unread FROM participants p JOIN users u ON u.id = p.user_id ORDER BY u.name"
    )
    assert await rows(store, seats) == [("u-1", 2, 2), ("u-2", 4, 0)]
    newer = {"messageId": "m5", "senderId": "u-1", "content": "e", "timestamp": AT + 5}
    assert (await bring(store, one_connection(*messages, newer))).counts["messages"] == (1, 4, 0)
    assert await rows(store, seats) == [("u-1", 5, 0), ("u-2", 4, 1)]
    counted = "SELECT message_count, last_number, last_message_at, created_at FROM conversations"
    assert await rows(store, counted) == [(5, 5, (AT + 5) * 1000, (AT + 1) * 1000)]


async def test_of_two_active_connections_of_a_pair_the_second_is_ended(store: SqlStore) -> None:
    pair = {"user1Id": "u-1", "user2Id": "u-2", "status": "active"}
    turned = {"user1Id": "u-2", "user2Id": "u-1", "status": "active", "messages": [{"senderId": "u-1", "content": "x"}]}
    told = await bring(store, {"connections": {"a": pair, "b": turned}})
    assert told.lines == ["connections/b: the two have another active connection: this one is ended here"]
    ids = sorted(row[0] for row in await rows(store, "SELECT id FROM users WHERE kind = 'app_user'"))
    found = await rows(store, "SELECT status, pair_key, message_count FROM conversations ORDER BY id")
    assert found == [("active", f"{ids[0]}:{ids[1]}", 0), ("ended", None, 1)]
    told = await bring(store, {"connections": {"a": pair, "b": turned}})
    assert (told.counts["connections"], told.lines) == ((0, 2, 0), [])


async def test_key_that_is_somebody_elses_by_now_brings_nothing_to_them(store: SqlStore) -> None:
    await bring(store, {**one_session(("user", "mine")), **one_connection({"senderId": "u-1", "content": "ours"})})
    other = one_session(("user", "theirs"), user_id="u-9")
    others = one_connection({"senderId": "u-9", "content": "theirs"}, user1Id="u-9")
    told = await bring(store, {**other, **others})
    assert told.lines == [
        f"skipped userSessions/{SESSION}: it is of other users here",
        "skipped connections/c2: it is of other users here",
    ]


async def test_two_applications_have_users_and_sessions_of_their_own(store: SqlStore) -> None:
    await bring(store, EXAMPLE, app="one")
    told = await bring(store, EXAMPLE, app="two")
    assert told.counts["userSessions"] == (1, 0, 0)
    # The same preset serves both.
    assert told.counts["templates"] == (0, 1, 0)
    assert len(await rows(store, "SELECT id FROM users WHERE kind = 'app_user' AND name = 'u-81'")) == 2
    assert len(await rows(store, "SELECT id FROM conversations WHERE kind = 'bot'")) == 2


async def test_what_was_deleted_here_does_not_come_back(store: SqlStore) -> None:
    await bring(store, EXAMPLE)
    app = await store.accounts.find_app("firebase")
    assert app is not None
    await store.conversations.delete(Reader(app.id, app_id=app.id), SESSION, Micros(AT))
    assert (await bring(store, EXAMPLE)).counts["userSessions"] == (0, 1, 0)
    assert (await bring(store, one_session(("user", "new")))).counts["conversation_history"] == (0, 1, 0)
    await store.conversations.purge(Micros(AT * 2000))
    assert await rows(store, "SELECT id FROM conversations WHERE kind = 'bot'") == []
    assert (await bring(store, EXAMPLE)).counts["conversation_history"] == (0, 2, 0)
    assert await rows(store, "SELECT id FROM conversations WHERE kind = 'bot'") == []


async def test_erased_application_leaves_nothing_of_what_was_brought(store: SqlStore) -> None:
    await bring(store, EXAMPLE)
    app = await store.accounts.find_app("firebase")
    assert app is not None
    await store.accounts.erase_user(app.id, Micros(AT))
    for table in ("moved", "moved_messages", "messages", "conversations"):
        assert await rows(store, f"SELECT * FROM {table}") == []


class TalkedInMeanwhile(SqlArriving):
    """In the session somebody has said something once its first part is here, and waits for the answer."""

    def __init__(self, store: SqlStore) -> None:
        super().__init__(store.database, Texts(store.database))
        self._store = store
        self.begun: Begun | None = None

    async def add_parts(self, app: str, parts: Sequence[Part], now: Micros, *, dry: bool) -> Sequence[Arrived]:
        arrived = await super().add_parts(app, parts, now, dry=dry)
        if self.begun is None:
            found = await self._store.accounts.find_app(app)
            assert found is not None
            user = await self._store.accounts.app_user(found, "u-1", "", now)
            self.begun = await self._store.turns.begin(said(user, "And now?", SESSION))
        return arrived


async def test_rest_of_a_long_session_that_cannot_be_brought_is_told_and_comes_whole_the_next_time(
    store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(firebase_in, "MOST_MESSAGES", 3)
    export = one_session(*(("user", str(number)) for number in range(10)))
    store.arriving = arriving = TalkedInMeanwhile(store)
    told = await bring(store, export)
    assert told.lines == [
        f"skipped userSessions/{SESSION}/conversation_history: the rest: "
        "a reply is written in it just now: bring it again later"
    ]
    assert (told.counts["userSessions"], told.counts["conversation_history"]) == ((1, 0, 0), (3, 0, 1))
    assert arriving.begun is not None
    await store.turns.finish(ending(arriving.begun, "Nothing."))
    assert (await bring(store, export)).counts["conversation_history"] == (7, 3, 0)
    messages = (await read_session(store))[1]
    assert [one.content for one in messages] == [*"012", "And now?", "Nothing.", *"3456789"]


async def test_long_session_comes_in_parts_and_is_whole(store: SqlStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(firebase_in, "MOST_MESSAGES", 7)
    monkeypatch.setattr("palaver.moving.spool.MOST_IN_MEMORY", 2_000)
    entries = {
        str(number): {"role": ("user", "assistant")[number % 2], "content": f"{number}", "timestamp": AT + number}
        for number in reversed(range(50))
    }
    session = {"user_id": "u-1", "status": "ended", "conversation_history": entries}
    told = await bring(store, {"userSessions": {SESSION: session}})
    assert (told.counts["userSessions"], told.counts["conversation_history"]) == ((1, 0, 0), (50, 0, 0))
    conversation, messages = await read_session(store)
    assert [one.content for one in messages] == [str(number) for number in range(50)]
    assert (conversation.message_count, conversation.exchange_count, conversation.revision) == (50, 25, 8)
    assert (conversation.ended_at, conversation.created_at) == ((AT + 49) * 1000, AT * 1000)
    assert (await bring(store, {"userSessions": {SESSION: session}})).counts["conversation_history"] == (0, 50, 0)
