"""How a push service knows who sends (VAPID, RFC 8292): a key that browsers subscribe with, and tokens signed by it."""

from collections import OrderedDict

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from msgspec import Struct

from palaver.chat.clock import SECOND, Clock
from palaver.notify.keys import decode_vapid_key, encode_base64url

# The standard takes a day at most, and clocks differ.
_TOKEN_SECONDS = 12 * 3600
# One that is about to end is not used any more.
_SPARE_SECONDS = 3600
# A handful of services are all there are; who makes up others only makes us sign more often.
_MOST_TOKENS = 200


def encode_point(key: ec.EllipticCurvePublicKey) -> bytes:
    """65 bytes, as all standards of push want a public key."""
    return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


class _Claims(Struct, frozen=True, omit_defaults=True):
    aud: str
    exp: int
    sub: str | None = None


class Vapid:
    """Raises `ValueError` for a key that is none. `contact` is whom a push service may turn to: `mailto:` or `https:`;
    Apple's takes no token without."""

    def __init__(self, private_key: str, contact: str | None, clock: Clock) -> None:
        self._key = ec.derive_private_key(decode_vapid_key(private_key), ec.SECP256R1())
        self._contact = contact
        self._clock = clock
        self._tokens: OrderedDict[str, tuple[int, str]] = OrderedDict()
        self.public_key = encode_base64url(encode_point(self._key.public_key()))

    def authorize(self, origin: str) -> str:
        """The `Authorization` for this push service. The same for hours, as services expect."""
        now = self._clock.now() // SECOND
        until, token = self._tokens.get(origin, (0, ""))
        if until - _SPARE_SECONDS <= now:
            until = now + _TOKEN_SECONDS
            token = self._sign(_Claims(origin, until, self._contact))
            self._tokens[origin] = (until, token)
            if len(self._tokens) > _MOST_TOKENS:
                self._tokens.popitem(last=False)
        self._tokens.move_to_end(origin)
        return f"vapid t={token}, k={self.public_key}"

    def _sign(self, claims: _Claims) -> str:
        header = encode_base64url(b'{"typ":"JWT","alg":"ES256"}')
        signed = f"{header}.{encode_base64url(msgspec.json.encode(claims))}"
        r, s = decode_dss_signature(self._key.sign(signed.encode(), ec.ECDSA(SHA256())))
        return f"{signed}.{encode_base64url(r.to_bytes(32) + s.to_bytes(32))}"
