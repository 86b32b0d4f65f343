"""Users, their tokens and links, and what is left of them when they are erased."""

import asyncio
from itertools import count
from typing import Any

import pytest
from msgspec.structs import replace

from palaver.chat.clock import Micros
from palaver.chat.conversation import Speaking, Usage
from palaver.chat.errors import LastAdmin, NotFound, Taken, TooManyTokens
from palaver.chat.ports import PeopleWanted
from palaver.chat.preset import NewPreset
from palaver.chat.user import Reader, TokenId, TokenKind, User, UserChange, UserId
from palaver.store import SqlStore
from palaver.store.database import Work
from tests.ports.talking import LATER, NOW, answer, dump, new_conversation, new_user, rows, said


async def test_user_comes_back_as_added(store: SqlStore) -> None:
    new = new_user("Zoë", email="Zoe@Example.com")
    added = await store.accounts.add_user(new, password_hash="hash")
    assert await store.accounts.get_user(added.id) == added
    assert await store.accounts.get_user_by_uuid(new.uuid) == added
    assert (added.name, added.email, added.kind, added.created_at) == ("Zoë", "Zoe@Example.com", "person", NOW)


@pytest.mark.parametrize("name", ["Zoë", "zoë", "ZOË", "zoe@example.COM"])
async def test_person_is_found_by_name_and_email_whatever_the_case(store: SqlStore, name: str) -> None:
    added = await store.accounts.add_user(new_user("Zoë", email="Zoe@Example.com"), password_hash="hash")
    assert await store.accounts.find_user(name) == (added, "hash")


async def test_only_a_name_says_who_a_person_is(store: SqlStore) -> None:
    impostor = await store.accounts.add_user(new_user("mallory", email="boss@example.com"))
    by_email = await store.accounts.add_user(new_user("Zoe@example.com", email="zoe@example.com"))
    await store.accounts.add_user(new_user("boss", "app"))
    assert [await store.accounts.find_person(name) for name in ("boss@example.com", "boss")] == [None, None]
    assert await store.accounts.find_person("MALLORY") == impostor
    assert await store.accounts.find_person("zoe@EXAMPLE.com") == by_email


async def test_name_finds_its_person_before_an_email_does(store: SqlStore, alice: User) -> None:
    found = await store.accounts.find_user("alice")
    assert found is not None
    assert found[0] == alice
    assert await store.accounts.find_user("nobody") is None


@pytest.mark.parametrize(
    ("name", "email", "field"),
    [
        ("ALICE", "", "name"),
        ("other", "Alice@example.com", "email"),
        ("alice@example.com", "alice@example.com", "email"),
    ],
)
async def test_name_and_email_belong_to_one_person(
    store: SqlStore, alice: User, name: str, email: str, field: str
) -> None:
    before = await dump(store)
    with pytest.raises(Taken) as refused:
        await store.accounts.add_user(new_user(name, email=email))
    assert refused.value.field == field
    assert await dump(store) == before
    assert alice.name == "alice"


async def test_name_asked_for_by_many_at_once_is_given_once(store: SqlStore, other_store: SqlStore) -> None:
    outcomes = await asyncio.gather(
        *(one.accounts.add_user(new_user("carol")) for one in [store, other_store] * 5), return_exceptions=True
    )
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Taken"] * 9 + ["User"]


async def test_application_and_person_may_have_the_same_name(store: SqlStore, alice: User) -> None:
    app = await store.accounts.add_user(new_user("alice", "app"))
    assert await store.accounts.find_app("Alice") == app
    found = await store.accounts.find_user("alice")
    assert found is not None
    assert found[0] == alice
    assert (await store.accounts.list_users(), await store.accounts.list_apps()) == ([alice], [app])


async def test_guest_that_makes_two_things_at_once_is_one_user(store: SqlStore, other_store: SqlStore) -> None:
    guest = new_user("guest", "guest")
    stored = await asyncio.gather(*(one.accounts.add_user(guest) for one in [store, other_store] * 5))
    assert len({one.id for one in stored}) == 1
    other = await store.accounts.add_user(new_user("guest", "guest"))
    assert other.id != stored[0].id


