"""The documents of a collection: uploaded, listed, read, taken away. They are ours, in ai_chat's style."""

from datetime import datetime
from typing import Literal
from urllib.parse import quote

from msgspec import Struct

from palaver.api.ai_chat.collections import PassageList, show_passage
from palaver.api.ai_chat.contract import PREFIX, new_api
from palaver.api.call import Answer, Call, Stream, to_time
from palaver.api.fields import Body, Text, Whole, defaulting, required
from palaver.api.language import text
from palaver.api.operation import Also
from palaver.chat.collections import access_collection, access_own_collection
from palaver.chat.documents import (
    access_document,
    access_own_document,
    delete_document,
    keep_document,
    read_document,
)
from palaver.chat.errors import OverQuota, RateLimited, Stalled, TooLarge
from palaver.chat.knowledge import Collection, Document

api = new_api()

FILE_NAME = Text(at_least=1, at_most=255, trimmed=True)


class DocumentsWanted(Body):
    limit = defaulting(Whole(1, 200), 50)
    offset = defaulting(Whole(0), 0)


class Upload(Body):
    name = required(FILE_NAME)


class PassagesWanted(Body):
    first = defaulting(Whole(0), 0)
    limit = defaulting(Whole(1, 200), 50)


class DocumentShown(Struct):
    """`problem` says why it could not be read, to a person."""

    id: str
    collection_id: str
    name: str
    media_type: str
    size: int
    status: Literal["waiting", "reading", "ready", "failed"]
    problem: str | None
    passage_count: int
    created_at: datetime
    updated_at: datetime


class DocumentList(Struct):
    documents: list[DocumentShown]
    total: int


@api.add("GET", f"{PREFIX}/collections/{{id}}/documents/", query=DocumentsWanted, answer=DocumentList)
async def list_documents(call: Call) -> DocumentList:
    collection = await access_collection(call.chat, call.reader, call.parameters["id"])
    page = call.read_query(DocumentsWanted)
    found, total = await call.chat.store.documents.listed(collection.id, limit=page.limit, offset=page.offset)
    return DocumentList([_shown(call, document, collection) for document in found], total)


@api.add(
    "POST",
    f"{PREFIX}/collections/{{id}}/documents/",
    who="signed_in",
    query=Upload,
    takes_file=True,
    answer=DocumentShown,
    status=202,
    raises=(TooLarge, OverQuota, Stalled, RateLimited),
    also={200: Also("It is there already", DocumentShown)},
    summary="Upload a document: the body is the file",
)
async def upload_document(call: Call) -> Answer:
    collection = await access_own_collection(call.chat, call.reader, call.parameters["id"])
    name = call.read_query(Upload).name
    media_type = call.header(b"content-type")
    document, known = await keep_document(call.chat, collection, name, media_type, call.file())
    return Answer(_shown(call, document, collection), status=200 if known else 202)


@api.add("GET", f"{PREFIX}/documents/{{id}}/", answer=DocumentShown)
async def get_document(call: Call) -> DocumentShown:
    return _shown(call, *await access_document(call.chat, call.reader, call.parameters["id"]))


@api.add("DELETE", f"{PREFIX}/documents/{{id}}/", status=204)
async def remove_document(call: Call) -> Answer:
    await delete_document(call.chat, await access_own_document(call.chat, call.reader, call.parameters["id"]))
    return Answer()


@api.add("GET", f"{PREFIX}/documents/{{id}}/passages/", query=PassagesWanted, answer=PassageList)
async def list_passages(call: Call) -> PassageList:
    document, _ = await access_document(call.chat, call.reader, call.parameters["id"])
    wanted = call.read_query(PassagesWanted)
    found = await call.chat.store.documents.passages(document.id, first=wanted.first, limit=wanted.limit)
    return PassageList([show_passage(passage) for passage in found])


@api.add(
    "GET",
    f"{PREFIX}/documents/{{id}}/file/",
    content_types=("application/octet-stream",),
    summary="Download a document as it was uploaded",
)
async def download_document(call: Call) -> Stream:
    """Never shown in a page of ours: whoever uploaded it may have written anything into it."""
    document, _ = await access_document(call.chat, call.reader, call.parameters["id"])
    headers = (
        (b"content-type", b"application/octet-stream"),
        (b"content-length", str(document.size).encode()),
        (b"content-disposition", _as_download(document.name)),
        (b"content-security-policy", b"default-src 'none'; base-uri 'none'; frame-ancestors 'none'; sandbox"),
        (b"cache-control", b"private, no-store"),
    )
    return Stream(read_document(call.chat, document), headers)


def _as_download(name: str) -> bytes:
    """The last part of its path, in the one form that takes every character (RFC 6266)."""
    last = name.replace("\\", "/").rpartition("/")[2] or "document"
    return f"attachment; filename*=UTF-8''{quote(last, safe='', errors='replace')}".encode()


def _shown(call: Call, document: Document, collection: Collection) -> DocumentShown:
    # Nobody is shown one that still arrives.
    status = "waiting" if document.status == "arriving" else document.status
    return DocumentShown(
        id=document.uuid,
        collection_id=collection.uuid,
        name=document.name,
        media_type=document.media_type,
        size=document.size,
        status=status,
        problem=None if document.problem is None else text(f"problem_{document.problem}", call.language),
        passage_count=document.passage_count,
        created_at=to_time(document.created_at),
        updated_at=to_time(document.updated_at),
    )
