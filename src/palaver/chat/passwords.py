"""Passwords, hashed with Argon2.

A hash that takes 64 MiB costs a tenth of a second of a core: only a few are made at once.
"""

import asyncio

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

# With more the loop and the replies would feel a flood of sign-ins.
AT_ONCE = 2


class Passwords:
    def __init__(self, mebibytes: int) -> None:
        """`mebibytes`: the memory that one hash takes."""
        self._hasher = PasswordHasher(memory_cost=mebibytes * 1024)
        self._free = asyncio.Semaphore(AT_ONCE)
        self._nobodys: asyncio.Task[str] | None = None

    async def hash(self, password: str) -> str:
        async with self._free:
            return await asyncio.to_thread(self._hasher.hash, password)

    async def verify(self, password_hash: str | None, password: str) -> bool:
        """Takes as long where there is no such account or it has no password."""
        if password_hash is None:
            # Made once, however many ask for it at once.
            self._nobodys = self._nobodys or asyncio.create_task(self.hash("nobody's password"))
            await self._matches(await asyncio.shield(self._nobodys), password)
            return False
        return await self._matches(password_hash, password)

    async def _matches(self, password_hash: str, password: str) -> bool:
        async with self._free:
            return await asyncio.to_thread(self._check, password_hash, password)

    def _check(self, password_hash: str, password: str) -> bool:
        try:
            return self._hasher.verify(password_hash, password)
        except (VerificationError, InvalidHashError):
            return False
