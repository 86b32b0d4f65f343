"""Secrets that are made here, and how keys are spelled. It needs no cryptography: a server that has nobody to push to
need not load it."""

import base64
import secrets

# How many points the curve P-256 has: a private key is a number below.
_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_WEBHOOK_PREFIX = "whsec_"


def encode_base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decode_base64url(text: str) -> bytes:
    """With or without padding, in either alphabet, as browsers have given it. Raises `ValueError`."""
    plain = text.rstrip("=").replace("+", "-").replace("/", "_").encode("ascii")
    return base64.b64decode(plain + b"=" * (-len(plain) % 4), altchars=b"-_", validate=True)


def new_vapid_key() -> str:
    """A private key for Web Push, once and for all: it has to last as long as anybody's subscription."""
    return encode_base64url((1 + secrets.randbelow(_ORDER - 1)).to_bytes(32))


def decode_vapid_key(text: str) -> int:
    """Raises `ValueError`."""
    number = int.from_bytes(decode_base64url(text))
    if not 0 < number < _ORDER:
        raise ValueError
    return number


def new_webhook_secret() -> str:
    return _WEBHOOK_PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def decode_webhook_secret(secret: str) -> bytes:
    """24 to 64 bytes, as Standard Webhooks has it. Raises `ValueError`."""
    key = base64.b64decode(secret.removeprefix(_WEBHOOK_PREFIX), validate=True)
    if not 24 <= len(key) <= 64:
        raise ValueError
    return key