async def test_application_names_its_users_and_each_name_is_one_user(store: SqlStore, other_store: SqlStore) -> None:
    shop, other_shop = [await store.accounts.add_user(new_user(name, "app")) for name in ("shop", "other-shop")]
    uuids = [new_user("x").uuid for _ in range(10)]
    at_once = await asyncio.gather(
        *(
            one.accounts.app_user(shop, "7", uuid, NOW)
            for one, uuid in zip([store, other_store] * 5, uuids, strict=True)
        )
    )
    assert len({user.id for user in at_once}) == 1
    assert (at_once[0].kind, at_once[0].app_id, at_once[0].shown_id) == ("app_user", shop.id, "7")
    elsewhere = await store.accounts.app_user(other_shop, "7", new_user("x").uuid, NOW)
    assert elsewhere.id != at_once[0].id
    assert await store.accounts.find_user("7") is None


async def test_disabling_an_application_disables_its_users(store: SqlStore) -> None:
    shop = await store.accounts.add_user(new_user("shop", "app"))
    customer = await store.accounts.app_user(shop, "7", new_user("x").uuid, NOW)
    for disabled_at, disabled in ((NOW, True), (None, False)):
        await store.accounts.set_disabled(shop.id, disabled_at)
        users = [await store.accounts.get_user(one.id) for one in (shop, customer)]
        assert [user is not None and user.disabled for user in users] == [disabled, disabled]


async def test_password_can_be_changed(store: SqlStore, alice: User) -> None:
    await store.accounts.set_password(alice.id, "new hash")
    assert await store.accounts.find_user("alice") == (alice, "new hash")


# What admins do


async def found(store: SqlStore, search: str = "", after: str = "", limit: int = 50) -> tuple[list[str], int]:
    people = await store.accounts.find_people(PeopleWanted(search, after, limit))
    return [user.name for user in people.users], people.total


async def test_people_are_found_page_by_page_and_by_a_part_of_what_they_are_called(store: SqlStore) -> None:
    for name, email, full_name in (
        ("Zoe", "zoe@example.com", "Zoë Öster"),
        ("adam", "", "Adam 100% Sure"),
        ("Bert", "bert@example.com", ""),
        ("carla_b", "", ""),
    ):
        await store.accounts.add_user(replace(new_user(name, email=email), full_name=full_name))
    await store.accounts.add_user(new_user("bot-shop", "app"))
    assert await found(store) == (["adam", "Bert", "carla_b", "Zoe"], 4)
    assert await found(store, limit=2) == (["adam", "Bert"], 4)
    assert await found(store, after="Bert", limit=2) == (["carla_b", "Zoe"], 4)
    by_search = {"BER": ["Bert"], "example.COM": ["Bert", "Zoe"], "öster": [], "Öst": ["Zoe"], "100%": ["adam"]}
    by_search |= {"%": ["adam"], "_": ["carla_b"], "!": [], "shop": [], "adam 1": ["adam"]}
    for search, names in by_search.items():
        listed, total = await found(store, search)
        # What is small and what is not is one to a database that knows more letters than ASCII's.
        assert set(names) <= set(listed) <= {*names, *{"öster": ["Zoe"]}.get(search, [])}
        assert total == len(listed)


async def test_one_admin_who_can_sign_in_is_always_left(store: SqlStore, alice: User, bob: User) -> None:
    for user in (alice, bob):
        await store.accounts.set_password(user.id, "hash")
    admins = [
        await store.accounts.change_user(user.id, UserChange(is_admin=True, full_name="Boss"), NOW)
        for user in (alice, bob)
    ]
    assert [(user.is_admin, user.full_name) for user in admins] == [(True, "Boss")] * 2
    assert (await store.accounts.change_user(alice.id, UserChange(disabled=True), NOW)).disabled
    before = await dump(store)
    for change in (UserChange(disabled=True), UserChange(is_admin=False)):
        with pytest.raises(LastAdmin):
            await store.accounts.change_user(bob.id, change, LATER)
    with pytest.raises(LastAdmin):
        await store.accounts.erase_user(bob.id, NOW, keep_an_admin=True)
    with pytest.raises(NotFound):
        await store.accounts.change_user(UserId(999), UserChange(full_name="Nobody"), LATER)
    assert await dump(store) == before
    assert not (await store.accounts.change_user(alice.id, UserChange(disabled=False), LATER)).disabled
    assert not (await store.accounts.change_user(bob.id, UserChange(is_admin=False), LATER)).is_admin


