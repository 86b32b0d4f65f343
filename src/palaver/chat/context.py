"""What the bot sees of the past. What is read does not grow with the history."""

from collections.abc import Sequence

from msgspec import Struct

from palaver.chat.conversation import Conversation, Past, Speaking

# Without a window the token budget alone bounds the past; no message costs less than a few tokens.
MOST_MESSAGES = 1000

# What a message costs beside its text: role and separators.
TOKENS_AROUND = 4


class Seen(Struct, frozen=True):
    """The past as the bot sees it, and the number from which it is seen from now on."""

    history: tuple[Past, ...]
    context_from: int


class Allowance(Struct, frozen=True):
    """What a turn has room for: the model's context, and of it what the reply may take and what is sent beside the
    history. `key` names the model for what is learned of its counts. `knowledge` is held back for passages, which are
    found only later; less of it may be sent."""

    context: int
    reply: int
    besides: int
    key: str
    knowledge: int = 0


def count_tokens(text: str) -> int:
    """An estimate that needs no vocabulary: a token for four bytes of Latin text, one for each CJK character."""
    if text.isascii():
        return len(text) // 4 + 1
    wide = sum(1 for character in text if character >= "\u2e80")
    return (len(text.encode("utf-8", "replace")) - 3 * wide) // 4 + wide + 1


def reasoning_tokens(characters: int) -> int:
    """An estimate for what a model has thought: that is not kept, only how long it was."""
    return (characters + 3) // 4


def reply_share(context: int, wanted: int) -> int:
    """What of a model's context is set aside for its reply: however long that may be, half is left for the past."""
    return min(wanted, context // 2)


def knowledge_share(context: int, wanted: int) -> int:
    """What of a model's context passages may take: never more than a quarter."""
    return min(wanted, context // 4)


def history_budget(context: int, *, reply: int, besides: int, factor: float, most: int | None = None) -> int:
    """How many tokens of history, as they are counted here, leave room for all else.

    `besides` is what else is sent; the model makes `factor` tokens of one that was counted. `most` is the bound that
    the conversation has of its own.
    """
    budget = int((context - reply) / factor) - besides
    if most is not None:
        budget = min(budget, int(most / factor))
    return max(budget, 0)


def history_limit(speaking: Speaking) -> int:
    """How many earlier messages are read at the most: one more than the window, so that passing it shows."""
    window = _window(speaking)
    return window if speaking.slides else window + 1


def _window(speaking: Speaking) -> int:
    return MOST_MESSAGES if speaking.window is None else speaking.window


def tokens_of(messages: Sequence[Past]) -> int:
    """What they take in a prompt, as it is counted here."""
    tokens = TOKENS_AROUND * len(messages)
    for message in messages:
        tokens += message.token_count
    return tokens


def to_seen(conversation: Conversation, newest_first: Sequence[Past], budget: int, tokens: int | None = None) -> Seen:
    """Keep the front as it was while the bounds hold; once one is passed, cut back to half of it in one go.

    `tokens`: those of all of it, where they are known.

    A front that moves with every turn would make every turn miss the provider's prompt cache.
    """
    window = _window(conversation.speaking)
    fits = tokens is not None and tokens <= budget
    messages = newest_first if fits else within_budget(newest_first, budget)
    too_many = len(messages) > window
    too_long = len(messages) < len(newest_first)
    if conversation.speaking.slides:
        return Seen(tuple(reversed(messages)), conversation.context_from)
    if not (too_many or too_long):
        return Seen(tuple(reversed(messages)), conversation.context_from)
    kept = list(within_budget(messages, budget // 2) if too_long else messages)
    del kept[window // 2 :]
    # What is cut ends with an answer: a past that begins with one would answer nothing.
    while kept and kept[-1].role == "assistant":
        kept.pop()
    # Half may hold no exchange: the last one is seen as long as the whole does.
    kept = kept or _last_exchange(messages[:window])
    first = kept[-1].number if kept else newest_first[0].number + 1
    return Seen(tuple(reversed(kept)), first)


def _last_exchange(newest_first: Sequence[Past]) -> list[Past]:
    """The newest prompt and what follows it; nothing where it is not among them."""
    for index, message in enumerate(newest_first, 1):
        if message.role != "assistant":
            return list(newest_first[:index])
    return []


def within_budget(newest_first: Sequence[Past], budget: int) -> Sequence[Past]:
    """The newest of them that fit."""
    left = budget
    for index, message in enumerate(newest_first):
        left -= message.token_count + TOKENS_AROUND
        if left < 0:
            return newest_first[:index]
    return newest_first
