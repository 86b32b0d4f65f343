"""People who talk to each other. Whatever API it comes in by: what is said is on disk before anybody hears of it."""

import asyncio
import uuid
from collections.abc import Sequence
from contextlib import suppress

from palaver.chat.errors import Ended, Invalid, NoSuchPerson, NotFound, Unreachable
from palaver.chat.events import Dropped, MessageRead, MessageSaid, PersonRead, PersonWrote, Turned, Typing
from palaver.chat.flow import Chat
from palaver.chat.ports import Changed, Connection, GroupChange, NewSaid, Seat, Spoken, Written
from palaver.chat.user import NOT_STORED, User

# Everybody in a group is told of every message: as many as that costs next to nothing.
MOST_MEMBERS = 100

PREVIEW = 120


async def find_person(chat: Chat, caller: User, named: str) -> User:
    """Somebody whom this caller can talk to: a person by id or name, for an application's user another one of its own.

    Raises `NoSuchPerson`.
    """
    if caller.kind == "app_user":
        assert caller.app_id is not None, "an application's user has an application"
        found = await chat.store.connections.find_app_user(caller.app_id, named)
    else:
        found = await _person(chat, named)
    if found is None or found.disabled:
        raise NoSuchPerson
    return found


async def mention(chat: Chat, app: User, named: str) -> User:
    """A user of the application. Of one that it has not named before this is who it will be: it is made with what it
    is brought into, and not at all where that is refused."""
    found = await chat.store.connections.find_app_user(app.id, named)
    if found is not None:
        return found
    return User(NOT_STORED, str(uuid.uuid4()), "app_user", named, app_id=app.id, created_at=chat.clock.now())


async def _person(chat: Chat, named: str) -> User | None:
    try:
        known = await chat.store.accounts.get_user_by_uuid(str(uuid.UUID(named)))
    except ValueError:
        known = None
    if known is not None and known.kind == "person":
        return known
    return await chat.store.accounts.find_person(named)


async def connect_pair(chat: Chat, first: User, second: User, asks: User) -> tuple[Connection, bool]:
    """The two people's conversation, and whether it was begun just now. Raises `Unreachable`, and `Invalid` for a pair
    of one."""
    if first.shown_id == second.shown_id:
        raise Invalid("user2_id", "same_person")
    made, is_new = await chat.store.connections.find_or_make_pair(
        first, second, asks.id, str(uuid.uuid4()), chat.clock.now()
    )
    if is_new:
        _lists_changed(chat, made)
    return made, is_new


async def begin_group(chat: Chat, maker: User, others: Sequence[User], title: str) -> Connection:
    """Raises `Unreachable`, and `Invalid` where there are too many."""
    if len({maker.shown_id, *(user.shown_id for user in others)}) > MOST_MEMBERS:
        raise Invalid("members", "group_full")
    made = await chat.store.connections.make_group(maker, others, title, str(uuid.uuid4()), chat.clock.now())
    _lists_changed(chat, made)
    return made


def _lists_changed(chat: Chat, connection: Connection) -> None:
    for member in connection.members:
        chat.rooms.lists.changed(member.user.id)


async def say(chat: Chat, seat: Seat, conversation: str, text: str, *, client_message_id: str | None = None) -> Spoken:
    """The message, committed; all who are present hear of it, and all others who are in it as soon as they look.

    Raises `NotFound`, `Ended`, `Unreachable`, `Conflict` or `Draining`; then nothing has changed.
    """
    chat.replies.check_stays()
    said = NewSaid(seat, conversation, text, await chat.replies.tokens.count(text), chat.clock.now(), client_message_id)
    # A caller that goes away while it is committed must not keep the others from hearing of it.
    return await asyncio.shield(chat.replies.beginning(_say(chat, said)))


async def _say(chat: Chat, said: NewSaid) -> Spoken:
    spoken = await chat.store.connections.say(said)
    if spoken.known:
        return spoken
    message, sender = spoken.written.message, spoken.written.sender
    assert sender is not None, "who has just spoken is there"
    chat.notices_came()
    chat.rooms.tell(spoken.conversation.uuid, MessageSaid(spoken.mark, message))
    for user_id, unread in spoken.unread.items():
        if user_id in spoken.spared:
            chat.rooms.lists.changed(user_id)
            continue
        chat.rooms.lists.among_people(
            user_id,
            PersonWrote(
                spoken.conversation.uuid,
                message.uuid,
                sender.shown_id,
                sender.name,
                message.content[:PREVIEW],
                unread,
                message.created_at,
            ),
        )
    return spoken


async def edit(chat: Chat, seat: Seat, conversation: str, message: str, text: str) -> Written:
    """One's own message in other words. Raises `NotFound`, `Ended`, `Unreachable` or `Draining`."""
    chat.replies.check_stays()
    count = await chat.replies.tokens.count(text)
    written, changed = await chat.store.connections.edit(seat, conversation, message, text, count, chat.clock.now())
    await tell_changed(chat, changed)
    return written


async def remove(chat: Chat, seat: Seat, conversation: str, message: str) -> Written:
    """One's own message is gone for all. Raises `NotFound`."""
    written, changed = await chat.store.connections.remove(seat, conversation, message, chat.clock.now())
    await tell_changed(chat, changed)
    return written


