"""How Google knows a service account: a token for an hour, asked for with a statement that its key has signed."""

import asyncio
from pathlib import Path

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from msgspec import Struct
from yarl import URL

from palaver.chat.clock import SECOND, Clock
from palaver.notify.guard import Caller, CallFailed
from palaver.notify.keys import encode_base64url

_SCOPE = "https://www.googleapis.com/auth/firebase.messaging"
_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_STATEMENT_SECONDS = 3600
# A token is not used in its last minutes: it has to be good when it arrives.
_SPARE_SECONDS = 300


class BadServiceAccount(ValueError):
    """The file is none, in words for an operator that go on from its name."""


class _File(Struct, frozen=True):
    project_id: str
    client_email: str
    private_key: str
    private_key_id: str = ""
    token_uri: str = "https://oauth2.googleapis.com/token"


class ServiceAccount(Struct, frozen=True):
    project: str
    email: str
    key: RSAPrivateKey
    key_id: str
    token_url: URL

    def __repr__(self) -> str:
        return f"ServiceAccount({self.email!r})"


class _Header(Struct, frozen=True):
    alg: str
    typ: str
    kid: str


class _Claims(Struct, frozen=True):
    iss: str
    scope: str
    aud: str
    iat: int
    exp: int


class _Token(Struct, frozen=True):
    access_token: str
    expires_in: int


def read_service_account(path: Path) -> ServiceAccount:
    """Raises `BadServiceAccount`, with no word of what is in the file."""
    try:
        file = msgspec.json.decode(path.read_bytes(), type=_File)
    except OSError as error:
        raise BadServiceAccount(f"cannot be read ({error.strerror})") from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise BadServiceAccount("is no service account's key in JSON, as Google gives it") from None
    try:
        key = load_pem_private_key(file.private_key.encode(), password=None)
        token_url = URL(file.token_uri)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise BadServiceAccount("has a `private_key` or `token_uri` that cannot be used") from None
    if not isinstance(key, RSAPrivateKey) or not token_url.host:
        raise BadServiceAccount("has a `private_key` or `token_uri` that cannot be used")
    return ServiceAccount(file.project_id, file.client_email, key, file.private_key_id, token_url)


class AccessTokens:
    """The token of an account: fetched by one, waited for by all, and kept until shortly before its end."""

    def __init__(self, caller: Caller, account: ServiceAccount, clock: Clock) -> None:
        self._caller = caller
        self._account = account
        self._clock = clock
        self._fetching = asyncio.Lock()
        self._token = ""
        self._good_until = 0

    async def get(self) -> str:
        """Raises `CallFailed`."""
        async with self._fetching:
            if self._now() >= self._good_until:
                token = await self._fetch()
                self._token = token.access_token
                self._good_until = self._now() + max(0, token.expires_in - _SPARE_SECONDS)
            return self._token

    def forget(self, token: str) -> None:
        """It was not taken. One that was fetched meanwhile stays."""
        if token == self._token:
            self._good_until = 0

    async def _fetch(self) -> _Token:
        form = {"grant_type": _GRANT, "assertion": self._state()}
        answer = await self._caller.post(
            str(self._account.token_url),
            URL.build(query=form).raw_query_string.encode(),
            {"Content-Type": "application/x-www-form-urlencoded"},
            reads=True,
        )
        if answer.status != 200:
            raise CallFailed(f"gives no token: its server answers {answer.status}")
        try:
            return msgspec.json.decode(answer.body, type=_Token)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise CallFailed("gives no token: its server answers with something else") from None

    def _state(self) -> str:
        now = self._now()
        claims = _Claims(self._account.email, _SCOPE, str(self._account.token_url), now, now + _STATEMENT_SECONDS)
        parts = (_Header("RS256", "JWT", self._account.key_id), claims)
        signed = ".".join(encode_base64url(msgspec.json.encode(part)) for part in parts)
        signature = self._account.key.sign(signed.encode(), PKCS1v15(), SHA256())
        return f"{signed}.{encode_base64url(signature)}"

    def _now(self) -> int:
        return self._clock.now() // SECOND