@pytest.mark.parametrize("way_in", ["token", "session", "link"])
async def test_admin_who_has_no_way_in_is_not_counted(
    store: SqlStore, alice: User, bob: User, way_in: TokenKind
) -> None:
    for user in (alice, bob):
        await store.accounts.change_user(user.id, UserChange(is_admin=True), NOW)
    await store.accounts.add_token(alice.id, "token", b"alice", "", NOW, None)
    # Bob has been signed out, and what else he had has expired.
    await store.accounts.add_token(bob.id, way_in, b"old", "", NOW, Micros(LATER - 1))
    revoked = await store.accounts.add_token(bob.id, way_in, b"revoked", "", NOW, None)
    await store.accounts.revoke_token(revoked, NOW)
    for change in (UserChange(disabled=True), UserChange(is_admin=False)):
        with pytest.raises(LastAdmin):
            await store.accounts.change_user(alice.id, change, LATER)
    with pytest.raises(LastAdmin):
        await store.accounts.erase_user(alice.id, LATER, keep_an_admin=True)
    await store.accounts.add_token(bob.id, way_in, b"new", "", LATER, Micros(LATER + 1))
    assert (await store.accounts.change_user(alice.id, UserChange(disabled=True), LATER)).disabled


async def test_two_admins_cannot_shut_each_other_out_at_the_same_moment(
    store: SqlStore, other_store: SqlStore, alice: User, bob: User
) -> None:
    for user in (alice, bob):
        await store.accounts.set_password(user.id, "hash")
        await store.accounts.change_user(user.id, UserChange(is_admin=True), NOW)
    outcomes = await asyncio.gather(
        store.accounts.change_user(alice.id, UserChange(is_admin=False), LATER),
        other_store.accounts.change_user(bob.id, UserChange(disabled=True), LATER),
        return_exceptions=True,
    )
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["LastAdmin", "User"]


# Tokens


async def test_token_is_found_with_its_user(store: SqlStore, alice: User) -> None:
    token_id = await store.accounts.add_token(alice.id, "token", b"digest", "laptop", NOW, LATER)
    found = await store.accounts.find_token(b"digest")
    assert found is not None
    token, user = found
    assert user == alice
    assert (token.id, token.user_id, token.kind, token.label) == (token_id, alice.id, "token", "laptop")
    assert (token.created_at, token.expires_at, token.revoked_at, token.last_used_at) == (NOW, LATER, None, None)
    assert await store.accounts.list_tokens(alice.id) == [token]
    assert await store.accounts.find_token(b"other") is None


async def test_password_that_was_changed_signs_nobody_in_whoever_comes_first(
    store: SqlStore, other_store: SqlStore, alice: User
) -> None:
    for number in range(10):
        old, new = f"hash {number}", f"hash {number + 1}"
        await store.accounts.set_password(alice.id, old)
        digest = b"%d" % number
        signing_in = store.accounts.add_sign_in(alice.id, "session", digest, NOW, None, password_hash=old)
        changing = other_store.accounts.change_password(alice.id, new, None, NOW)
        first, second = ((signing_in, changing), (changing, signing_in))[number % 2]
        await asyncio.gather(first, second)
        found = await store.accounts.find_token(digest)
        assert found is None or found[0].revoked_at == NOW
    assert not await store.accounts.add_sign_in(alice.id, "token", b"old", NOW, None, password_hash="hash 9")
    assert await store.accounts.add_sign_in(alice.id, "token", b"new", NOW, None, password_hash="hash 10")
    await store.accounts.set_disabled(alice.id, NOW)
    assert not await store.accounts.add_sign_in(alice.id, "token", b"out", NOW, None, password_hash="hash 10")
    assert [one.label for one in await store.accounts.list_tokens(alice.id)] == [""]


