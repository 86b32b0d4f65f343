"""A limit that was met: which, how much it allows, and in what time; and the limits of one person or application."""

from typing import Literal

from msgspec import Struct

# What a person or an application may use in a while.
BudgetName = Literal["tokens_a_day", "tokens_a_month", "money_a_month"]
LimitName = (
    BudgetName
    | Literal[
        "turns_a_minute", "replies_at_once", "sockets_at_once", "uploads_at_once", "sign_ins", "conversation_tokens"
    ]
)
LimitOf = Literal["user", "app", "conversation", "address"]

# Why a budget refuses a reply: nothing is left of it, or less than the reply may take; what is left is held back for
# others that are being made; or the whole budget is less than the reply may take, and no waiting helps.
Shortage = Literal["used_up", "too_little", "held", "too_small"]


class Limit(Struct, frozen=True, cache_hash=True):
    """`most` in what the name counts (money in millionths), within `seconds`; 0 where it is about one moment. `of` says
    for whom all that counts together."""

    name: LimitName
    most: int
    seconds: int = 0
    of: LimitOf = "user"


class OwnLimits(Struct, frozen=True):
    """What somebody may do in place of what the settings say for all. None: as they say; 0: no limit."""

    turns_a_minute: int | None = None
    replies_at_once: int | None = None
    sockets_at_once: int | None = None
    tokens_a_day: int | None = None
    tokens_a_month: int | None = None
    money_a_month: int | None = None
    """In millionths."""


NO_OWN = OwnLimits()
