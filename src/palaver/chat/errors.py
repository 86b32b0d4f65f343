"""Everything the core refuses, drawn as a tree. Each API maps these to its own status and shape, in one table.

ChatError
├── NotFound            not there, or not yours: the two are never told apart
│   └── NoSuchPerson    who is named is nobody that the caller could talk to
├── Invalid             a field cannot be used; `field` says which, `code` why
├── Forbidden           you are known, and may not do this
│   ├── LastAdmin       nobody would be left who may do what admins may
│   ├── Unreachable     one of the two has blocked the other
│   ├── NotForOthers    you may speak for yourself alone
│   ├── NotManager      only who manages the group may
│   └── Disabled        what would sign in somebody who is shut out
├── Conflict            the same client id with another text
├── Ended               the conversation takes no more messages
├── Busy                a reply runs and the policy refuses
├── NotWaiting          what was to be taken back does not wait (any more)
├── Withdrawn           what waited to be answered was taken back
├── Taken               a name that somebody else has
├── TooManyTokens       more by name than anybody has use for
├── TooManyTargets      more devices to be reached by than anybody has
├── ChannelOff          a way to reach people that is not set up here
├── TooLarge            a document of more bytes than may be uploaded
├── Stalled             an upload of which nothing, or too little, comes any more
├── OverQuota           more than one person may keep
├── RateLimited         too often; `retry_after` says when to come back, `limit` what was met
│   └── OverBudget      what is left of tokens or money is less than the reply may take
├── BotUnavailable      the bot failed, broke off or said nothing
│   └── BotTimeout      it was silent for too long
├── StoreUnavailable    the database does not answer
├── Overloaded          more waits here already than is done at once
└── Draining            the server is going away and starts no more turns
"""

from typing import Literal

from palaver.chat.limit import Limit, Shortage

Cause = Literal["unavailable", "timeout", "refused", "empty", "interrupted", "worker_lost", "draining"]


class ChatError(Exception):
    """A refusal with a stable `code`; what a person reads is worded by the API that answers."""

    code = "error"


class NotFound(ChatError):
    code = "not_found"


class NoSuchPerson(NotFound):
    code = "no_such_person"


class Invalid(ChatError):
    code = "invalid"

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


class Forbidden(ChatError):
    code = "forbidden"


class LastAdmin(Forbidden):
    code = "last_admin"


class Unreachable(Forbidden):
    code = "unreachable"


class NotForOthers(Forbidden):
    code = "not_for_others"


class NotManager(Forbidden):
    code = "not_manager"


class Disabled(Forbidden):
    code = "disabled"


class Conflict(ChatError):
    code = "conflict"


class Ended(ChatError):
    code = "ended"

    def __init__(self, *, while_waiting: bool = False) -> None:
        super().__init__()
        self.while_waiting = while_waiting


class Busy(ChatError):
    code = "busy"


class NotWaiting(ChatError):
    code = "not_waiting"


class Withdrawn(ChatError):
    code = "withdrawn"


class Taken(ChatError):
    code = "taken"

    def __init__(self, field: str) -> None:
        super().__init__(field)
        self.field = field


class TooManyTokens(ChatError):
    code = "too_many_tokens"


class TooManyTargets(ChatError):
    code = "too_many_targets"

    def __init__(self, most: int) -> None:
        super().__init__(most)
        self.most = most


class ChannelOff(ChatError):
    code = "channel_off"


class TooLarge(ChatError):
    """A document of more than `most` bytes."""

    code = "too_large"

    def __init__(self, most: int) -> None:
        super().__init__(most)
        self.most = most


class Stalled(ChatError):
    code = "stalled"


class OverQuota(ChatError):
    """More than one person may keep: `most` of `what`."""

    code = "over_quota"

    def __init__(self, what: Literal["collections", "documents", "bytes"], most: int) -> None:
        super().__init__(what)
        self.what: Literal["collections", "documents", "bytes"] = what
        self.most = most


class RateLimited(ChatError):
    """`left` is how much there still is of the limit, and `reset` the seconds until it is whole again; 0: never."""

    code = "rate_limited"

    def __init__(
        self, retry_after: float, limit: Limit | None = None, *, left: int = 0, reset: float | None = None
    ) -> None:
        super().__init__()
        self.retry_after = retry_after
        self.limit = limit
        self.left = left
        self.reset = retry_after if reset is None else reset


class OverBudget(RateLimited):
    """What is held back for other replies is `left` too: nobody has used it yet."""

    code = "over_budget"

    def __init__(
        self,
        retry_after: float,
        limit: Limit | None = None,
        *,
        left: int = 0,
        reset: float | None = None,
        shortage: Shortage = "used_up",
        currency: str = "",
    ) -> None:
        super().__init__(retry_after, limit, left=left, reset=reset)
        self.shortage: Shortage = shortage
        self.currency = currency


class BotUnavailable(ChatError):
    """The bot failed. `cause` is one of a few words of ours; the vendor's own words stay in the log."""

    code = "bot_unavailable"

    def __init__(self, cause: Cause = "unavailable") -> None:
        super().__init__(cause)
        self.cause: Cause = cause


class BotTimeout(BotUnavailable):
    code = "bot_timeout"

    def __init__(self) -> None:
        super().__init__("timeout")


class Draining(ChatError):
    code = "draining"


class Overloaded(ChatError):
    code = "overloaded"


class StoreUnavailable(ChatError, OSError):
    """The database does not answer. The cause is chained; the text names no address and no secret."""

    code = "store_unavailable"
