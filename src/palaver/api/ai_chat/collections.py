"""Collections of documents: made, shared, searched, put away. They are ours, in ai_chat's style."""

from datetime import datetime

from msgspec import Struct

from palaver.api.ai_chat.contract import PREFIX, new_api
from palaver.api.ai_chat.preset_shares import SharedWith, Shares
from palaver.api.ai_chat.presets import DESCRIPTION
from palaver.api.call import Answer, Call, to_time
from palaver.api.fields import Body, Flag, Text, Whole, changing, defaulting, required
from palaver.api.speaking import NAME
from palaver.chat.collections import (
    access_collection,
    access_own_collection,
    add_collection,
    change_collection,
    delete_collection,
    leave_collection,
    may_change,
    share_collection,
)
from palaver.chat.errors import Forbidden, OverQuota, Taken
from palaver.chat.errors import Invalid as InvalidValue
from palaver.chat.knowledge import Collection, CollectionChange, NewCollection, Passage

api = new_api()

QUESTION = Text(at_least=1, at_most=1000, trimmed=True)


class NewCollectionBody(Body):
    name = required(NAME)
    description = defaulting(DESCRIPTION, "")
    is_public = defaulting(Flag(), default=False)


class CollectionChangeBody(Body):
    name = changing(NAME)
    description = changing(DESCRIPTION)
    is_public = changing(Flag())


class PassagesWanted(Body):
    q = required(QUESTION)
    limit = defaulting(Whole(1, 50), 8)


class CollectionShown(Struct):
    """`owner` is a name, `size` and `largest_document` bytes. An admin sees more than they `can_ask`."""

    id: str
    name: str
    description: str
    is_public: bool
    owner: str
    can_edit: bool
    can_ask: bool
    document_count: int
    size: int
    largest_document: int
    created_at: datetime
    updated_at: datetime


class CollectionList(Struct):
    collections: list[CollectionShown]


class PassageShown(Struct):
    """`start` and `end` count characters of the document's text."""

    document_id: str
    document_name: str
    number: int
    start: int
    end: int
    page: int | None
    heading: str
    text: str


class PassageList(Struct):
    passages: list[PassageShown]


@api.add("GET", f"{PREFIX}/collections/", answer=CollectionList)
async def list_collections(call: Call) -> CollectionList:
    return CollectionList([_shown(call, one) for one in await call.chat.store.collections.visible(call.reader)])


@api.add(
    "POST",
    f"{PREFIX}/collections/",
    who="signed_in",
    body=NewCollectionBody,
    answer=CollectionShown,
    status=201,
    raises=(OverQuota,),
)
async def create_collection(call: Call) -> CollectionShown:
    body = call.read(NewCollectionBody)
    new = NewCollection(body.name, body.description, body.is_public)
    try:
        return _shown(call, await add_collection(call.chat, await call.stored_user(), new))
    except Taken as error:
        raise InvalidValue("name", "taken") from error


@api.add("GET", f"{PREFIX}/collections/{{id}}/", answer=CollectionShown)
async def get_collection(call: Call) -> CollectionShown:
    return _shown(call, await access_collection(call.chat, call.reader, call.parameters["id"]))


@api.add("PATCH", f"{PREFIX}/collections/{{id}}/", body=CollectionChangeBody, answer=CollectionShown)
async def change_collection_fields(call: Call) -> CollectionShown:
    collection = await access_own_collection(call.chat, call.reader, call.parameters["id"])
    body = call.read(CollectionChangeBody)
    change = CollectionChange(body.name, body.description, body.is_public)
    try:
        await change_collection(call.chat, call.user, collection, change)
    except Taken as error:
        raise InvalidValue("name", "taken") from error
    # Whether the caller can ask it may be other than before.
    return _shown(call, await access_collection(call.chat, call.reader, collection.uuid))


@api.add("DELETE", f"{PREFIX}/collections/{{id}}/", status=204, raises=(Forbidden,))
async def remove_collection(call: Call) -> Answer:
    await delete_collection(call.chat, await access_own_collection(call.chat, call.reader, call.parameters["id"]))
    return Answer()


@api.add("GET", f"{PREFIX}/collections/{{id}}/shares/", who="signed_in", answer=Shares)
async def list_collection_shares(call: Call) -> Shares:
    collection = await access_own_collection(call.chat, call.reader, call.parameters["id"])
    return Shares(list(await call.chat.store.collections.shared_with(collection.id)))


@api.add("PUT", f"{PREFIX}/collections/{{id}}/shares/", who="signed_in", body=SharedWith, answer=Shares)
async def put_collection_shares(call: Call) -> Shares:
    collection = await access_own_collection(call.chat, call.reader, call.parameters["id"])
    return Shares(list(await share_collection(call.chat, collection, call.read(SharedWith).usernames)))


@api.add(
    "DELETE",
    f"{PREFIX}/collections/{{id}}/shares/mine/",
    who="signed_in",
    status=204,
    summary="Have a collection no more that somebody has shared with you",
)
async def drop_own_share(call: Call) -> Answer:
    collection = await access_collection(call.chat, call.reader, call.parameters["id"])
    await leave_collection(call.chat, call.reader, collection)
    return Answer()


@api.add(
    "GET",
    f"{PREFIX}/collections/{{id}}/search/",
    query=PassagesWanted,
    counts_as_turn=True,
    answer=PassageList,
    summary="Find the passages of a collection that answer a question",
)
async def search_collection(call: Call) -> PassageList:
    collection = await access_collection(call.chat, call.reader, call.parameters["id"])
    wanted = call.read_query(PassagesWanted)
    found = await call.site.finding.search(call.reader, collection.uuid, wanted.q, (), wanted.limit)
    return PassageList([show_passage(passage) for passage in found])


def show_passage(passage: Passage) -> PassageShown:
    return PassageShown(
        document_id=passage.document,
        document_name=passage.name,
        number=passage.number,
        start=passage.start,
        end=passage.end,
        page=passage.page,
        heading=passage.heading,
        text=passage.text,
    )


def _shown(call: Call, collection: Collection) -> CollectionShown:
    return CollectionShown(
        id=collection.uuid,
        name=collection.name,
        description=collection.description,
        is_public=collection.is_public,
        owner=collection.owner_name,
        can_edit=may_change(call.reader, collection),
        can_ask=collection.can_ask,
        document_count=collection.document_count,
        size=collection.size,
        largest_document=call.chat.rules.document_bytes,
        created_at=to_time(collection.created_at),
        updated_at=to_time(collection.updated_at),
    )
