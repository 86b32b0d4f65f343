"""What is cleaned up now and then, and what stays."""

from palaver.chat.clock import DAY, SECOND, Micros
from palaver.chat.conversation import Usage
from palaver.chat.flow import Chat
from palaver.chat.sweep import clean
from palaver.chat.user import User
from palaver.store import SqlStore
from tests.chat.talking import HandClock
from tests.ports.talking import NOW, new_conversation, new_user


async def test_tokens_go_a_day_after_they_closed(chat: Chat, store: SqlStore, clock: HandClock, alice: User) -> None:
    async def add(name: bytes, expires_at: int | None) -> None:
        await store.accounts.add_token(
            alice.id, "token", name, name.decode(), NOW, None if expires_at is None else Micros(expires_at)
        )

    await add(b"expired", NOW + SECOND)
    await add(b"expired later", NOW + DAY)
    await add(b"lasting", None)
    await add(b"revoked", None)
    revoked = (await store.accounts.list_tokens(alice.id))[-1]
    await store.accounts.revoke_token(revoked.id, NOW)
    clock.move(86_400)
    await clean(chat)
    assert len(await store.accounts.list_tokens(alice.id)) == 4
    clock.move(2)
    await clean(chat)
    left = [token.label for token in await store.accounts.list_tokens(alice.id)]
    assert left == ["expired later", "lasting"]


async def test_guests_that_own_nothing_go_after_a_day_and_nobody_else(
    chat: Chat, store: SqlStore, clock: HandClock, alice: User
) -> None:
    guests = [await store.accounts.add_user(new_user("guest", "guest")) for _ in range(5)]
    empty, talking, asking, signed_in, disabled = guests
    await store.conversations.create(new_conversation(talking), NOW)
    await store.ledger.add_usage(asking.id, None, "model", Usage(1, 2), NOW, billed_as="")
    await store.accounts.add_token(signed_in.id, "token", b"digest", "", NOW, None)
    await store.accounts.set_disabled(disabled.id, NOW)
    clock.move(86_400)
    await clean(chat)
    assert await store.accounts.get_user(empty.id) == empty
    clock.move(1)
    await clean(chat)
    left = [user.id for user in (alice, *guests) if await store.accounts.get_user(user.id) is not None]
    assert left == [user.id for user in (alice, talking, asking, signed_in, disabled)]
