"""Firebase Cloud Messaging with the server that gives tokens for it: it checks the statement that a service account
has signed, and then takes messages for the phones it knows."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.parts.listening import listening
from tests.parts.push import decode

SECONDS = 15
PROJECT = "palaver-tests"
EMAIL = "sender@palaver-tests.example"
SCOPE = "https://www.googleapis.com/auth/firebase.messaging"
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"


class FcmService:
    def __init__(self) -> None:
        self.url = ""
        self.messages: list[dict[str, Any]] = []
        """What was taken."""
        self.tokens_given = 0
        self.token_status = 200
        self.expires_in = 3600
        self.now = time.time
        self._key = generate_private_key(65537, 2048)
        self._told: dict[str, tuple[int, Any, dict[str, str]]] = {}
        self._more = asyncio.Condition()
        self._good: set[str] = set()

    def write_account(self, file: Path) -> Path:
        """The service account's key, in a file as Google gives it."""
        pem = self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        account = {
            "type": "service_account",
            "project_id": PROJECT,
            "private_key_id": "key-1",
            "private_key": pem,
            "client_email": EMAIL,
            "token_uri": f"{self.url}/token",
        }
        file.write_text(json.dumps(account))
        return file

    def tell(self, phone: str, status: int, code: str = "", **headers: str) -> None:
        """Answer so to all for this phone, with Google's own error code in it where one is named."""
        details = [{"@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError", "errorCode": code}] if code else []
        error = {"error": {"code": status, "message": "as told", "status": "AS_TOLD", "details": details}}
        spelled = {name.replace("_", "-").title(): value for name, value in headers.items()}
        self._told[phone] = (status, error, spelled)

    def forget(self) -> None:
        """What it was told and sent."""
        self.messages.clear()
        self.tokens_given, self.token_status = 0, 200
        self._told.clear()
        self._good.clear()

    def revoke_tokens(self) -> None:
        self._good.clear()

    async def wait_for(self, count: int) -> list[dict[str, Any]]:
        async with asyncio.timeout(SECONDS), self._more:
            await self._more.wait_for(lambda: len(self.messages) >= count)
        return self.messages

    async def _give_token(self, request: web.Request) -> web.Response:
        form = await request.post()
        assert form["grant_type"] == GRANT
        self._verify(str(form["assertion"]))
        if self.token_status != 200:
            return web.Response(status=self.token_status)
        # Others may ask meanwhile.
        await asyncio.sleep(0)
        self.tokens_given += 1
        token = f"token-{self.tokens_given}"
        self._good.add(token)
        return web.json_response({"access_token": token, "expires_in": self.expires_in, "token_type": "Bearer"})

    def _verify(self, statement: str) -> None:
        header, claims, signature = statement.split(".")
        self._key.public_key().verify(decode(signature), f"{header}.{claims}".encode(), PKCS1v15(), SHA256())
        assert json.loads(decode(header)) == {"alg": "RS256", "typ": "JWT", "kid": "key-1"}
        said = json.loads(decode(claims))
        assert (said["iss"], said["scope"], said["aud"]) == (EMAIL, SCOPE, f"{self.url}/token")
        assert said["iat"] <= self.now() + 60
        assert said["iat"] < said["exp"] <= said["iat"] + 3600

    async def _take(self, request: web.Request) -> web.Response:
        if request.headers["Authorization"].removeprefix("Bearer ") not in self._good:
            return web.json_response({"error": {"code": 401, "status": "UNAUTHENTICATED"}}, status=401)
        message = (await request.json())["message"]
        status, answer, headers = self._told.get(message["token"], (200, {"name": "projects/x/messages/1"}, {}))
        if status == 200:
            async with self._more:
                self.messages.append(message)
                self._more.notify_all()
        return web.json_response(answer, status=status, headers=headers)


@asynccontextmanager
async def open_fcm_service() -> AsyncIterator[FcmService]:
    service = FcmService()
    app = web.Application()
    app.router.add_post("/token", service._give_token)
    app.router.add_post(f"/v1/projects/{PROJECT}/messages:send", service._take)
    async with listening(app) as service.url:
        yield service
