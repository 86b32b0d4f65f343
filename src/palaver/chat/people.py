"""The people who have an account here, and what admins may do about them. One admin who can sign in is always left."""

from collections.abc import Sequence
from contextlib import suppress
from uuid import UUID

from msgspec import Struct

from palaver.chat import ports
from palaver.chat.accounts import LINK_MINUTES, Accounts, email_in
from palaver.chat.clock import MINUTE, Micros
from palaver.chat.conversation import Conversation
from palaver.chat.errors import Disabled, NotFound
from palaver.chat.events import Gone, Turned
from palaver.chat.flow import Chat
from palaver.chat.ports import PeopleWanted, Seat
from palaver.chat.user import User, UserChange

# Of more than anybody is in.
MOST_TALKS = 10_000


class SignInLink(Struct, frozen=True):
    """The code of a link that signs somebody in once."""

    code: str
    expires_at: Micros


class People:
    """Whatever changes here holds in this worker when the method returns, and within two seconds in every other one."""

    def __init__(self, chat: Chat, accounts: Accounts) -> None:
        self._chat = chat
        self._store = chat.store.accounts
        self._accounts = accounts
        self._clock = chat.clock

    async def find(self, wanted: PeopleWanted) -> ports.People:
        return await self._store.find_people(wanted)

    async def get(self, named: str) -> User:
        """The person of that UUID or name. Raises `NotFound`.

        An e-mail will not do: anybody may claim one, and nobody has looked whether it is theirs.
        """
        with suppress(ValueError):
            known = await self._store.get_user_by_uuid(str(UUID(named)))
            if known is not None and known.kind == "person":
                return known
        found = await self._store.find_person(named)
        if found is None:
            raise NotFound
        return found

    async def add(self, name: str, *, email: str | None, full_name: str, is_admin: bool) -> tuple[User, SignInLink]:
        """Somebody who signs in by the link, and has no password. Raises `Taken` or `Invalid`."""
        email = email_in(name) if email is None else email
        user = await self._accounts.add_person(name, None, email=email, full_name=full_name, is_admin=is_admin)
        return user, await self._new_link(user)

    async def new_link(self, named: str) -> SignInLink:
        """Raises `NotFound`, and `Disabled` where the link would open nothing."""
        user = await self.get(named)
        if user.disabled:
            raise Disabled
        return await self._new_link(user)

    async def _new_link(self, user: User) -> SignInLink:
        code = await self._accounts.new_link(user)
        return SignInLink(code, Micros(self._clock.now() + LINK_MINUTES * MINUTE))

    async def change(self, named: str, change: UserChange) -> User:
        """Who is disabled hears no more within two seconds. Raises `NotFound` or `LastAdmin`."""
        return await self._accounts.change_user(await self.get(named), change)

    async def sign_out(self, named: str) -> None:
        """Of every session and token. Raises `NotFound`."""
        await self._accounts.revoke_all(await self.get(named))

    async def erase(self, named: str) -> None:
        """With all that is theirs; what ran is stopped. Raises `NotFound` or `LastAdmin`."""
        user = await self.get(named)
        talks = await self._talks(user)
        for reply_id in await self._accounts.erase(user, keep_an_admin=True):
            self._chat.replies.stop_here(reply_id)
        for talk in talks:
            await self._tell_left(talk)

    async def _talks(self, user: User) -> Sequence[Conversation]:
        found, _ = await self._chat.store.connections.list(Seat(user.id), "all", limit=MOST_TALKS, offset=0)
        return [one.conversation for one in found]

    async def _tell_left(self, talk: Conversation) -> None:
        """Those who are left in a group look anew, as what the one said is gone; the talk of two is gone as a whole."""
        try:
            present = await self._chat.store.events.present(None, talk.uuid)
        except NotFound:
            self._chat.rooms.pass_on(talk.uuid, Gone())
        else:
            self._chat.rooms.tell(talk.uuid, Turned(present.mark))
