"""A message that only one browser can read (RFC 8291), in one record of `aes128gcm` (RFC 8188)."""

import os

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from palaver.notify.keys import decode_base64url
from palaver.notify.vapid import encode_point

# Push services have to take 4,096 bytes: 86 of a header, a mark, a tag of 16, and this.
MOST_PLAIN = 3993
_RECORD_SIZE = 4096
_PADDED_TO = (1024, 2048, MOST_PLAIN)
_LAST_RECORD = b"\x02"


def decode_keys(p256dh: str, auth: str) -> tuple[ec.EllipticCurvePublicKey, bytes]:
    """The keys of a subscription. Raises `ValueError` for ones that no browser has made."""
    secret = decode_base64url(auth)
    point = decode_base64url(p256dh)
    if len(secret) != 16 or len(point) != 65:
        raise ValueError
    # It is on the curve, or this raises.
    return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point), secret


def encrypt(
    plain: bytes,
    p256dh: str,
    auth: str,
    *,
    salt: bytes | None = None,
    key: ec.EllipticCurvePrivateKey | None = None,
    padded: bool = True,
) -> bytes:
    """The body of a push, with zeros behind the text so that its length tells little. A `key` and `salt` are made for
    each; only the standard's own example gives them. Raises `ValueError` for keys that are none."""
    public, secret = decode_keys(p256dh, auth)
    key = key or ec.generate_private_key(ec.SECP256R1())
    salt = salt or os.urandom(16)
    own = encode_point(key.public_key())
    shared = key.exchange(ec.ECDH(), public)
    both = _derive(secret, shared, b"WebPush: info\0" + encode_point(public) + own, 32)
    content_key = _derive(salt, both, b"Content-Encoding: aes128gcm\0", 16)
    nonce = _derive(salt, both, b"Content-Encoding: nonce\0", 12)
    size = next(size for size in _PADDED_TO if size >= len(plain)) if padded else len(plain)
    sealed = AESGCM(content_key).encrypt(nonce, plain + _LAST_RECORD + bytes(size - len(plain)), None)
    return salt + _RECORD_SIZE.to_bytes(4) + len(own).to_bytes(1) + own + sealed


def _derive(salt: bytes, secret: bytes, info: bytes, length: int) -> bytes:
    return HKDF(algorithm=SHA256(), length=length, salt=salt, info=info).derive(secret)
