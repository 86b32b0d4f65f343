"""What a supervisor and a worker say to each other over the socket between them, a line each.

The end of that socket is the end of the other: nobody has to look whether it still lives. While workers are replaced
after an update, the two may be of different versions: words may be added, and must not change.
"""

from typing import Literal, get_args

from msgspec import Struct

Order = Literal["drain", "leave", "now"]

_ORDERS: dict[bytes, Order] = {order.encode(): order for order in get_args(Order)}


class Ready(Struct, frozen=True):
    """A worker serves. `code` belongs into the first admin's sign-in link, where there was no admin."""

    code: str | None


def encode_order(order: Order) -> bytes:
    return order.encode() + b"\n"


def decode_order(line: bytes) -> Order | None:
    return _ORDERS.get(line.strip())


def encode_ready(ready: Ready) -> bytes:
    return f"ready {ready.code or ''}\n".encode()


def decode_ready(line: bytes) -> Ready | None:
    word, _, code = line.decode().strip().partition(" ")
    return Ready(code or None) if word == "ready" else None