async def test_tokens_by_name_are_counted_however_many_ask_at_once(
    store: SqlStore, other_store: SqlStore, alice: User, bob: User
) -> None:
    await store.accounts.add_token(bob.id, "token", b"bob", "bob's", NOW, None)
    await store.accounts.add_token(alice.id, "token", b"sign-in", "", NOW, None)
    await store.accounts.add_token(alice.id, "token", b"expired", "old", NOW, NOW)
    outcomes = await asyncio.gather(
        *(
            one.accounts.add_token(alice.id, "token", b"%d" % number, f"script {number}", NOW, LATER, most=3)
            for number, one in enumerate([store, other_store] * 3)
        ),
        return_exceptions=True,
    )
    assert [type(outcome) for outcome in outcomes].count(TooManyTokens) == 3
    made = [one for one in await store.accounts.list_tokens(alice.id) if one.label.startswith("script")]
    assert len(made) == 3
    await store.accounts.revoke_token(made[0].id, NOW)
    await store.accounts.add_token(alice.id, "token", b"another", "script", NOW, LATER, most=3)


async def test_sessions_and_links_are_no_tokens_to_list(store: SqlStore, alice: User) -> None:
    await store.accounts.add_token(alice.id, "session", b"1", "", NOW, None)
    await store.accounts.add_token(alice.id, "link", b"2", "", NOW, None)
    assert await store.accounts.list_tokens(alice.id) == []


async def test_token_is_revoked_once_and_all_of_a_user_together(store: SqlStore, alice: User, bob: User) -> None:
    first = await store.accounts.add_token(alice.id, "token", b"1", "", NOW, None)
    await store.accounts.add_token(alice.id, "session", b"2", "", NOW, None)
    await store.accounts.add_token(bob.id, "token", b"3", "", NOW, None)
    assert await store.accounts.revoke_token(first, NOW)
    assert not await store.accounts.revoke_token(first, LATER)
    assert not await store.accounts.revoke_token(TokenId(999), NOW)
    await store.accounts.revoke_all(alice.id, LATER)
    found = [await store.accounts.find_token(digest) for digest in (b"1", b"2", b"3")]
    assert [one and one[0].revoked_at for one in found] == [NOW, LATER, None]


async def test_last_use_of_tokens_is_noted(store: SqlStore, alice: User) -> None:
    ids = [await store.accounts.add_token(alice.id, "token", digest, "", NOW, None) for digest in (b"1", b"2")]
    await store.accounts.touch_tokens([(ids[0], LATER), (TokenId(999), LATER)])
    assert [token.last_used_at for token in await store.accounts.list_tokens(alice.id)] == [LATER, None]


async def test_link_opens_once_however_many_try(store: SqlStore, other_store: SqlStore, alice: User) -> None:
    await store.accounts.add_token(alice.id, "link", b"link", "", NOW, LATER)
    opened = await asyncio.gather(*(one.accounts.spend_link(b"link", NOW) for one in [store, other_store] * 5))
    assert [user for user in opened if user is not None] == [alice]


async def test_link_that_expired_and_token_that_is_none_open_nothing(store: SqlStore, alice: User) -> None:
    await store.accounts.add_token(alice.id, "link", b"link", "", NOW, LATER)
    await store.accounts.add_token(alice.id, "token", b"token", "", NOW, None)
    before = await dump(store)
    assert await store.accounts.spend_link(b"link", LATER) is None
    assert await store.accounts.spend_link(b"token", NOW) is None
    assert await dump(store) == before


async def test_server_secret_is_one_however_many_ask_first(store: SqlStore, other_store: SqlStore) -> None:
    asked = await asyncio.gather(*(one.accounts.server_secret() for one in [store, other_store] * 5))
    assert len(set(asked)) == 1
    assert len(asked[0]) == 32


# Erasing


