"""One's conversations with people: found, begun, changed, left and ended."""

from msgspec import UNSET, Struct

from palaver.api.call import Answer, Call
from palaver.api.fields import Body, Choice, Flag, Listed, Whole, changing, clearing, defaulting, optional, required
from palaver.api.people.shapes import CONVERSATIONS, ONE, TITLE, Page, PeopleConversation, new_api, show_conversation
from palaver.api.people.speaker import PERSON, For, count_for, find_speaker
from palaver.chat import connections, invited
from palaver.chat.conversation import PresetId
from palaver.chat.errors import Ended, NoSuchPerson, NotManager, RateLimited, Unreachable
from palaver.chat.ports import Seat, StatusWanted
from palaver.chat.presets import access_preset
from palaver.chat.user import User

api = new_api()

STATUS: Choice[StatusWanted] = Choice("active", "ended", "all")
PEOPLE = Listed(PERSON, at_least=1, at_most=connections.MOST_MEMBERS)


class ConversationsWanted(Page):
    status = defaulting(STATUS, "active")


class NewConversation(Body):
    """One member and no title: the conversation of two, which there is once."""

    members = required(PEOPLE)
    title = optional(TITLE)


class ConversationChanges(Body):
    """`preset_id`: the bot that is invited into a group; null sends it away."""

    title = changing(TITLE)
    muted = changing(Flag())
    preset_id = clearing(Whole(1))


class NewMembers(Body):
    members = required(PEOPLE)


class BotStopped(Struct):
    """Whether there was a reply to stop."""

    stopped: bool


class MemberChanges(Body):
    manages = required(Flag())


class MyConversations(Struct):
    """`unread_total`: of all that are active and not muted."""

    conversations: list[PeopleConversation]
    has_more: bool
    unread_total: int


@api.add(
    "GET",
    CONVERSATIONS,
    who="signed_in",
    query=ConversationsWanted,
    answer=MyConversations,
    summary="List one's conversations with people, newest activity first",
)
async def list_conversations(call: Call) -> MyConversations:
    wanted = call.read_query(ConversationsWanted)
    speaker = await find_speaker(call, made=True)
    store = call.chat.store.connections
    found, has_more = await store.list(Seat(speaker.id), wanted.status, limit=wanted.limit, offset=wanted.offset)
    return MyConversations(
        [show_conversation(call, one) for one in found], has_more, await store.unread_total(speaker.id)
    )


@api.add(
    "POST",
    CONVERSATIONS,
    who="signed_in",
    query=For,
    body=NewConversation,
    answer=PeopleConversation,
    raises=(NoSuchPerson, Unreachable),
    summary="Begin a conversation with people, or find that of two",
)
async def make_conversation(call: Call) -> PeopleConversation:
    body = call.read(NewConversation)
    speaker = await find_speaker(call, mentioned=True)
    others = await _find_people(call, speaker, body.members)
    if len(others) == 1 and body.title is None:
        made, _ = await connections.connect_pair(call.chat, speaker, others[0], speaker)
    else:
        made = await connections.begin_group(call.chat, speaker, others, body.title or "")
    return show_conversation(call, made)


@api.add("GET", ONE, who="signed_in", query=For, answer=PeopleConversation, summary="Tell of one conversation")
async def get_conversation(call: Call) -> PeopleConversation:
    return await _show(call, await find_speaker(call))


@api.add(
    "PATCH",
    ONE,
    who="signed_in",
    query=For,
    body=ConversationChanges,
    answer=PeopleConversation,
    raises=(NotManager, Ended, RateLimited),
    summary="Rename a group, mute a conversation, invite a bot into a group or send it away",
)
async def change_conversation(call: Call) -> PeopleConversation:
    body = call.read(ConversationChanges)
    speaker = await find_speaker(call)
    if body.title is not UNSET or body.preset_id is not UNSET:
        # Everybody looks anew. To mute is one's own affair.
        call.granted = await call.site.limits.allow_search(call.user, call.counted_as)
        await count_for(call, speaker)
    seat, uuid = Seat(speaker.id), call.parameters["id"]
    # Whatever is refused changes nothing.
    preset = None
    if isinstance(body.preset_id, int):
        preset = await access_preset(call.chat, call.reader, PresetId(body.preset_id))
    if body.title is not UNSET:
        await connections.rename(call.chat, seat, uuid, body.title)
    if body.preset_id is not UNSET:
        await invited.invite_bot(call.chat, seat, uuid, preset)
    if body.muted is not UNSET:
        await call.chat.store.connections.mute(seat, uuid, muted=body.muted)
        call.chat.rooms.lists.changed(speaker.id)
    return await _show(call, speaker)


