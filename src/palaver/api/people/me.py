"""What one lets others see of oneself, and whom one has blocked."""

from datetime import datetime

from msgspec import UNSET, Struct

from palaver.api.call import Answer, Call, to_time
from palaver.api.fields import Body, Flag, changing
from palaver.api.people.shapes import PREFIX, new_api
from palaver.api.people.speaker import For, find_speaker
from palaver.chat import connections
from palaver.chat.errors import NoSuchPerson
from palaver.chat.user import User

api = new_api()


class MeChanges(Body):
    shows_presence = changing(Flag())


class Myself(Struct):
    id: str
    username: str
    full_name: str
    shows_presence: bool


class BlockedShown(Struct):
    id: str
    username: str
    full_name: str
    since: datetime


class Blocks(Struct):
    blocks: list[BlockedShown]


@api.add("GET", f"{PREFIX}/me", who="signed_in", query=For, answer=Myself, summary="Tell who one is to others")
async def get_me(call: Call) -> Myself:
    return await _me(call, await find_speaker(call, made=True))


async def _me(call: Call, speaker: User) -> Myself:
    shows = await call.chat.store.connections.shows_presence(speaker.id)
    return Myself(speaker.shown_id, speaker.name, speaker.full_name, shows)


@api.add(
    "PATCH",
    f"{PREFIX}/me",
    who="signed_in",
    query=For,
    body=MeChanges,
    answer=Myself,
    summary="Choose whether others see that one is present",
)
async def change_me(call: Call) -> Myself:
    body = call.read(MeChanges)
    speaker = await find_speaker(call, made=True)
    if body.shows_presence is not UNSET:
        await call.chat.store.connections.show_presence(speaker.id, shown=body.shows_presence)
    return await _me(call, speaker)


@api.add("GET", f"{PREFIX}/blocks", who="signed_in", query=For, answer=Blocks, summary="List whom one has blocked")
async def list_blocks(call: Call) -> Blocks:
    speaker = await find_speaker(call, made=True)
    found = await call.chat.store.connections.blocks(speaker.id)
    return Blocks(
        [BlockedShown(one.user.shown_id, one.user.name, one.user.full_name, to_time(one.since)) for one in found]
    )


@api.add(
    "POST",
    f"{PREFIX}/blocks/{{user}}",
    who="signed_in",
    query=For,
    status=204,
    raises=(NoSuchPerson,),
    summary="Block somebody",
)
async def block(call: Call) -> Answer:
    speaker = await find_speaker(call, made=True)
    other = await connections.find_person(call.chat, speaker, call.parameters["user"])
    await connections.block_person(call.chat, speaker, other)
    return Answer(status=204)


@api.add(
    "DELETE",
    f"{PREFIX}/blocks/{{user}}",
    who="signed_in",
    query=For,
    status=204,
    raises=(NoSuchPerson,),
    summary="Take a block back",
)
async def unblock(call: Call) -> Answer:
    speaker = await find_speaker(call, made=True)
    other = await connections.find_person(call.chat, speaker, call.parameters["user"])
    await call.chat.store.connections.unblock(speaker.id, other.id)
    return Answer(status=204)
