"""Presets by number and name id, each name its maker's once; and the universal rules."""

import asyncio

import pytest
from msgspec.structs import replace

from palaver.chat.clock import Micros
from palaver.chat.conversation import PresetId, Speaking
from palaver.chat.errors import NotFound, Taken
from palaver.chat.preset import DOMAIN, GENERAL_ID, DomainSettings, NewPreset, Preset, PresetChange, Rules, RulesChange
from palaver.chat.user import NOT_STORED, Reader, User
from palaver.store import SqlStore
from tests.ports.talking import LATER, NOW, dump, new_conversation, seen

PIRATE = NewPreset(
    name="Pirate Captain",
    prompt="Arr! 🏴‍☠️",
    speaking=Speaking("openai", "gpt-4", 0.5, 100, 0.1, -0.1, 7, True, 2000, True, "maps", True),
    title="The captain",
    description="Speaks like one.",
    category="fun",
    welcome="Ahoy!",
    tags=("sea", "fun, really"),
)


async def test_preset_comes_back_as_it_was_made(store: SqlStore, alice: User) -> None:
    made = await store.presets.add(alice, PIRATE, NOW, refuse_taken=None)
    assert await store.presets.get(made.id) == made
    assert await store.presets.find("pirate-captain") == made
    for name in ("name", "prompt", "speaking", "title", "description", "category", "welcome", "tags", "is_public"):
        assert getattr(made, name) == getattr(PIRATE, name)
    assert (made.slug, made.owner_id, made.usage_count, made.created_at, made.updated_at) == (
        "pirate-captain", alice.id, 0, NOW, NOW,
    )  # fmt: skip


async def test_built_in_presets_are_there_from_the_start(store: SqlStore) -> None:
    general = await store.presets.get(GENERAL_ID)
    assert general is not None
    assert (general.slug, general.is_builtin, general.is_public) == ("general", True, True)
    assert general.speaking == Speaking(
        model="gpt-4o-mini", temperature=0.9, max_tokens=50, presence_penalty=0.6, frequency_penalty=0.6,
        window=10, slides=True,
    )  # fmt: skip
    shown = [[preset.slug for preset in await store.presets.visible(reader)] for reader in (
        Reader(NOT_STORED), Reader(NOT_STORED, is_admin=True),
    )]  # fmt: skip
    assert shown == [["general"], ["general", "domain", "streaming"]]


async def find_domain(store: SqlStore) -> Preset:
    domain = await store.presets.find(DOMAIN)
    assert domain is not None
    return domain


async def test_domain_follows_the_settings_and_is_not_changed_by_that(store: SqlStore) -> None:
    built_in = await find_domain(store)
    for settings in (DomainSettings("gpt-9", 0.2), DomainSettings("gpt-9"), DomainSettings()):
        await store.presets.follow_settings(settings)
        speaking = replace(built_in.speaking, model=settings.model, temperature=settings.temperature)
        assert await find_domain(store) == replace(built_in, speaking=speaking)


async def test_field_of_domain_that_an_admin_has_changed_follows_the_settings_no_more(store: SqlStore) -> None:
    domain = await find_domain(store)
    four, five = DomainSettings("four", 0.4), DomainSettings("five", 0.5)
    told = [DomainSettings("one", 0.1), DomainSettings("two", 0.2), DomainSettings("three", 0.3), four, five]
    # The last but one says what the admin has said before.
    changes = [PresetChange(prompt="Mine."), PresetChange(temperature=0.4), PresetChange(model="four")]
    heard = []
    for settings, change in zip(told, [*changes, PresetChange(), PresetChange()], strict=True):
        await store.presets.follow_settings(settings)
        heard.append((await find_domain(store)).speaking)
        await store.presets.change(domain.id, change, LATER)
    assert [(speaking.model, speaking.temperature) for speaking in heard] == [
        ("one", 0.1), ("two", 0.2), ("three", 0.4), ("four", 0.4), ("four", 0.4),
    ]  # fmt: skip
    # What the fields were when they were changed is among the versions.
    kept = [(await store.presets.version(domain.id, number)).content.speaking for number in (1, 2, 3)]
    assert [(speaking.model, speaking.temperature) for speaking in kept] == [
        ("one", 0.1), ("two", 0.2), ("three", 0.4),
    ]  # fmt: skip


async def test_servers_that_start_at_once_follow_the_settings_as_one(store: SqlStore, other_store: SqlStore) -> None:
    both = (store.presets, other_store.presets) * 4
    await asyncio.gather(*(presets.follow_settings(DomainSettings("gpt-9", 0.2)) for presets in both))
    await other_store.presets.follow_settings(DomainSettings())
    domain = await find_domain(store)
    assert (domain.speaking.model, domain.speaking.temperature) == ("gpt-4", 0.7)


async def test_private_presets_are_seen_by_their_makers_and_admins(store: SqlStore, alice: User, bob: User) -> None:
    await store.presets.add(alice, PIRATE, NOW, refuse_taken=None)
    await store.presets.add(alice, replace(PIRATE, name="Shared", is_public=True), NOW, refuse_taken=None)
    for reader, slugs in (
        (Reader(alice.id), ["general", "pirate-captain", "shared"]),
        (Reader(bob.id), ["general", "shared"]),
        (Reader(NOT_STORED), ["general", "shared"]),
        (Reader(bob.id, is_admin=True), ["general", "domain", "streaming", "pirate-captain", "shared"]),
    ):
        assert [preset.slug for preset in await store.presets.visible(reader)] == slugs


