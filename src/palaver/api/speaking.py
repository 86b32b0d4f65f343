"""The settings of how a bot is asked, as the fields of requests: each as far as the core's own ranges go."""

from palaver.api.fields import Number, Text, Whole
from palaver.chat import ranges
from palaver.chat.ranges import Range


def to_number(allowed: Range) -> Number:
    return Number(allowed.least, allowed.most)


def to_whole(allowed: Range) -> Whole:
    return Whole(int(allowed.least), int(allowed.most))


TEMPERATURE = to_number(ranges.TEMPERATURE)
PENALTY = to_number(ranges.PENALTY)
MAX_TOKENS = to_whole(ranges.MAX_TOKENS)
WINDOW = to_whole(ranges.WINDOW)
TOKEN_BUDGET = to_whole(ranges.TOKEN_BUDGET)

NAME = Text(at_least=1, at_most=ranges.NAME_LENGTH, trimmed=True)
PROMPT = Text(at_least=1, at_most=ranges.PROMPT_LENGTH)
MODEL = Text(at_most=ranges.MODEL_LENGTH)
PROVIDER = Text(at_most=ranges.PROVIDER_LENGTH)
COLLECTION = Text(at_most=ranges.COLLECTION_LENGTH)
