"""Who asks: a person, a guest, an application, or a user that an application vouches for."""

from typing import Literal, NewType

from msgspec import UNSET, Struct, UnsetType

from palaver.chat.clock import Micros

UserId = NewType("UserId", int)
TokenId = NewType("TokenId", int)

UserKind = Literal["person", "guest", "app", "app_user"]
TokenKind = Literal["token", "session", "link"]

# A guest is known by a signed cookie alone until the first thing it makes; rows start at 1.
NOT_STORED = UserId(0)


class User(Struct, frozen=True):
    id: UserId
    uuid: str
    kind: UserKind
    name: str
    email: str = ""
    full_name: str = ""
    is_admin: bool = False
    app_id: UserId | None = None
    created_at: Micros = Micros(0)
    disabled: bool = False

    @property
    def shown_id(self) -> str:
        """The id that APIs show: an application's user goes by the name the application gave."""
        return self.name if self.kind == "app_user" else self.uuid


class UserChange(Struct, frozen=True):
    """What admins may make of somebody; `UNSET` stays as it is."""

    full_name: str | UnsetType = UNSET
    is_admin: bool | UnsetType = UNSET
    disabled: bool | UnsetType = UNSET

    @property
    def takes_admin_away(self) -> bool:
        return self.is_admin is False or self.disabled is True


class Reader(Struct, frozen=True):
    """On whose behalf something is looked up. The store puts these into the query itself."""

    user_id: UserId
    app_id: UserId | None = None
    guests_allowed: bool = False
    is_admin: bool = False
    is_guest: bool = False
    """A guest has no bill that another server's work could be put down to."""


class Profile(Struct, frozen=True):
    """A person as the person sees it. `language` is None where the client says which."""

    user: User
    language: str | None
    has_password: bool


class ProfileChange(Struct, frozen=True):
    """`UNSET` stays as it is."""

    full_name: str | UnsetType = UNSET
    email: str | UnsetType = UNSET
    language: str | UnsetType | None = UNSET


class Token(Struct, frozen=True):
    id: TokenId
    user_id: UserId
    kind: TokenKind
    label: str
    created_at: Micros
    expires_at: Micros | None
    revoked_at: Micros | None
    last_used_at: Micros | None
