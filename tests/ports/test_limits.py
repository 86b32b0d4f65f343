"""The limits of single persons and applications, on every store."""

from palaver.chat.limit import NO_OWN, OwnLimits
from palaver.chat.user import User
from palaver.store import SqlStore
from tests.ports.talking import NOW


async def test_limits_are_kept_until_others_are_given(store: SqlStore, other_store: SqlStore, alice: User) -> None:
    assert await store.limits.get(alice.id) == NO_OWN
    given = OwnLimits(0, None, 3, 10**12, None, 5_000_000)
    await store.limits.put(alice.id, given)
    assert await other_store.limits.get(alice.id) == given
    assert await other_store.limits.all() == {alice.id: given}
    await other_store.limits.put(alice.id, OwnLimits(turns_a_minute=7))
    assert await store.limits.get(alice.id) == OwnLimits(turns_a_minute=7)
    await store.limits.put(alice.id, NO_OWN)
    assert await store.limits.all() == {}


async def test_every_change_is_seen_by_other_processes(store: SqlStore, other_store: SqlStore, alice: User) -> None:
    seen = [await other_store.limits.changes()]
    for limits in (OwnLimits(turns_a_minute=1), OwnLimits(turns_a_minute=2), NO_OWN):
        await store.limits.put(alice.id, limits)
        seen.append(await other_store.limits.changes())
    assert len(set(seen)) == 4


async def test_person_who_is_erased_leaves_no_limits(store: SqlStore, alice: User, bob: User) -> None:
    for user in (alice, bob):
        await store.limits.put(user.id, OwnLimits(turns_a_minute=1))
    await store.accounts.erase_user(alice.id, NOW)
    assert list(await store.limits.all()) == [bob.id]
