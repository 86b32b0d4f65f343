"""How a document gets in and out: part by part, so that its size is no matter of memory."""

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator
from contextlib import suppress

from palaver.chat.collections import check_may_change
from palaver.chat.errors import Invalid, NotFound, Stalled, StoreUnavailable, TooLarge
from palaver.chat.flow import Chat
from palaver.chat.knowledge import Collection, Document, DocumentId
from palaver.chat.user import Reader

PART_BYTES = 256 * 1024

# Control characters, line ends, halves of letters, and what turns round the letters behind it: with these a name looks
# like another one.
_NOT_IN_NAMES = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")

# Longer ones are none that anybody has heard of.
MEDIA_TYPE_LENGTH = 100


async def access_document(chat: Chat, reader: Reader, document: str) -> tuple[Document, Collection]:
    """By its UUID, if its collection is visible to the reader. Raises `NotFound`."""
    return await chat.store.documents.access(reader, document)


async def access_own_document(chat: Chat, reader: Reader, document: str) -> Document:
    """One the caller may delete. Raises `NotFound`, and `Forbidden` for one the caller may only read."""
    found, collection = await access_document(chat, reader, document)
    check_may_change(reader, collection)
    return found


async def keep_document(
    chat: Chat, collection: Collection, name: str, media_type: str, pieces: AsyncIterator[bytes]
) -> tuple[Document, bool]:
    """The document, once all `pieces` of it are kept, and whether the very same was there before.

    Raises `Invalid` for a name that is none, `RateLimited` where too many are on their way, `Stalled` where this one
    comes no further, `TooLarge`, `OverQuota`, `NotFound` where the collection goes away meanwhile, and whatever
    `pieces` raises; then nothing of it is left.
    """
    if not can_be_named(name):
        raise Invalid("name", "unprintable")
    with chat.uploads.one_more():
        return await _keep_document(chat, collection, name, media_type, pieces)


async def _keep_document(
    chat: Chat, collection: Collection, name: str, media_type: str, pieces: AsyncIterator[bytes]
) -> tuple[Document, bool]:
    documents, quota = chat.store.documents, chat.rules.quota
    begun = await documents.begin(collection.id, name, to_media_type(media_type), chat.clock.now())
    try:
        digest = await _keep_parts(chat, begun.id, pieces)
        arrived = await documents.arrive(begun.id, digest, chat.clock.now(), quota)
        chat.document_came()
        return arrived
    except BaseException:
        # Nobody has seen it. What cannot be taken away now is swept away later.
        with suppress(StoreUnavailable):
            await asyncio.shield(documents.delete(begun.id))
        raise


async def _keep_parts(chat: Chat, document_id: DocumentId, pieces: AsyncIterator[bytes]) -> bytes:
    """Gives the digest of the whole."""
    digest, number, size = hashlib.sha256(), 0, 0
    waiting = bytearray()
    while part := await _take_part(pieces, waiting, chat.rules.part_seconds):
        size += len(part)
        if size > chat.rules.document_bytes:
            raise TooLarge(chat.rules.document_bytes)
        digest.update(part)
        await chat.store.documents.add_part(document_id, number, part, chat.rules.quota, chat.clock.now())
        number += 1
    return digest.digest()


async def _take_part(pieces: AsyncIterator[bytes], waiting: bytearray, seconds: float) -> bytes:
    """The next of one size, the last one shorter, then none; `waiting` is what has come of the one after it.

    Raises `Stalled`: whoever sends a byte now and then holds as much as who sends nothing.
    """
    try:
        async with asyncio.timeout(seconds):
            while len(waiting) < PART_BYTES and (piece := await anext(pieces, None)) is not None:
                waiting += piece
    except TimeoutError as error:
        raise Stalled from error
    part = bytes(waiting[:PART_BYTES])
    del waiting[:PART_BYTES]
    return part


async def read_document(chat: Chat, document: Document) -> AsyncIterator[bytes]:
    """Its file, part by part. Raises `NotFound` where it goes away meanwhile."""
    number, left = 0, document.size
    while left > 0:
        part = await chat.store.documents.part(document.id, number)
        if part is None:
            raise NotFound
        yield part
        number += 1
        left -= len(part)


async def delete_document(chat: Chat, document: Document) -> None:
    await chat.store.documents.delete(document.id)


def can_be_named(name: str) -> bool:
    """Whether people see this name as it is."""
    return _NOT_IN_NAMES.search(name) is None


def to_media_type(header: str) -> str:
    """What a `Content-Type` says without its parameters; the general one where it says nothing."""
    return header.partition(";")[0].strip().lower()[:MEDIA_TYPE_LENGTH] or "application/octet-stream"
