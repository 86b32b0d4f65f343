"""What the channels are set up with."""

from pathlib import Path
from typing import Literal

from msgspec import Struct


class MailOptions(Struct, frozen=True, kw_only=True):
    """The server that mail goes out by. TLS begins after a greeting (`starttls`), at once (`tls`), or not at all."""

    host: str
    sender: str
    port: int = 587
    security: Literal["starttls", "tls", "none"] = "starttls"
    user: str | None = None
    password: str | None = None

    def __repr__(self) -> str:
        return f"MailOptions({self.host!r}, {self.port})"


class NotifyOptions(Struct, frozen=True, kw_only=True):
    """What is set up. `vapid_key` is a private key that `new_vapid_key` has made, once and for all: whoever has
    subscribed did so with it. `contact` is an address (`mailto:` or `https:`) for push services. `allow`: hosts and
    networks that may be called although they are not public."""

    vapid_key: str
    contact: str | None = None
    allow: tuple[str, ...] = ()
    fcm_account: Path | None = None
    fcm_url: str = "https://fcm.googleapis.com"
    mail: MailOptions | None = None

    def __repr__(self) -> str:
        return f"NotifyOptions(fcm={self.fcm_account is not None}, mail={self.mail!r})"
