"""How errors are spelled: the statuses and words that hold for every API unless its own table says otherwise."""

from typing import Any

from palaver.api.call import Call
from palaver.api.fields import FieldProblem
from palaver.api.language import LANGUAGES, Language, text
from palaver.api.limited import limit_words, whole_seconds
from palaver.api.operation import Operation, Refusal, Refusals, Style, worded
from palaver.api.who import CrossSite, WrongCsrf
from palaver.chat.accounts import Closed, Shown, WrongCredentials
from palaver.chat.errors import (
    BotUnavailable,
    Busy,
    ChatError,
    Conflict,
    Draining,
    Ended,
    Forbidden,
    NoSuchPerson,
    NotFound,
    NotManager,
    NotWaiting,
    OverBudget,
    Overloaded,
    OverQuota,
    RateLimited,
    Stalled,
    StoreUnavailable,
    Taken,
    TooLarge,
    Unreachable,
    Withdrawn,
)
from palaver.chat.presets import BuiltIn
from palaver.watching.numbers import REFUSED
from palaver.watching.security import tell

MEGABYTE = 1_000_000

# One and many, in the three languages.
KEPT = {
    "collections": (("collection", "collections"), ("Sammlung", "Sammlungen"), ("raccolta", "raccolte")),
    "documents": (("document", "documents"), ("Dokument", "Dokumente"), ("documento", "documenti")),
}

# Seconds after which it is worth coming back when nobody knows better.
COME_BACK_SECONDS = 2


def _quota_words(error: ChatError, language: Language) -> str:
    assert isinstance(error, OverQuota)
    return text(f"quota_{error.what}", language, most=_most_words(error, language))


def _most_words(error: OverQuota, language: Language) -> str:
    if error.what == "bytes":
        return f"{error.most / MEGABYTE:.0f} MB"
    one, many = KEPT[error.what][LANGUAGES.index(language)]
    return f"{error.most} {one if error.most == 1 else many}"


def _document_words(error: ChatError, language: Language) -> str:
    assert isinstance(error, TooLarge)
    return text("document_too_large", language, most=f"{error.most / MEGABYTE:.0f} MB")


EVERYWHERE: Refusals = {
    NotFound: worded(404, "not_found"),
    NoSuchPerson: worded(404, "no_such_person"),
    Unreachable: worded(403, "unreachable"),
    NotManager: worded(403, "not_manager"),
    WrongCredentials: worded(401, "unauthenticated"),
    CrossSite: worded(403, "cross_site"),
    WrongCsrf: worded(403, "csrf"),
    BuiltIn: worded(400, "built_in"),
    Forbidden: worded(403, "forbidden"),
    Closed: worded(403, "closed"),
    Conflict: worded(409, "conflict"),
    Ended: worded(409, "ended"),
    Busy: worded(409, "busy"),
    NotWaiting: worded(409, "not_waiting"),
    Withdrawn: worded(409, "withdrawn"),
    Taken: worded(400, "taken"),
    Stalled: worded(408, "stalled"),
    TooLarge: Refusal(413, _document_words),
    OverQuota: Refusal(413, _quota_words),
    RateLimited: Refusal(429, limit_words),
    OverBudget: Refusal(429, limit_words),
    BotUnavailable: worded(503, "bot_unavailable"),
    Draining: worded(503, "draining"),
    Overloaded: worded(503, "overloaded"),
    StoreUnavailable: worded(503, "store_unavailable"),
}


def find_refusal(error: ChatError, own: Refusals) -> Refusal | None:
    """The nearest entry for the error's class: in the API's own table first, then in the one for all."""
    for table in (own, EVERYWHERE):
        for kind in type(error).__mro__:
            if kind in table:
                return table[kind]
    return None


def retry_after(error: ChatError) -> int | None:
    match error:
        case RateLimited():
            return whole_seconds(error.retry_after)
        case Draining() | Overloaded() | StoreUnavailable():
            return COME_BACK_SECONDS
        case _:
            return None


def count_refused(error: RateLimited) -> None:
    REFUSED.of["other" if error.limit is None else error.limit.name].add()


def tell_refused(error: ChatError, status: int, call: Call) -> None:
    """Tells the log of a credential that opens nothing, and of what somebody may not do."""
    match error:
        case WrongCredentials(shown=Shown() as shown):
            tell("credential_refused", shown.user, asking=call.asking(), kind=shown.kind, why=shown.why)
        case WrongCredentials():
            # Nothing was shown, or a name and a password: that is told where they are looked at.
            pass
        case _ if status == 403:
            user = None if call.caller is None else call.caller.user
            method = call.scope.get("method", "WEBSOCKET")
            tell("not_allowed", user, asking=call.asking(), why=error.code, method=method, route=call.route)


def error_body(operation: Operation, status: int, words: str) -> dict[str, Any]:
    says_error = operation.style is Style.STREAMING or status in operation.says_error
    return {"error": words} if says_error else {"detail": words}


def malformed_body(style: Style, language: Language) -> tuple[int, dict[str, Any]]:
    words = text("bad_json", language)
    match style:
        case Style.DRF:
            return 400, {"detail": words}
        case Style.STREAMING:
            return 400, {"error": words, "details": {}}
        case Style.FASTAPI:
            return 422, {"detail": [{"loc": ["body"], "msg": words, "type": "json_invalid"}]}


def invalid_body(
    style: Style, problems: list[FieldProblem], place: str, language: Language
) -> tuple[int, dict[str, Any]]:
    if style is Style.FASTAPI:
        return 422, {
            "detail": [
                {
                    "loc": [place, problem.name, *problem.path],
                    "msg": text(problem.reason, language, **problem.values),
                    "type": problem.reason,
                }
                for problem in problems
            ]
        }
    fields: dict[str, list[str]] = {}
    for problem in problems:
        fields.setdefault(problem.name, []).append(text(problem.reason, language, **problem.values))
    if style is Style.STREAMING:
        return 400, {"error": text("invalid_data", language), "details": fields}
    return 400, fields


def cause_of(error: Exception) -> str:
    """What lies behind it, for the log. Some causes have no words, a time-out above all: they have their name."""
    cause = error.__cause__ or error
    return str(cause) or type(cause).__name__
