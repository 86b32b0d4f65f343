"""Each change of a preset keeps what it was before, however many change it at once."""

import asyncio
from itertools import pairwise

import pytest
from msgspec.structs import asdict, fields

from palaver.chat.clock import SECOND, Micros
from palaver.chat.conversation import Speaking
from palaver.chat.errors import NotFound
from palaver.chat.preset import NewPreset, Preset, PresetChange, PresetVersion, to_change, to_content
from palaver.chat.user import Reader, User
from palaver.store import SqlStore
from tests.ports.talking import LATER, NOW, dump, rows

# No field of it is as it would be by itself.
RIVERS = NewPreset(
    name="Rivers",
    prompt="Only rivers. 🏞",
    speaking=Speaking("openai", "gpt-4", 0.5, 100, 0.1, -0.1, 7, True, 2000, True, "maps", True),
    title="All rivers",
    description="Talks of rivers.",
    category="earth",
    welcome="Hello, river.",
    tags=("water",),
)
LAKES = PresetChange(name="Lakes", prompt="Only lakes.", temperature=0.0, caches_answers=False)


@pytest.fixture
async def preset(store: SqlStore, alice: User) -> Preset:
    return await store.presets.add(alice, RIVERS, NOW, refuse_taken=None)


async def listed(store: SqlStore, preset: Preset) -> list[tuple[int, Micros, object]]:
    versions = await store.presets.versions(preset.id, limit=None, offset=0)
    return [(one.number, one.changed_at, one.changed_by) for one in versions]


async def test_change_keeps_what_was_before_with_when_and_by_whom(
    store: SqlStore, alice: User, bob: User, preset: Preset
) -> None:
    assert await listed(store, preset) == [(1, NOW, alice.id)]
    changed = await store.presets.change(preset.id, LAKES, LATER, by=bob.id)
    assert (changed.version, changed.changed_by) == (2, bob.id)
    assert await listed(store, preset) == [(2, LATER, bob.id), (1, NOW, alice.id)]
    assert await store.presets.version(preset.id, 1) == PresetVersion(1, NOW, alice.id, content=to_content(preset))
    assert await store.presets.version(preset.id, 2) == PresetVersion(2, LATER, bob.id, content=to_content(changed))
    assert await store.presets.get(preset.id) == changed


async def test_change_back_makes_it_what_it_was_in_every_field(store: SqlStore, alice: User, preset: Preset) -> None:
    other = PresetChange(**{**asdict(to_change(to_content(preset))), **OTHERWISE})
    changed = to_content(await store.presets.change(preset.id, other, LATER, by=alice.id))
    kept = to_content(preset)
    assert [field.name for field in fields(kept) if getattr(kept, field.name) == getattr(changed, field.name)] == []
    assert [
        field.name
        for field in fields(kept.speaking)
        if getattr(kept.speaking, field.name) == getattr(changed.speaking, field.name)
    ] == []
    version = await store.presets.version(preset.id, 1)
    back = await store.presets.change(preset.id, to_change(version.content), LATER, by=alice.id)
    assert (to_content(back), back.version) == (kept, 3)
    # The way back can be taken back.
    assert (await store.presets.version(preset.id, 2)).content == changed


OTHERWISE: dict[str, object] = {
    "name": "Otherwise", "prompt": "Otherwise.", "title": "", "description": "", "category": "", "welcome": "",
    "tags": (), "provider": None, "model": None, "temperature": None, "max_tokens": None, "presence_penalty": None,
    "frequency_penalty": None, "window": None, "slides": False, "token_budget": None, "enable_tools": False,
    "collection": None, "caches_answers": False,
}  # fmt: skip


async def test_change_that_changes_nothing_keeps_no_version(store: SqlStore, alice: User, preset: Preset) -> None:
    before = await dump(store)
    await store.presets.change(preset.id, to_change(to_content(preset)), LATER, by=alice.id)
    assert await dump(store) == before


async def test_versions_come_page_by_page(store: SqlStore, alice: User, preset: Preset) -> None:
    for number in range(4):
        await store.presets.change(preset.id, PresetChange(title=str(number)), Micros(NOW + number), by=alice.id)
    pages = [await store.presets.versions(preset.id, limit=2, offset=offset) for offset in (0, 2, 4, 6)]
    assert [[one.number for one in page] for page in pages] == [[5, 4], [3, 2], [1], []]


async def test_version_that_never_was_is_not_found(store: SqlStore, preset: Preset) -> None:
    for number in (0, 2, 2**62):
        with pytest.raises(NotFound):
            await store.presets.version(preset.id, number)
    await store.presets.delete(preset.id, LATER)
    with pytest.raises(NotFound):
        await store.presets.version(preset.id, 1)


async def test_changes_at_once_are_all_kept_each_as_a_version(
    store: SqlStore, other_store: SqlStore, alice: User, preset: Preset
) -> None:
    changes = [PresetChange(title="one"), PresetChange(welcome="two"), PresetChange(category="three"), LAKES]
    await asyncio.gather(
        *(
            one.presets.change(preset.id, change, Micros(LATER + number * SECOND), by=alice.id)
            for number, (one, change) in enumerate(zip((store, other_store) * 2, changes, strict=True))
        )
    )
    last = await store.presets.access(Reader(alice.id), preset.id)
    assert (last.title, last.welcome, last.category, last.name, last.version) == ("one", "two", "three", "Lakes", 5)
    contents = [(await store.presets.version(preset.id, number)).content for number in range(1, 6)]
    assert contents[0] == to_content(preset)
    # Each is the one before it with one change more.
    told = [
        {name for name in ("title", "welcome", "category", "name") if getattr(old, name) != getattr(new, name)}
        for old, new in pairwise(contents)
    ]
    assert sorted(map(sorted, told)) == [["category"], ["name"], ["title"], ["welcome"]]


async def test_two_ways_back_at_once_are_two_versions_and_one_of_them_stands_whole(
    store: SqlStore, other_store: SqlStore, alice: User, preset: Preset
) -> None:
    second = await store.presets.change(preset.id, LAKES, LATER, by=alice.id)
    third = await store.presets.change(
        preset.id, PresetChange(title="x", prompt="y", model="z", welcome="w"), LATER, by=alice.id
    )
    contents = [to_content(preset), to_content(second)]
    await asyncio.gather(
        store.presets.change(preset.id, to_change(contents[0]), LATER, by=alice.id),
        other_store.presets.change(preset.id, to_change(contents[1]), LATER, by=alice.id),
    )
    kept = [(await store.presets.version(preset.id, number)).content for number in range(1, 6)]
    assert kept[:3] == [*contents, to_content(third)]
    assert sorted(kept[3:], key=repr) == sorted(contents, key=repr)
    assert len(await listed(store, preset)) == 5


async def test_erasing_who_made_a_version_leaves_it_without_a_name(
    store: SqlStore, alice: User, bob: User, preset: Preset
) -> None:
    await store.presets.change(preset.id, PresetChange(title="bob's"), LATER, by=bob.id)
    await store.presets.change(preset.id, PresetChange(title="alice's"), LATER, by=alice.id)
    await store.presets.change(preset.id, PresetChange(title="bob's again"), LATER, by=bob.id)
    await store.accounts.erase_user(bob.id, NOW)
    assert [by for _, _, by in await listed(store, preset)] == [None, alice.id, None, alice.id]
    await store.accounts.erase_user(alice.id, NOW)
    assert await rows(store, "SELECT * FROM preset_versions") == []
