"""Who may see, search and change a collection of documents."""

from collections.abc import Sequence

from msgspec import UNSET
from msgspec.structs import replace

from palaver.chat.errors import Forbidden
from palaver.chat.flow import Chat
from palaver.chat.knowledge import Collection, CollectionChange, NewCollection
from palaver.chat.user import Reader, User

# Nobody answers for what they show to everybody.
NEVER_PUBLIC = ("guest", "app_user")


async def access_collection(chat: Chat, reader: Reader, collection: str) -> Collection:
    """By its UUID: a public one, one's own, one that is shared with the reader, or any for an admin. Raises
    `NotFound`."""
    return await chat.store.collections.access(reader, collection)


async def access_own_collection(chat: Chat, reader: Reader, collection: str) -> Collection:
    """One the caller may change. Raises `NotFound`, and `Forbidden` for another's that the caller may search."""
    found = await access_collection(chat, reader, collection)
    check_may_change(reader, found)
    return found


def may_change(reader: Reader, collection: Collection) -> bool:
    return reader.is_admin or collection.owner_id == reader.user_id


def check_may_change(reader: Reader, collection: Collection) -> None:
    """Raises `Forbidden`."""
    if not may_change(reader, collection):
        raise Forbidden


async def add_collection(chat: Chat, owner: User, new: NewCollection) -> Collection:
    """Raises `Forbidden` for a guest, `Taken`, `Invalid` for a name in the form of a UUID, and `OverQuota`."""
    if owner.kind == "guest":
        raise Forbidden
    allowed = replace(new, is_public=new.is_public and owner.kind not in NEVER_PUBLIC)
    return await chat.store.collections.add(owner, allowed, chat.clock.now(), chat.rules.quota)


async def change_collection(chat: Chat, caller: User, collection: Collection, change: CollectionChange) -> Collection:
    """Raises `Taken`, and `Invalid` for a name in the form of a UUID."""
    allowed = change
    if caller.kind in NEVER_PUBLIC and change.is_public is True:
        allowed = replace(change, is_public=UNSET)
    return await chat.store.collections.change(collection.id, allowed, chat.clock.now())


async def share_collection(chat: Chat, collection: Collection, names: Sequence[str]) -> Sequence[str]:
    """With these people and no others. Raises `Invalid`."""
    return await chat.store.collections.share(collection.id, names)


async def leave_collection(chat: Chat, reader: Reader, collection: Collection) -> None:
    """Takes back what somebody has shared with the reader, who was not asked. Raises `NotFound` where nobody has."""
    await chat.store.collections.drop_share(collection.id, reader.user_id)


async def delete_collection(chat: Chat, collection: Collection) -> None:
    """With all its documents. Conversations and presets that name it go on without."""
    await chat.store.collections.delete(collection.id)
