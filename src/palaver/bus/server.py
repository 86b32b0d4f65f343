"""One Redis or Valkey server: how a connection to it is made, used and given up.

redis-py finds out how to reach it (TCP, TLS, a socket file) and signs in. Its client and its `PubSub` stay out of it:
they connect again by themselves, so that nobody would learn that something was missed.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

from hiredis import pack_command
from redis.asyncio.connection import Connection, parse_url
from redis.exceptions import ConnectionError as Broken
from redis.exceptions import RedisError

from palaver.bus import patience

# What can go wrong with a connection; the time-outs of asyncio are among the last.
FAILURES = (RedisError, OSError)


def pack(*words: bytes) -> bytes:
    """A command as it is sent."""
    # Its stub allows one word alone.
    return bytes(pack_command(words))  # type: ignore[arg-type]


PING = pack(b"PING")

# Only what would change how we speak; certificates and the like are for the address to say.
_OURS: dict[str, Any] = {
    # RESP3, its default, takes a fifth longer for an event published and received.
    "protocol": 2,
    "decode_responses": False,
    # Its own time-outs would end a subscriber that hears nothing for five seconds, and cost a timer for each answer.
    "socket_timeout": None,
    "socket_connect_timeout": None,
    "health_check_interval": 0,
    "retry": None,
    "retry_on_timeout": False,
    "driver_info": None,
}
_OF_POOLS = ("max_connections", "timeout")


class Line:
    """A connection that works until it breaks, and then never again."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        # redis-py closes politely: what is left to send would wait for a frozen Redis for ever, and fill our memory.
        self._transport: asyncio.WriteTransport = connection._writer.transport
        self.read = connection.read_response

    async def send(self, packed: Sequence[bytes]) -> None:
        # redis-py would connect again here.
        if not self._connection.is_connected:
            raise Broken("the connection is gone")
        await self._connection.send_packed_command(packed, check_health=False)

    async def close(self) -> None:
        self._transport.abort()
        await self._connection.disconnect(nowait=True)


class RedisServer:
    """`seconds`: how long it may take to answer; None is as long as is usual. Raises `ValueError`, with a sentence that
    holds no secret, for an address that no server could have."""

    def __init__(self, url: str, seconds: float | None = None) -> None:
        try:
            options: dict[str, Any] = dict(parse_url(url))
            self._make = options.pop("connection_class", Connection)
            self._options = {name: value for name, value in options.items() if name not in _OF_POOLS} | _OURS
            self._make(**self._options)
        except (TypeError, ValueError, RedisError) as error:
            raise ValueError(f"the address of Redis cannot be used: {error}") from None
        self._seconds = seconds
        self._secrets = [options[name] for name in ("password", "ssl_password") if options.get(name)]

    @property
    def shown(self) -> str:
        """Where it is, without secrets."""
        path: str | None = self._options.get("path")
        return path or f"{self._options.get('host', 'localhost')}:{self._options.get('port', 6379)}"

    @property
    def seconds(self) -> float:
        """How long it may take to answer."""
        return patience.PATIENCE if self._seconds is None else self._seconds

    def in_time(self, share: float = 1.0) -> patience.Patience:
        """What waits in it for an answer ends with `TimeoutError` once Redis takes too long, or a share of that."""
        return patience.Patience(share * self.seconds)

    async def connect(self) -> Line:
        """A connection on which Redis has answered. Raises one of `FAILURES` where it does not in time."""
        connection = self._make(**self._options)
        try:
            async with self.in_time():
                await connection.connect()
                # The system takes connections and bytes for a Redis that stands still: only an answer says more.
                await connection.send_packed_command([PING], check_health=False)
                await connection.read_response()
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        return Line(connection)

    def to_words(self, error: BaseException) -> str:
        """Why it failed, on one line and without secrets."""
        words = " ".join(str(error).split()) or "it does not answer in time"
        for secret in self._secrets:
            words = words.replace(secret, "(secret)")
        return words
