"""What the log says for those who look for trouble: who came in, who was refused, what became of accounts and tokens.

Each such thing is told where it is decided, once. A line holds words of ours, ids, the address that it came from, and
names of accounts that there are: no secret, nothing that is said, and nothing that somebody typed and that is no name
here, since people type their password into that field, too. Turns and streams tell nothing.
"""

import logging
import re
from contextvars import ContextVar
from typing import Literal, Protocol

from msgspec import Struct

log = logging.getLogger("palaver.security")

Event = Literal[
    "signed_in",
    "sign_in_refused",
    "signed_out",
    "credential_refused",
    "not_allowed",
    "password_changed",
    "password_refused",
    "email_changed",
    "token_made",
    "token_revoked",
    "link_made",
    "account_made",
    "account_disabled",
    "account_enabled",
    "account_erased",
    "admin_made",
    "admin_unmade",
]

REFUSALS: frozenset[Event] = frozenset({"sign_in_refused", "credential_refused", "not_allowed", "password_refused"})

# What stands in a line as it is. All else is put between quotes, with what is no plain letter spelled out: who chose a
# name with the end of a line in it gets no line of their own.
PLAIN = re.compile(r"[A-Za-z0-9._:+@/{}-]+")

# A proxy that passes on what it is told could make it as long as a header may be.
LONGEST_ADDRESS = 64


class Account(Protocol):
    """Of whom something is told."""

    @property
    def uuid(self) -> str: ...

    @property
    def name(self) -> str: ...


class Asking(Struct, frozen=True):
    """What of a request goes into a line: its id, the address it came from, and the UUID of who asks, where known."""

    request_id: str
    address: str
    by: str | None = None


asked_in: ContextVar[Asking | None] = ContextVar("asked_in", default=None)
"""The request that is being carried out. None in a command, and where the server does something by itself."""


def tell(event: Event, account: Account | None = None, *, asking: Asking | None = None, **more: str | int) -> None:
    """Writes the line. `account` is whom it happened to; `asking` the request, where that is not carried out yet;
    `more` are words and numbers of ours."""
    level = logging.WARNING if event in REFUSALS else logging.INFO
    if not log.isEnabledFor(level):
        return
    asking = asking or asked_in.get()
    fields: dict[str, str | int] = {"event": event, **more}
    if account is not None:
        fields.update(user=account.uuid, name=account.name)
    if asking is not None:
        fields["address"] = asking.address[:LONGEST_ADDRESS]
        if asking.by is not None and (account is None or asking.by != account.uuid):
            fields["by"] = asking.by
    request = f"request {asking.request_id}: " if asking is not None else ""
    said = " ".join(f"{name}={_to_word(value)}" for name, value in fields.items() if name != "event")
    log.log(level, "%s%s %s", request, event, said, extra={"fields": fields})


def _to_word(value: str | int) -> str:
    word = str(value)
    return word if PLAIN.fullmatch(word) else ascii(word)
