"""Users of an application who are mentioned for the first time: made in the transaction that brings them together."""

from msgspec.structs import replace

from palaver.chat.user import NOT_STORED, User, UserId
from palaver.store.accounts import ADD, BY_APP
from palaver.store.database import Transaction
from palaver.store.rows import to_user


async def store_mentioned(tx: Transaction, user: User) -> User:
    """As they are kept. What is refused makes nobody."""
    if user.id != NOT_STORED:
        return user
    found = await tx.one(BY_APP, user.app_id, user.name)
    if found is not None:
        return to_user(found)
    row = await tx.one(
        ADD, user.uuid, user.kind, user.name, user.name.casefold(), user.email, user.email.casefold(), user.full_name,
        None, user.is_admin, user.app_id, user.created_at,
    )  # fmt: skip
    assert row is not None
    return replace(user, id=UserId(row[0]))