async def test_erased_user_leaves_nothing_and_others_keep_everything(store: SqlStore, alice: User, bob: User) -> None:
    begun = await store.turns.begin(said(bob, "I stay", new_conversation(bob)))
    await answer(store, begun, usage=Usage(1, 2))
    await store.accounts.add_token(bob.id, "token", b"bob", "", NOW, None)
    before = await dump(store)

    mallory = await store.accounts.add_user(new_user("mallory", email="mallory@example.com"))
    talk = new_conversation(mallory, client_id="mallory-1", system_prompt="You serve mallory.")
    begun = await store.turns.begin(said(mallory, "mallory was here", talk))
    await answer(store, begun, "hello mallory", usage=Usage(1, 2))
    running = await store.turns.begin(said(mallory, "mallory again", talk.uuid))
    waiting = await store.turns.begin(said(mallory, "mallory waits", talk.uuid))
    await store.ledger.add_usage(mallory.id, None, "gpt-4", Usage(3, 3), NOW, billed_as="")
    await store.accounts.add_token(mallory.id, "token", b"mallory", "mallory's", NOW, None)
    await store.presets.add(mallory, NewPreset("mallory's own", "Be mallory.", Speaking()), NOW, refuse_taken=None)

    stopped = await store.accounts.erase_user(mallory.id, NOW)
    assert set(stopped) == {running.turn.reply.id, waiting.turn.reply.id}
    after = await dump(store)
    assert "mallory" not in repr(after)
    # How often the built-in preset was used, and that somebody has lost access, is nobody's secret; nor is what was
    # used, in sums under a number that is given to nobody else.
    counted = ("presets", "server", "ledger")
    assert {name: table for name, table in after.items() if name not in counted} == {
        name: table for name, table in before.items() if name not in counted
    }
    assert alice.id in [row[0] for row in await rows(store, "SELECT id FROM users")]


async def test_erasing_somebody_holds_up_nobody_else(
    store: SqlStore, alice: User, bob: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        await store.conversations.create(new_conversation(alice), NOW)
    midway, go_on = asyncio.Event(), asyncio.Event()
    writes = count(1)
    write = store.database.write

    async def write_in_turn(work: Work[Any], *, for_good: bool = False) -> Any:
        # She has been shut out, and one conversation is gone.
        if next(writes) == 3:
            midway.set()
            await go_on.wait()
        return await write(work, for_good=for_good)

    monkeypatch.setattr(store.database, "write", write_in_turn)
    erasing = asyncio.create_task(store.accounts.erase_user(alice.id, NOW))
    async with asyncio.timeout(10):
        await midway.wait()
        await store.conversations.create(new_conversation(bob), NOW)
    hers = f"SELECT id FROM conversations WHERE owner_id = {alice.id}"
    assert len(await rows(store, hers)) == 2
    go_on.set()
    await erasing
    assert await rows(store, hers) == []


async def test_erasing_that_broke_off_has_shut_out_already_and_can_be_done_again(
    store: SqlStore, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = await store.conversations.create(new_conversation(alice), NOW)

    async def broken(*_all: object) -> None:
        raise RuntimeError

    with monkeypatch.context() as patched:
        patched.setattr("palaver.store.accounts.purge", broken)
        with pytest.raises(RuntimeError):
            await store.accounts.erase_user(alice.id, NOW)
    left = await store.accounts.get_user(alice.id)
    assert left is not None
    assert left.disabled
    with pytest.raises(NotFound):
        await store.conversations.access(Reader(alice.id), kept.uuid)
    await store.accounts.erase_user(alice.id, NOW)
    assert await store.accounts.get_user(alice.id) is None


async def test_erased_application_takes_its_users_with_it(store: SqlStore) -> None:
    shop = await store.accounts.add_user(new_user("shop", "app"))
    customer = await store.accounts.app_user(shop, "7", new_user("x").uuid, NOW)
    begun = await store.turns.begin(said(customer, "hello", new_conversation(customer)))
    await answer(store, begun, usage=Usage(1, 2))
    assert await store.accounts.erase_user(shop.id, NOW) == []
    after = await dump(store)
    left = ("users", "conversations", "messages", "texts", "usage")
    assert {name: after[name] for name in left} == {name: [] for name in left}


async def test_number_of_an_erased_user_is_never_anothers(store: SqlStore, alice: User) -> None:
    await store.accounts.erase_user(alice.id, NOW)
    bob = await store.accounts.add_user(new_user("bob"))
    assert bob.id != alice.id


async def test_usage_that_is_not_stored_with_a_message_is_counted(store: SqlStore, alice: User) -> None:
    await store.ledger.add_usage(alice.id, None, "gpt-4", Usage(11, 5, 3), Micros(NOW), billed_as="gpt-4")
    [row] = await rows(
        store, "SELECT at, user_id, message_id, model, prompt_tokens, completion_tokens, cached_tokens FROM usage"
    )
    assert tuple(row) == (NOW, alice.id, None, "gpt-4", 11, 5, 3)
