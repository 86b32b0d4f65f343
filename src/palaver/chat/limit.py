"""A limit that was met: which, how much it allows, and in what time."""

from typing import Literal

from msgspec import Struct

LimitName = Literal[
    "turns_a_minute",
    "tokens_a_day",
    "tokens_a_month",
    "money_a_month",
    "replies_at_once",
    "sockets_at_once",
    "sign_ins",
    "conversation_tokens",
]


class Limit(Struct, frozen=True):
    """`most` in what the name counts (money in millionths), within `seconds`; 0 where it is about one moment."""

    name: LimitName
    most: int
    seconds: int = 0
