"""Who has an account here, and how one shows it: passwords, tokens, sign-in links, sessions, guests.

Every secret is random and kept as its SHA-256; what a token opens is remembered for a second, so that a turn costs no
look-up and a revoked token still closes within two seconds on every worker.
"""

import hashlib
import hmac
import math
import re
import secrets
import time
import uuid
from collections.abc import Callable, Sequence
from typing import Literal

from msgspec import UNSET, Struct

from palaver.chat.clock import DAY, MINUTE, SECOND, Clock, Micros
from palaver.chat.conversation import MessageId
from palaver.chat.counts import LocalCounts
from palaver.chat.errors import ChatError, Forbidden, Invalid, NotFound, RateLimited, Taken
from palaver.chat.limit import Limit, LimitOf
from palaver.chat.passwords import Passwords
from palaver.chat.ports import Counts, Standing, Store, Wanted
from palaver.chat.user import NOT_STORED, Profile, ProfileChange, Reader, Token, TokenId, TokenKind, User, UserChange
from palaver.watching.security import Event, tell

NAME = re.compile(r"[A-Za-z0-9._+-]{1,50}")
EMAIL = re.compile(r"[^\s@]{1,64}@[^\s@]{1,185}")

LINK_MINUTES = 15
SESSION_DAYS = 30
# What somebody makes by name. Nobody has use for more, and all of them are listed.
MOST_OWN_TOKENS = 100

REMEMBER_SECONDS = 1.0
REMEMBERED = 20_000

# Behind one address there may be a whole office; the typos of a few must not lock out all.
ATTEMPTS_OF_AN_ADDRESS = 10

OF_ACCOUNT = "sign-ins:account:"
OF_ADDRESS = "sign-ins:address:"

# `last used` is exact to a minute; a write for each request would cost more than the request.
TOUCH_SECONDS = 60


class Shown(Struct, frozen=True):
    """A credential that opened nothing: of which kind it is, why, and whose it is or was."""

    kind: TokenKind | Literal["guest"]
    why: Literal["unknown", "other_kind", "revoked", "expired", "silent", "disabled"]
    user: User | None = None


class WrongCredentials(ChatError):
    """A bad, expired or revoked token (`shown`), a wrong password, a disabled user, or nothing at all."""

    code = "unauthenticated"

    def __init__(self, shown: Shown | None = None) -> None:
        super().__init__()
        self.shown = shown

    @property
    def expired(self) -> bool:
        """It was good, and nobody has ended it: it counts as absent."""
        return self.shown is not None and self.shown.why in ("expired", "silent")


class Closed(ChatError):
    """Registration is off."""

    code = "closed"


class SessionNeeded(Forbidden):
    """A token alone may not do it: somebody signed in with a browser has to."""

    code = "session_needed"


class AccountRules(Struct, frozen=True):
    """`attempts` are those of one account. `token_days` is how long a token lives by itself; 0: until it is revoked.
    `password_mebibytes`: the memory that the hash of a password takes. `session_silent_days`: after so many without a
    request a browser's session is over; 0: only when its time is."""

    registration: bool = False
    guests: bool = False
    attempts: int = 10
    attempt_seconds: float = 300
    token_days: float = 365
    password_mebibytes: int = 64
    session_silent_days: float = 0


class Caller(Struct, frozen=True):
    """Who asks, and the token that says so (none for a guest)."""

    user: User
    token_id: TokenId | None = None
    expires_at: Micros | None = None
    kind: TokenKind = "token"


