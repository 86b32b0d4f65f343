"""A push service, with the browsers that have subscribed: it reads what came as a browser would, with the browser's own
private key, and checks who sent it as the standard wants it. Nothing here is shared with what sends."""

import asyncio
import base64
import hashlib
import hmac
import json
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.parts.listening import listening

SECONDS = 15


def encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@dataclass(frozen=True)
class Push:
    """What one request brought. `plain` is what the page's service worker gets, `size` what came over the wire."""

    endpoint: str
    headers: Mapping[str, str]
    claims: dict[str, Any]
    key: str
    plain: bytes
    size: int

    @property
    def payload(self) -> Any:
        return json.loads(self.plain)


class Browser:
    """One subscription: what a page hands on, and what stays in the browser."""

    def __init__(self, endpoint: str) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._secret = os.urandom(16)
        self.endpoint = endpoint
        self.p256dh = encode(self._point())
        self.auth = encode(self._secret)

    def subscription(self) -> dict[str, Any]:
        """As `PushSubscription.toJSON()` gives it."""
        return {"endpoint": self.endpoint, "keys": {"p256dh": self.p256dh, "auth": self.auth}}

    def read(self, body: bytes) -> bytes:
        """RFC 8188 and 8291 from the other end."""
        salt, size, length = body[:16], int.from_bytes(body[16:20], "big"), body[20]
        sender, record = body[21 : 21 + length], body[21 + length :]
        assert length == 65
        assert len(body) <= 4096
        assert len(record) <= size
        public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), sender)
        shared = self._key.exchange(ec.ECDH(), public)
        first = _hmac(self._secret, shared)
        both = _hmac(first, b"WebPush: info\0" + self._point() + sender + b"\x01")
        second = _hmac(salt, both)
        content_key = _hmac(second, b"Content-Encoding: aes128gcm\0\x01")[:16]
        nonce = _hmac(second, b"Content-Encoding: nonce\0\x01")[:12]
        padded = AESGCM(content_key).decrypt(nonce, record, None)
        plain, mark, _ = padded.rstrip(b"\0").rpartition(b"\x02")
        assert mark == b"\x02"
        return plain

    def _point(self) -> bytes:
        return self._key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def _hmac(key: bytes, data: bytes) -> bytes:
    return hmac.digest(key, data, hashlib.sha256)


def verify_vapid(authorization: str) -> tuple[dict[str, Any], str]:
    """The claims and the sender's public key. Raises where the signature is another's."""
    scheme, _, rest = authorization.partition(" ")
    assert scheme == "vapid"
    parts = dict(part.strip().split("=", 1) for part in rest.split(","))
    header, claims, signature = parts["t"].split(".")
    assert json.loads(decode(header)) == {"typ": "JWT", "alg": "ES256"}
    raw = decode(signature)
    assert len(raw) == 64
    signed = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
    public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), decode(parts["k"]))
    public.verify(signed, f"{header}.{claims}".encode(), ec.ECDSA(SHA256()))
    return json.loads(decode(claims)), parts["k"]


@dataclass
class Told:
    """How the service answers for a browser."""

    status: int = 201
    headers: dict[str, str] = field(default_factory=dict)


class PushService:
    def __init__(self) -> None:
        self.url = ""
        self.pushes: list[Push] = []
        """What was taken: answered with 201."""
        self.asked = 0
        self._browsers: dict[str, Browser] = {}
        self._told: dict[str, Told] = {}
        self._more = asyncio.Condition()

    def subscribe(self) -> Browser:
        path = f"/push/{len(self._browsers)}-{os.urandom(8).hex()}"
        browser = Browser(self.url + path)
        self._browsers[path] = browser
        return browser

    def tell(self, browser: Browser, status: int, **headers: str) -> None:
        """Answer so to all that comes for this browser: `tell(browser, 429, retry_after="30")`."""
        spelled = {name.replace("_", "-").title(): value for name, value in headers.items()}
        self._told[browser.endpoint.removeprefix(self.url)] = Told(status, spelled)

    async def wait_for(self, count: int) -> list[Push]:
        """All that were taken, once there are so many."""
        async with asyncio.timeout(SECONDS), self._more:
            await self._more.wait_for(lambda: len(self.pushes) >= count)
        return self.pushes

    async def _receive(self, request: web.Request) -> web.Response:
        self.asked += 1
        told = self._told.get(request.path, Told())
        browser = self._browsers.get(request.path)
        if browser is None:
            return web.Response(status=404)
        body = await request.read()
        if told.status == 201:
            claims, key = verify_vapid(request.headers["Authorization"])
            headers = {name.lower(): value for name, value in request.headers.items()}
            async with self._more:
                self.pushes.append(Push(browser.endpoint, headers, claims, key, browser.read(body), len(body)))
                self._more.notify_all()
        return web.Response(status=told.status, headers=told.headers)


@asynccontextmanager
async def open_push_service() -> AsyncIterator[PushService]:
    service = PushService()
    app = web.Application()
    app.router.add_post("/push/{id}", service._receive)
    async with listening(app) as service.url:
        yield service
