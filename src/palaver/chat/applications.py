"""The applications, which act for users of their own, and the tokens by which they sign in."""

from collections.abc import Sequence
from contextlib import suppress
from uuid import UUID

from palaver.chat.accounts import Accounts, to_digest
from palaver.chat.errors import Disabled, NotFound
from palaver.chat.flow import Chat
from palaver.chat.user import Token, TokenId, User, UserChange


class Applications:
    """Whatever changes here holds in this worker when the method returns, and within two seconds in every other one."""

    def __init__(self, chat: Chat, accounts: Accounts) -> None:
        self._chat = chat
        self._store = chat.store.accounts
        self._accounts = accounts

    async def list(self) -> Sequence[User]:
        """By name."""
        return await self._store.list_apps()

    async def get(self, named: str) -> User:
        """The application of that UUID or name. Raises `NotFound`."""
        with suppress(ValueError):
            known = await self._store.get_user_by_uuid(str(UUID(named)))
            if known is not None and known.kind == "app":
                return known
        found = await self._store.find_app(named)
        if found is None:
            raise NotFound
        return found

    async def add(self, name: str) -> User:
        """Raises `Taken` or `Invalid`."""
        return await self._accounts.add_app(name)

    async def set_disabled(self, named: str, *, disabled: bool) -> User:
        """Shuts it out with all its users, or lets them in again. Raises `NotFound`."""
        return await self._accounts.change_user(await self.get(named), UserChange(disabled=disabled))

    async def erase(self, named: str) -> None:
        """With its users and all that is theirs; what ran is stopped. Raises `NotFound`."""
        app = await self.get(named)
        for reply_id in await self._accounts.erase(app):
            self._chat.replies.stop_here(reply_id)

    async def tokens(self, named: str) -> Sequence[Token]:
        """Those that work, oldest first. Raises `NotFound`."""
        now = self._chat.clock.now()
        kept = await self._store.list_tokens((await self.get(named)).id)
        return [token for token in kept if token.revoked_at is None and (token.expires_at or now + 1) > now]

    async def new_token(self, named: str, *, label: str, days: float) -> tuple[str, Token]:
        """With its secret, which is told this once; 0 `days`: until it is revoked.

        Raises `NotFound`, and `Disabled` where it would open nothing."""
        app = await self.get(named)
        if app.disabled:
            raise Disabled
        secret = await self._accounts.new_token(app, label=label, days=days)
        made = await self._store.find_token(to_digest(secret))
        assert made is not None, "it was made just now"
        return secret, made[0]

    async def revoke(self, named: str, token_id: TokenId) -> None:
        """Raises `NotFound`, also for the token of somebody else."""
        if token_id not in {token.id for token in await self.tokens(named)}:
            raise NotFound
        await self._accounts.revoke(token_id)
