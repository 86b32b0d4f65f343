"""A mail server: it speaks as much SMTP as a sender needs, in the clear or with TLS, and keeps what came."""

import asyncio
import base64
import email
import email.policy
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from email.message import EmailMessage
from typing import Literal

SECONDS = 15

Security = Literal["starttls", "tls", "none"]


@dataclass(frozen=True)
class Letter:
    """`encrypted`: whether it came by TLS; `user`: who had signed in."""

    sender: str
    recipients: tuple[str, ...]
    raw: bytes
    encrypted: bool
    user: str | None

    @property
    def message(self) -> EmailMessage:
        return email.message_from_bytes(self.raw, _class=EmailMessage, policy=email.policy.SMTP)


class Mailbox:
    """`refusals`: what to answer instead to a command, `{"RCPT": "550 no such user"}`; `passwords` of users who may
    sign in."""

    def __init__(self, tls: ssl.SSLContext | None, security: Security) -> None:
        self.host = "127.0.0.1"
        self.port = 0
        self.letters: list[Letter] = []
        self.refusals: dict[str, str] = {}
        self.passwords: dict[str, str] = {}
        self.said: list[str] = []
        """The first word of every command."""
        self.tls = tls
        self.security = security
        self._more = asyncio.Condition()

    async def wait_for(self, count: int) -> list[Letter]:
        async with asyncio.timeout(SECONDS), self._more:
            await self._more.wait_for(lambda: len(self.letters) >= count)
        return self.letters

    async def keep(self, letter: Letter) -> None:
        async with self._more:
            self.letters.append(letter)
            self._more.notify_all()


class _Talk:
    """One connection."""

    def __init__(self, box: Mailbox, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._box = box
        self._reader = reader
        self._writer = writer
        self._encrypted = box.security == "tls"
        self._user: str | None = None
        self._sender = ""
        self._recipients: list[str] = []

    async def run(self) -> None:
        self._say("220 box.example")
        while line := (await self._reader.readline()).decode().rstrip("\r\n"):
            command = line.split(" ")[0].upper()
            self._box.said.append(command)
            if refusal := self._box.refusals.get(command):
                self._say(refusal)
            elif command == "QUIT":
                self._say("221 bye")
                break
            else:
                await self._obey(command, line)
        self._writer.close()

    async def _obey(self, command: str, line: str) -> None:
        match command:
            case "EHLO":
                offers = ["250-box.example", "250-AUTH PLAIN"]
                offers += ["250-STARTTLS"] if self._box.security == "starttls" and not self._encrypted else []
                self._say("\r\n".join([*offers, "250 8BITMIME"]))
            case "STARTTLS":
                assert self._box.tls is not None
                self._say("220 go on")
                await self._writer.start_tls(self._box.tls)
                self._encrypted = True
            case "AUTH":
                self._sign_in(line.split(" ")[2])
            case "MAIL":
                self._sender, self._recipients = _between(line), []
                self._say("250 ok")
            case "RCPT":
                self._recipients.append(_between(line))
                self._say("250 ok")
            case "DATA":
                await self._take()
            case _:
                self._say("250 ok")

    def _sign_in(self, told: str) -> None:
        _, user, password = base64.b64decode(told).decode().split("\0")
        is_right = self._box.passwords.get(user) == password
        self._user = user if is_right else None
        self._say("235 welcome" if is_right else "535 wrong")

    async def _take(self) -> None:
        self._say("354 go on")
        raw = await self._reader.readuntil(b"\r\n.\r\n")
        letter = Letter(self._sender, tuple(self._recipients), raw[:-3], self._encrypted, self._user)
        self._say("250 kept")
        await self._box.keep(letter)

    def _say(self, text: str) -> None:
        self._writer.write(f"{text}\r\n".encode())


def _between(line: str) -> str:
    return line.partition("<")[2].partition(">")[0]


@asynccontextmanager
async def open_mailbox(*, security: Security = "none", tls: ssl.SSLContext | None = None) -> AsyncIterator[Mailbox]:
    box = Mailbox(tls, security)

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _Talk(box, reader, writer).run()

    server = await asyncio.start_server(talk, box.host, 0, ssl=tls if security == "tls" else None)
    box.port = server.sockets[0].getsockname()[1]
    async with server:
        yield box