async def read_up_to(chat: Chat, seat: Seat, conversation: str, message: str, user: User) -> int:
    """How much is not read by now; everybody present sees how far it is. Never moves back. Raises `NotFound`."""
    unread, mark = await chat.store.connections.read_up_to(seat, conversation, message, chat.clock.now())
    if mark is not None:
        chat.rooms.tell(conversation, MessageRead(mark, message, user.name))
        chat.rooms.lists.among_people(user.id, PersonRead(conversation, message, unread))
    return unread


async def type_to(chat: Chat, seat: Seat, conversation: str, user: User, *, on: bool) -> None:
    """Those present see that this one types, or no more: where they would not hear it, they do not see it either.
    Raises `NotFound`."""
    with suppress(Ended, Unreachable):
        await chat.store.connections.check_open(seat, conversation)
        chat.rooms.pass_on(conversation, Typing(user.name, on=on))


async def end(chat: Chat, seat: Seat, conversation: str) -> None:
    """A pair takes no more messages; both go on reading. Raises `NotFound`."""
    await tell_changed(chat, await chat.store.connections.end(seat, conversation, chat.clock.now()))


async def block(chat: Chat, seat: Seat, conversation: str) -> None:
    """The other of a pair reaches this one no more, nor is reached. Raises `NotFound`."""
    other = await _other(chat, seat, conversation)
    await chat.store.connections.block(seat.user_id, other.id, chat.clock.now())


async def unblock(chat: Chat, seat: Seat, conversation: str) -> None:
    """Raises `NotFound`."""
    other = await _other(chat, seat, conversation)
    await chat.store.connections.unblock(seat.user_id, other.id)


async def _other(chat: Chat, seat: Seat, conversation: str) -> User:
    found = await chat.store.connections.get(seat, conversation)
    return next(member.user for member in found.members if member.user.id != seat.user_id)


async def rename(chat: Chat, seat: Seat, conversation: str, title: str) -> None:
    """Raises `NotFound`, `NotManager` or `Ended`."""
    change = GroupChange(title=title)
    await tell_changed(chat, await chat.store.connections.change(seat, conversation, change, chat.clock.now()))


async def invite(chat: Chat, seat: Seat, conversation: str, others: Sequence[User]) -> None:
    """Raises `NotFound`, `NotManager`, `Unreachable`, `Ended`, and `Invalid` where there would be too many."""
    now = chat.clock.now()
    await tell_changed(chat, await chat.store.connections.invite(seat, conversation, others, now, MOST_MEMBERS))


async def leave(chat: Chat, seat: Seat, conversation: str, who: User) -> None:
    """By themselves, or removed by who manages the group. Raises `NotFound` or `NotManager`."""
    await tell_changed(chat, await chat.store.connections.leave(seat, conversation, who.id, chat.clock.now()))


async def tell_changed(chat: Chat, changed: Changed) -> None:
    """All who are present look anew, and who is in it no more hears nothing from then on."""
    if changed.mark is None:
        return
    conversation = changed.conversation.uuid
    for reply_id in changed.stopped:
        await chat.replies.stop(reply_id)
    if changed.stopped:
        chat.rooms.pass_on(conversation, Dropped(tuple(changed.stopped), ended=True))
    chat.rooms.tell(conversation, Turned(changed.mark))
    for user_id in changed.told:
        chat.rooms.lists.changed(user_id)


async def remove_member(chat: Chat, seat: Seat, conversation: str, named: str) -> None:
    """Whoever is called so there. Raises `NotFound` or `NotManager`."""
    await leave(chat, seat, conversation, await _find_member(chat, seat, conversation, named))


async def let_manage(chat: Chat, seat: Seat, conversation: str, named: str, *, manages: bool) -> None:
    """Whoever is called so there, or no more. Raises `NotFound`, `NotManager`, `Ended`, and `Invalid` where nobody
    would be left who does."""
    member = await _find_member(chat, seat, conversation, named)
    await tell_changed(chat, await chat.store.connections.let_manage(seat, conversation, member.id, manages=manages))


async def _find_member(chat: Chat, seat: Seat, conversation: str, named: str) -> User:
    """As `find_person` knows people, disabled ones included. Raises `NotFound`."""
    members = (await chat.store.connections.get(seat, conversation)).members
    for is_meant in (_is_its_id, _is_its_name):
        for member in members:
            if is_meant(member.user, named):
                return member.user
    raise NotFound


def _is_its_id(user: User, named: str) -> bool:
    """An application's `Bob` and `bob` are two."""
    return user.name == named if user.kind == "app_user" else user.uuid == named.casefold()


def _is_its_name(user: User, named: str) -> bool:
    return user.kind == "person" and user.name.casefold() == named.casefold()


async def block_person(chat: Chat, blocker: User, blocked: User) -> None:
    """Raises `Invalid` for who blocks themselves."""
    if blocker.id == blocked.id:
        raise Invalid("user", "same_person")
    await chat.store.connections.block(blocker.id, blocked.id, chat.clock.now())
