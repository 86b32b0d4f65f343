"""Users and what they sign in with, in the store."""

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from msgspec import Struct

from palaver.chat.clock import Micros
from palaver.chat.conversation import (
    MessageId,
)
from palaver.chat.user import Profile, ProfileChange, Token, TokenId, TokenKind, User, UserChange, UserId


class PeopleWanted(Struct, frozen=True):
    """`search` is a part of a name, an e-mail or a full name; `after` the name behind which to go on."""

    search: str = ""
    after: str = ""
    limit: int = 50


class People(Struct, frozen=True):
    """Some of those that were wanted, by name, and how many there are in all."""

    users: Sequence[User]
    total: int


class Accounts(Protocol):
    """Users and their tokens. Only hashes of secrets are kept."""

    async def add_user(self, user: User, *, password_hash: str | None = None) -> User:
        """The user with its id. A guest that is there already is given as it is.

        Raises `Taken` where name, e-mail or the application's name for it are in use.
        """
        ...

    async def find_user(self, name: str) -> tuple[User, str | None] | None:
        """The person of that name or e-mail, compared without case, with the hash of the password."""
        ...

    async def find_person(self, name: str) -> User | None:
        """The person of that name, compared without case. Of an e-mail nobody knows whose it is: it finds who is called
        by it alone."""
        ...

    async def get_user(self, user_id: UserId) -> User | None: ...
    async def get_users(self, user_ids: Collection[UserId]) -> Mapping[UserId, User]: ...
    async def get_user_by_uuid(self, uuid: str) -> User | None: ...
    async def find_app(self, name: str) -> User | None: ...
    async def app_user(self, app: User, name: str, uuid: str, now: Micros) -> User:
        """The application's own user of that name, made at first mention."""
        ...

    async def list_users(self) -> Sequence[User]: ...
    async def find_people(self, wanted: PeopleWanted) -> People:
        """Raises nothing: where nobody is meant, there are none."""
        ...

    async def list_apps(self) -> Sequence[User]: ...
    async def set_disabled(self, user_id: UserId, at: Micros | None) -> None: ...
    async def change_user(self, user_id: UserId, change: UserChange, now: Micros) -> User:
        """Raises `NotFound`, and `LastAdmin` where no admin would be left who can sign in."""
        ...

    async def set_password(self, user_id: UserId, password_hash: str) -> None: ...
    async def profile(self, user_id: UserId) -> Profile | None: ...
    async def change_profile(self, user_id: UserId, change: ProfileChange) -> None:
        """Whose name is the e-mail is called by the new one. Raises `Taken`."""
        ...

    async def password_hash(self, user_id: UserId) -> str | None: ...
    async def change_password(self, user_id: UserId, password_hash: str, keep: TokenId | None, now: Micros) -> None:
        """Ends what was signed in by then: sessions, links and tokens without a name, all but the one to keep."""
        ...

    async def erase_user(self, user_id: UserId, now: Micros, *, keep_an_admin: bool = False) -> Sequence[MessageId]:
        """Removes the user with all that is theirs. Gives the replies that ran. The documents in their collections are
        found by nobody any more; what is left of them is cleared in the background.

        With `keep_an_admin` it raises `LastAdmin` where no admin would be left who can sign in.
        """
        ...

    async def add_token(
        self,
        user_id: UserId,
        kind: TokenKind,
        digest: bytes,
        label: str,
        now: Micros,
        expires_at: Micros | None,
        *,
        most: int | None = None,
    ) -> TokenId:
        """Raises `TooManyTokens` where the user has `most` tokens with a name that are open."""
        ...

    async def add_sign_in(
        self,
        user_id: UserId,
        kind: TokenKind,
        digest: bytes,
        now: Micros,
        expires_at: Micros | None,
        *,
        password_hash: str,
    ) -> bool:
        """As `add_token`, for who has shown the password of that hash. False, and nothing is added, where it is not the
        user's any more, or the user is disabled: a change of the password ends what began before it, too."""
        ...

    async def find_token(self, digest: bytes) -> tuple[Token, User] | None: ...
    async def spend_link(self, digest: bytes, now: Micros) -> User | None:
        """The user of a sign-in link that is unused and not expired; it is used up by this. Else None."""
        ...

    async def list_tokens(self, user_id: UserId) -> Sequence[Token]: ...
    async def revoke_token(self, token_id: TokenId, now: Micros) -> User | None:
        """Whose it was; None where there is no such token that was not revoked before."""
        ...

    async def revoke_own_token(self, user_id: UserId, token_id: TokenId, now: Micros) -> bool:
        """False where the user has no such token that is open."""
        ...

    async def revoke_all(self, user_id: UserId, now: Micros) -> None: ...
    async def access_changes(self) -> str:
        """Another word whenever a token was revoked or a user disabled, enabled or erased, by whatever process."""
        ...

    async def still_open(
        self, tokens: Collection[TokenId], users: Collection[UserId]
    ) -> tuple[Collection[TokenId], Collection[UserId]]:
        """Of these those that are not revoked, and those that are there and not disabled, with their application."""
        ...

    async def touch_tokens(self, used: Sequence[tuple[TokenId, Micros]]) -> None: ...
    async def remove_closed_tokens(self, closed_before: Micros) -> int:
        """Removes tokens that expired or were revoked before then, so many at a time. Tells how many."""
        ...

    async def remove_empty_guests(self, made_before: Micros) -> int:
        """Removes guests that own nothing, so many at a time. Tells how many."""
        ...

    async def server_secret(self) -> bytes:
        """A random secret of this installation, made at its first use."""
        ...