@api.add(
    "POST",
    f"{ONE}/members",
    who="signed_in",
    query=For,
    body=NewMembers,
    answer=PeopleConversation,
    raises=(NoSuchPerson, Unreachable, NotManager, Ended),
    counts_as_turn=True,
    summary="Invite people into a group",
)
async def invite(call: Call) -> PeopleConversation:
    body = call.read(NewMembers)
    speaker = await find_speaker(call)
    await count_for(call, speaker)
    seat, uuid = Seat(speaker.id), call.parameters["id"]
    # Who is not in it learns nothing of who there is.
    await call.chat.store.connections.check(speaker.id, uuid)
    await connections.invite(call.chat, seat, uuid, await _find_people(call, speaker, body.members))
    return await _show(call, speaker)


@api.add(
    "DELETE",
    f"{ONE}/members/{{user}}",
    who="signed_in",
    query=For,
    status=204,
    raises=(NotManager,),
    counts_as_turn=True,
    summary="Remove somebody from a group, or oneself",
)
async def remove_member(call: Call) -> Answer:
    speaker = await find_speaker(call)
    await count_for(call, speaker)
    seat, uuid = Seat(speaker.id), call.parameters["id"]
    await connections.remove_member(call.chat, seat, uuid, call.parameters["user"])
    return Answer(status=204)


@api.add(
    "PATCH",
    f"{ONE}/members/{{user}}",
    who="signed_in",
    query=For,
    body=MemberChanges,
    answer=PeopleConversation,
    raises=(NotManager, Ended),
    counts_as_turn=True,
    summary="Have somebody manage a group, or no more",
)
async def change_member(call: Call) -> PeopleConversation:
    body = call.read(MemberChanges)
    speaker = await find_speaker(call)
    await count_for(call, speaker)
    seat, uuid = Seat(speaker.id), call.parameters["id"]
    await connections.let_manage(call.chat, seat, uuid, call.parameters["user"], manages=body.manages)
    return await _show(call, speaker)


@api.add("POST", f"{ONE}/leave", who="signed_in", query=For, answer=None, status=204, summary="Leave a group")
async def leave(call: Call) -> Answer:
    speaker = await find_speaker(call)
    await connections.leave(call.chat, Seat(speaker.id), call.parameters["id"], speaker)
    return Answer(status=204)


@api.add(
    "POST",
    f"{ONE}/end",
    who="signed_in",
    query=For,
    answer=PeopleConversation,
    summary="End the conversation of two; both go on reading",
)
async def end(call: Call) -> PeopleConversation:
    speaker = await find_speaker(call)
    await connections.end(call.chat, Seat(speaker.id), call.parameters["id"])
    return await _show(call, speaker)


@api.add(
    "POST",
    f"{ONE}/stop",
    who="signed_in",
    query=For,
    answer=BotStopped,
    summary="Stop the reply of the bot that was invited",
)
async def stop(call: Call) -> BotStopped:
    speaker = await find_speaker(call)
    return BotStopped(await invited.stop_bot(call.chat, Seat(speaker.id), call.parameters["id"]))


async def _show(call: Call, speaker: User) -> PeopleConversation:
    return show_conversation(call, await call.chat.store.connections.get(Seat(speaker.id), call.parameters["id"]))


async def _find_people(call: Call, speaker: User, named: tuple[str, ...]) -> list[User]:
    """An application's users are there at first mention. Raises `NoSuchPerson`."""
    if call.user.kind == "app":
        return [await connections.mention(call.chat, call.user, name) for name in dict.fromkeys(named)]
    return [await connections.find_person(call.chat, speaker, name) for name in named]