class Accounts:
    def __init__(
        self,
        store: Store,
        clock: Clock,
        rules: AccountRules,
        secret: bytes,
        monotonic: Callable[[], float] = time.monotonic,
        counts: Counts | None = None,
    ) -> None:
        self._store = store.accounts
        self._clock = clock
        self._secret = secret
        self._monotonic = monotonic
        self._passwords = Passwords(rules.password_mebibytes)
        self._counts = counts or LocalCounts(monotonic)
        self._remembered: dict[bytes, tuple[float, tuple[Token, User] | None]] = {}
        self._touched: dict[TokenId, Micros] = {}
        self._used: dict[TokenId, Micros] = {}
        self.rules = rules
        self.when_changed: Callable[[], None] = self.forget
        """Called once who may do what is another now."""

    async def by_token(self, secret: str, kind: TokenKind = "token") -> Caller:
        """Raises `WrongCredentials`."""
        digest = to_digest(secret)
        found = await self._find(digest)
        now = self._clock.now()
        if found is None:
            raise WrongCredentials(Shown(kind, "unknown"))
        token, user = found
        if token.kind != kind:
            raise WrongCredentials(Shown(kind, "other_kind", user))
        if token.revoked_at is not None:
            raise WrongCredentials(Shown(kind, "revoked", user))
        if user.disabled:
            raise WrongCredentials(Shown(kind, "disabled", user))
        if token.expires_at is not None and token.expires_at <= now:
            raise WrongCredentials(Shown(kind, "expired", user))
        # Here, or in another worker, which may have heard of it since.
        last_used = max(self._touched.get(token.id, 0), token.last_used_at or 0)
        if kind == "session" and self._was_silent(max(last_used, token.created_at), now):
            raise WrongCredentials(Shown(kind, "silent", user))
        if now - last_used > TOUCH_SECONDS * SECOND:
            self._touched[token.id] = self._used[token.id] = now
        return Caller(user, token.id, token.expires_at, kind)

    def _was_silent(self, last_used: int, now: Micros) -> bool:
        days = self.rules.session_silent_days
        # What was used less than a minute ago may be noted as longer ago: nobody is to be shut out while they ask.
        return bool(days) and now - last_used >= days * DAY + TOUCH_SECONDS * SECOND

    async def _find(self, digest: bytes) -> tuple[Token, User] | None:
        now = self._monotonic()
        until, found = self._remembered.get(digest, (0.0, None))
        if until > now:
            return found
        found = await self._store.find_token(digest)
        if len(self._remembered) >= REMEMBERED:
            self._remembered.clear()
        self._remembered[digest] = (now + REMEMBER_SECONDS, found)
        return found

    async def keep_last_used(self) -> None:
        """Writes down when tokens were last used; called now and then."""
        used, self._used = self._used, {}
        if used:
            await self._store.touch_tokens(list(used.items()))
        if len(self._touched) > REMEMBERED:
            self._touched.clear()

    def new_guest(self) -> User:
        """Somebody without an account. Nothing is stored until the guest makes something."""
        return User(NOT_STORED, str(uuid.uuid4()), "guest", "guest", created_at=self._clock.now())

    def guest_cookie(self, guest: User) -> str:
        return f"{guest.uuid}.{self._sign(guest.uuid)}"

    async def by_guest_cookie(self, cookie: str) -> User | None:
        """The guest; None where the cookie is not one of ours."""
        guest_id, _, signature = cookie.partition(".")
        if not hmac.compare_digest(signature.encode(), self._sign(guest_id).encode()):
            return None
        stored = await self._store.get_user_by_uuid(guest_id)
        if stored is None:
            return User(NOT_STORED, guest_id, "guest", "guest", created_at=self._clock.now())
        if stored.disabled:
            raise WrongCredentials(Shown("guest", "disabled", stored))
        return stored

    def _sign(self, text: str) -> str:
        return hmac.new(self._secret, text.encode(), hashlib.sha256).hexdigest()

    async def stored(self, user: User) -> User:
        """The user with a row, before it comes to own something."""
        if user.id != NOT_STORED:
            return user
        found = await self._store.get_user_by_uuid(user.uuid)
        return found or await self._store.add_user(user)

    async def app_user(self, app: User, name: str) -> User:
        return await self._store.app_user(app, name, str(uuid.uuid4()), self._clock.now())

    def check_open(self) -> None:
        """Raises `Closed` where nobody may register."""
        if not self.rules.registration:
            raise Closed

    async def owner_for(self, caller: User, name: str) -> User:
        """Whose it is what `caller` makes for `name`: an application names a user of its own, others speak for
        themselves."""
        return await (self.app_user(caller, name) if caller.kind == "app" else self.stored(caller))

    async def register(self, name: str, password: str, *, email: str = "", full_name: str = "") -> User:
        """Raises `Closed`, `Taken` or `Invalid`."""
        self.check_open()
        return await self.add_person(name, password, email=email, full_name=full_name)

    async def add_person(
        self, name: str, password: str | None, *, email: str = "", full_name: str = "", is_admin: bool = False
    ) -> User:
        """Raises `Taken` or `Invalid`. Without a password only a link or a token signs in."""
        check_name(name, email)
        user = User(
            NOT_STORED, str(uuid.uuid4()), "person", name, email, full_name, is_admin, created_at=self._clock.now()
        )
        if await self._store.find_user(name) is not None:
            raise Taken("name")
        password_hash = None if password is None else await self._passwords.hash(password)
        return _told_made(await self._store.add_user(user, password_hash=password_hash))

    async def add_app(self, name: str) -> User:
        check_name(name)
        user = User(NOT_STORED, str(uuid.uuid4()), "app", name, created_at=self._clock.now())
        return _told_made(await self._store.add_user(user))

    async def change_user(self, user: User, change: UserChange) -> User:
        """What an admin makes of somebody: it holds here at once. Raises `NotFound` or `LastAdmin`."""
        changed = await self._store.change_user(user.id, change, self._clock.now())
        self.when_changed()
        if changed.is_admin != user.is_admin:
            tell("admin_made" if changed.is_admin else "admin_unmade", changed)
        if changed.disabled != user.disabled:
            _tell_disabled(changed, disabled=changed.disabled)
        return changed

    async def set_disabled(self, user: User, *, disabled: bool) -> None:
        """Whoever it is, the last admin too."""
        await self._store.set_disabled(user.id, self._clock.now() if disabled else None)
        self.when_changed()
        _tell_disabled(user, disabled=disabled)

    async def erase(self, user: User, *, keep_an_admin: bool = False) -> Sequence[MessageId]:
        """With all that is theirs; the replies that ran are told, so that they can be stopped. Raises `LastAdmin`."""
        stopped = await self._store.erase_user(user.id, self._clock.now(), keep_an_admin=keep_an_admin)
        self.when_changed()
        tell("account_erased", user)
        return stopped

    async def sign_in(
        self, name: str, password: str, address: str, kind: Literal["token", "session"] = "token"
    ) -> tuple[User, str]:
        """The user, and a token of theirs, or a browser's session.

        Raises `WrongCredentials`, and `RateLimited` after too many failures.
        """
        found = await self._store.find_user(name)
        user, password_hash = found if found is not None else (None, None)
        usable = None if user is None or user.disabled else password_hash
        is_right = await self._is_right(name, usable, password, address, user, "sign_in_refused")
        if not is_right or user is None or usable is None:
            tell("sign_in_refused", user, how="password", why=_why_not(user, password_hash))
            raise WrongCredentials
        secret, now = secrets.token_urlsafe(32), self._clock.now()
        expires_at = _after(now, SESSION_DAYS if kind == "session" else self.rules.token_days)
        if not await self._store.add_sign_in(user.id, kind, to_digest(secret), now, expires_at, password_hash=usable):
            # Changed while this one was looked at.
            tell("sign_in_refused", user, how="password", why="changed")
            raise WrongCredentials
        tell("signed_in", user, how="password", made=kind)
        return user, secret

    async def _is_right(
        self, name: str, password_hash: str | None, password: str, address: str, user: User | None, refused: Event
    ) -> bool:
        """Raises `RateLimited` after too many that were not, which is told as `refused`."""
        of_account, of_address = self._attempt_of_account(name), self._attempt_of_address(address)
        # Counted before the password is hashed, and taken back where it was the right one: counted afterwards, any
        # number of guesses made at once would all be tried.
        standings = await self._counts.take((of_account, of_address))
        for wanted, standing in zip((of_account, of_address), standings, strict=True):
            _check_attempt(wanted, standing, user, refused)
        if not await self._passwords.verify(password_hash, password):
            return False
        self._counts.forget(of_account.key)
        self._counts.give_back((of_address,))
        return True

    async def check_address(self, address: str) -> None:
        """Raises `RateLimited` where too many sign-ins from there have failed."""
        of_address = self._attempt_of_address(address)
        _check_attempt(of_address, await self._counts.look(of_address), None, "sign_in_refused")

    def _attempt_of_account(self, name: str) -> Wanted:
        # Whatever somebody types as a name: only its hash leaves the process.
        digest = to_digest(name.casefold()).hex()
        return Wanted(OF_ACCOUNT + digest, self.rules.attempts, self.rules.attempt_seconds)

    def _attempt_of_address(self, address: str) -> Wanted:
        most = self.rules.attempts * ATTEMPTS_OF_AN_ADDRESS
        return Wanted(OF_ADDRESS + address, most, self.rules.attempt_seconds)

    async def is_link(self, code: str) -> bool:
        """Whether this link would sign somebody in. It stays as it is."""
        try:
            await self.by_token(code, "link")
        except WrongCredentials:
            return False
        return True

    async def sign_in_by_link(self, code: str) -> User | None:
        """The user whose unused link this is. The link is used up."""
        digest = to_digest(code)
        user = await self._store.spend_link(digest, self._clock.now())
        self._remembered.pop(digest, None)
        if user is None or user.disabled:
            # Used, too old, or never made: the store tells these apart no more than whoever followed it.
            tell("sign_in_refused", user, how="link", why="unknown" if user is None else "disabled")
            return None
        tell("signed_in", user, how="link", made="session")
        return user

    async def new_token(self, user: User, *, label: str = "", days: float | None = None) -> str:
        """One that lives for `days`, or as the rules say. 0: until it is revoked."""
        return await self._new(user, "token", label, self.rules.token_days if days is None else days)

    async def new_session(self, user: User) -> str:
        return await self._new(user, "session", "", SESSION_DAYS)

    async def new_link(self, user: User, *, forever: bool = False) -> str:
        """The code of a link that signs in once, for a quarter of an hour or (`forever`) until it is used."""
        return await self._new(user, "link", "", 0 if forever else LINK_MINUTES * MINUTE / DAY)

    async def _new(self, user: User, kind: TokenKind, label: str, days: float, *, most: int | None = None) -> str:
        secret = secrets.token_urlsafe(32)
        now = self._clock.now()
        made = await self._store.add_token(user.id, kind, to_digest(secret), label, now, _after(now, days), most=most)
        match kind:
            case "token":
                tell("token_made", user, token=made)
            case "link":
                tell("link_made", user, token=made)
            case "session":
                # Whoever signed in gets it, and that is told.
                pass
        return secret

    async def revoke(self, token_id: TokenId) -> bool:
        """Whether there was something to revoke."""
        owner = await self._store.revoke_token(token_id, self._clock.now())
        self.when_changed()
        if owner is not None:
            tell("token_revoked", owner, token=token_id)
        return owner is not None

    async def sign_out(self, caller: Caller) -> None:
        """Ends the session or token by which the caller asks."""
        if caller.token_id is not None:
            await self._store.revoke_token(caller.token_id, self._clock.now())
            self.when_changed()
            tell("signed_out", caller.user, how=caller.kind)

    async def revoke_all(self, user: User) -> None:
        """Signs somebody out everywhere."""
        await self._store.revoke_all(user.id, self._clock.now())
        self.when_changed()
        tell("signed_out", user, how="everywhere")

    async def profile(self, user: User) -> Profile:
        """Raises `Forbidden` for who is no person."""
        _check_person(user)
        profile = await self._store.profile(user.id)
        if profile is None:
            # Erased a moment ago.
            raise WrongCredentials
        return profile

    async def change_profile(self, user: User, change: ProfileChange) -> Profile:
        """Raises `Forbidden`, `Taken` or `Invalid`."""
        _check_person(user)
        if change.email is not UNSET and change.email and not EMAIL.fullmatch(change.email):
            raise Invalid("email", "email")
        await self._store.change_profile(user.id, change)
        self.forget()
        profile = await self.profile(user)
        if profile.user.email != user.email:
            # It signs in, too.
            tell("email_changed", profile.user)
        return profile

    async def change_password(self, caller: Caller, old: str | None, new: str, address: str) -> None:
        """Who signed in before has to do it again, but for the caller. Who has no password yet gets the first one.

        Raises `Forbidden`, `SessionNeeded` (a token that leaked must not make itself a password), `Invalid`, and
        `RateLimited` after too many wrong ones.
        """
        user = caller.user
        _check_person(user)
        password_hash = await self._store.password_hash(user.id)
        if password_hash is None and caller.kind != "session":
            raise SessionNeeded
        if password_hash is not None:
            if old is None:
                raise Invalid("old_password", "missing")
            if not await self._is_right(user.name, password_hash, old, address, user, "password_refused"):
                tell("password_refused", user, why="wrong_password")
                raise Invalid("old_password", "wrong_password")
        hashed = await self._passwords.hash(new)
        await self._store.change_password(user.id, hashed, caller.token_id, self._clock.now())
        self.when_changed()
        tell("password_changed", user)

    async def open_tokens(self, user: User) -> Sequence[Token]:
        """The person's tokens that sign in, the newest first. Raises `Forbidden`."""
        _check_person(user)
        now = self._clock.now()
        tokens = await self._store.list_tokens(user.id)
        return [one for one in reversed(tokens) if one.revoked_at is None and (one.expires_at or now + 1) > now]

    async def new_own_token(self, caller: Caller, name: str, days: float) -> tuple[Token, str]:
        """One that is called so, and its secret, which nobody can tell again.

        Raises `Forbidden`, `TooManyTokens`, and `Invalid` where it would outlive the token that asks for it.
        """
        user = caller.user
        _check_person(user)
        if caller.kind == "token" and caller.expires_at is not None:
            left = (caller.expires_at - self._clock.now()) / DAY
            if not 0 < days <= left:
                raise Invalid("days", "outlives")
        secret = await self._new(user, "token", name, days, most=MOST_OWN_TOKENS)
        found = await self._store.find_token(to_digest(secret))
        assert found is not None, "it was kept a moment ago"
        return found[0], secret

    async def revoke_own_token(self, user: User, token_id: TokenId) -> None:
        """Raises `Forbidden`, and `NotFound` where the person has no such token."""
        _check_person(user)
        if not await self._store.revoke_own_token(user.id, token_id, self._clock.now()):
            raise NotFound
        self.when_changed()
        tell("token_revoked", user, token=token_id)

    def forget(self) -> None:
        """Every token is looked up again."""
        self._remembered.clear()

    async def must_find(self, name: str) -> User:
        """The person of that name or e-mail. Raises `NotFound`."""
        found = await self._store.find_user(name)
        if found is None:
            raise NotFound
        return found[0]