async def test_maker_has_a_name_once(store: SqlStore, alice: User, bob: User) -> None:
    made = await store.presets.add(alice, PIRATE, NOW, refuse_taken=None)
    other = await store.presets.add(alice, replace(PIRATE, name="Other"), NOW, refuse_taken=None)
    before = await dump(store)
    with pytest.raises(Taken) as refused:
        await store.presets.add(alice, PIRATE, NOW, refuse_taken=None)
    assert refused.value.field == "name"
    with pytest.raises(Taken):
        await store.presets.change(other.id, PresetChange(name=PIRATE.name), NOW)
    assert await dump(store) == before
    # Its own name is not taken, and bob is another maker.
    await store.presets.change(made.id, PresetChange(name=PIRATE.name), NOW)
    bobs = await store.presets.add(bob, PIRATE, NOW, refuse_taken=None)
    assert bobs.slug == "pirate-captain-2"


async def test_taken_name_id_is_refused_only_where_its_preset_is_seen(store: SqlStore, alice: User, bob: User) -> None:
    await store.presets.add(alice, PIRATE, NOW, refuse_taken=None)
    # To refuse would tell bob what alice has.
    bobs = await store.presets.add(bob, PIRATE, NOW, refuse_taken=Reader(bob.id))
    assert bobs.slug == "pirate-captain-2"
    for reader, taken in ((Reader(alice.id), "Pirate-Captain"), (Reader(bob.id), "GENERAL")):
        with pytest.raises(Taken) as refused:
            await store.presets.add(bob, replace(PIRATE, name=taken), NOW, refuse_taken=reader)
        assert refused.value.field == "id"


async def test_name_that_makes_no_name_id_gets_one_of_its_number(store: SqlStore, alice: User) -> None:
    made = [
        await store.presets.add(alice, replace(PIRATE, name=name), NOW, refuse_taken=Reader(alice.id))
        for name in ("日本語", "Ωmega!", "!!!")
    ]
    assert [preset.slug for preset in made] == [f"preset-{made[0].id}", "mega", f"preset-{made[2].id}"]


async def test_same_name_id_is_never_given_twice_to_many_at_once(
    store: SqlStore, other_store: SqlStore, alice: User, bob: User
) -> None:
    made = await asyncio.gather(
        *(
            one.presets.add(who, replace(PIRATE, name=name), NOW, refuse_taken=None)
            for one in (store, other_store)
            for who, name in ((alice, f"Cap {one.engine} {id(one)}"), (bob, f"Cap {one.engine} {id(one)}"))
        )
    )
    assert len({preset.slug for preset in made}) == 4


async def test_change_touches_what_it_names_and_nothing_else(store: SqlStore, alice: User) -> None:
    made = await store.presets.add(alice, PIRATE, NOW, refuse_taken=None)
    change = PresetChange(
        title="", tags=("x",), is_public=True, is_default=True, model=None, window=None, enable_tools=False
    )
    changed = await store.presets.change(made.id, change, LATER, by=alice.id)
    assert changed == replace(
        made,
        title="",
        tags=("x",),
        visibility="public",
        is_default=True,
        speaking=replace(made.speaking, model=None, window=None, enable_tools=False),
        updated_at=LATER,
        version=2,
    )
    assert await store.presets.get(made.id) == changed


async def test_deleted_preset_is_gone_and_its_names_are_free(store: SqlStore, alice: User) -> None:
    made = await store.presets.add(alice, PIRATE, NOW, refuse_taken=None)
    talk = await store.conversations.create(
        replace(new_conversation(alice), preset_id=made.id, preset_slug=made.slug, speaking=made.speaking), NOW
    )
    await store.presets.delete(made.id, NOW)
    assert (await store.presets.get(made.id), await store.presets.find(made.slug)) == (None, None)
    with pytest.raises(NotFound):
        await store.presets.change(made.id, PresetChange(title="x"), NOW)
    # What began with it stays as it is.
    kept = await seen(store, talk)
    assert (kept.preset_slug, kept.speaking) == (made.slug, made.speaking)
    again = await store.presets.add(alice, PIRATE, NOW, refuse_taken=Reader(alice.id))
    assert (again.slug, again.id == made.id) == (made.slug, False)


async def test_preset_that_was_never_there_is_not_found(store: SqlStore) -> None:
    assert (await store.presets.get(PresetId(2**62)), await store.presets.find("' OR 1=1 --")) == (None, None)


async def test_rules_are_empty_at_first_and_then_as_changed(store: SqlStore) -> None:
    assert await store.presets.rules() == Rules("", "1.0", True, Micros(0))
    changed = await store.presets.change_rules(RulesChange(rules="Be brief. ✂"), NOW)
    assert changed == Rules("Be brief. ✂", "1.0", True, NOW)
    changed = await store.presets.change_rules(RulesChange(version="2", enabled=False), LATER)
    assert changed == Rules("Be brief. ✂", "2", False, LATER)
    assert await store.presets.rules() == changed


async def test_two_changes_of_the_rules_at_once_both_stand(store: SqlStore, other_store: SqlStore) -> None:
    await asyncio.gather(
        store.presets.change_rules(RulesChange(rules="Be brief."), NOW),
        other_store.presets.change_rules(RulesChange(version="7"), NOW),
    )
    rules = await store.presets.rules()
    assert (rules.rules, rules.version) == ("Be brief.", "7")
