"""What all operations of ai_chat share: where they are, and how they refuse."""

from palaver.api.fields import Text
from palaver.api.operation import Api, Refusals, Style, worded
from palaver.chat.errors import BotUnavailable

PREFIX = "/ai-chat/api"

MESSAGE = Text(at_least=1, at_most=10_000, trimmed=True)


def new_api() -> Api:
    """For the operations of one module."""
    refusals: Refusals = {BotUnavailable: worded(500, "bot_unavailable")}
    return Api("ai_chat", Style.DRF, refusals, says_error=frozenset({500}))