def _check_person(user: User) -> None:
    """Applications, their users and guests have no account to look after. Raises `Forbidden`."""
    if user.kind != "person":
        raise Forbidden


def _after(now: Micros, days: float) -> Micros | None:
    return Micros(now + int(days * DAY)) if days else None


def _told_made(user: User) -> User:
    tell("account_made", user, kind=user.kind)
    if user.is_admin:
        tell("admin_made", user)
    return user


def _tell_disabled(user: User, *, disabled: bool) -> None:
    tell("account_disabled" if disabled else "account_enabled", user)


def _why_not(user: User | None, password_hash: str | None) -> str:
    """Why a password did not sign in. Nobody is told but the log."""
    if user is None:
        return "no_such_account"
    if user.disabled:
        return "disabled"
    return "no_password" if password_hash is None else "wrong_password"


def _check_attempt(wanted: Wanted, standing: Standing, user: User | None, refused: Event) -> None:
    if standing.wait:
        of: LimitOf = "user" if wanted.key.startswith(OF_ACCOUNT) else "address"
        tell(refused, user, why="limited", limit="account" if of == "user" else "address")
        raise RateLimited(standing.wait, Limit("sign_ins", wanted.most, math.ceil(wanted.seconds), of))


def to_digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "replace")).digest()


def to_reader(user: User, *, guests_allowed: bool) -> Reader:
    """On whose behalf a request looks things up."""
    app_id = user.id if user.kind == "app" else None
    return Reader(user.id, app_id, guests_allowed, user.is_admin, user.kind == "guest")


def email_in(name: str) -> str:
    """The e-mail of somebody of whom only the name was told: no other name may hold an @."""
    return name if "@" in name else ""


def check_name(name: str, email: str = "") -> None:
    """Raises `Invalid`. Who registers by e-mail has it as the name; no other name may look like one."""
    if email and not EMAIL.fullmatch(email):
        raise Invalid("email", "email")
    if not (email and name == email) and not NAME.fullmatch(name):
        raise Invalid("username", "name")
