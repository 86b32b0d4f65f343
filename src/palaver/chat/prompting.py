"""What the bot is asked: how much of the past it sees, with which settings, and whether it has to be asked at all."""

from collections.abc import AsyncIterator
from hashlib import blake2b

from msgspec.structs import replace

from palaver.chat.cache import Cache, to_question
from palaver.chat.context import (
    TOKENS_AROUND,
    Allowance,
    Seen,
    history_budget,
    knowledge_share,
    reply_share,
    to_seen,
)
from palaver.chat.conversation import KNOWING, Conversation, may_know, to_spoken
from palaver.chat.pieces import Knowledge, Piece, Prompt
from palaver.chat.ports import Begun, Bots
from palaver.chat.running import ReplyLimits, RunningReply
from palaver.chat.summary import Summaries
from palaver.chat.tokens import Tokens, to_key
from palaver.chat.user import Reader

# So many of the best passages chat_flow puts before the history, as its page says.
MOST_IN_FRONT = 3


class Prompting:
    def __init__(
        self, bots: Bots, limits: ReplyLimits, tokens: Tokens, cache: Cache, summaries: Summaries | None
    ) -> None:
        self._bots = bots
        self._limits = limits
        self._tokens = tokens
        self._cache = cache
        self._summaries = summaries

    def allow(self, begun: Begun) -> Allowance:
        """How many tokens the model takes, and what of them is spoken for."""
        speaking = to_spoken(begun.turn.conversation, self._limits.max_tokens)
        model = self._bots.model_for_turn(speaking.model)
        context = self._bots.context_length(model, self._limits.context_tokens)
        besides = (begun.turn.prompt.token_count or 0) + TOKENS_AROUND
        for standing in (begun.system_prompt, begun.summary):
            if standing:
                besides += self._tokens.count_standing(standing) + TOKENS_AROUND
        unbounded = self._limits.max_tokens if begun.is_reserved else self._limits.reserved_tokens
        return Allowance(
            context=context,
            reply=reply_share(context, speaking.max_tokens or unbounded),
            besides=besides,
            key=to_key(speaking.provider, model),
            knowledge=knowledge_share(context, self._limits.knowledge_tokens) if may_know(speaking) else 0,
        )

    def see(self, begun: Begun, allowance: Allowance) -> Seen:
        """What the bot sees of the past."""
        conversation = begun.turn.conversation
        budget = history_budget(
            allowance.context,
            reply=allowance.reply,
            besides=allowance.besides + allowance.knowledge,
            factor=self._tokens.factor(allowance.key),
            most=conversation.speaking.token_budget,
        )
        return to_seen(conversation, begun.history, budget, begun.history_tokens)

    def ask(self, reply: RunningReply, provider: str, prompt: Prompt) -> AsyncIterator[Piece]:
        """The bot's answer, or one that it has given before where that is wanted."""
        conversation = reply.begun.turn.conversation
        if not self._cache.serves(conversation.speaking):
            return self._bots.bot(provider).talk(prompt)
        question = to_question(conversation, provider, prompt)
        return self._cache.talk(
            question,
            lambda: self._bots.bot(provider).talk(prompt),
            has_left=lambda: reply.asked_to_end is not None,
            # Who has one asked for beside the old one wants no old one.
            anew=reply.begun.replaces is not None,
        )

    def prompt(self, reply: RunningReply, conversation: Conversation) -> Prompt:
        speaking = to_spoken(conversation, self._limits.max_tokens)
        if reply.begun.is_reserved and speaking.max_tokens is None:
            # No more than was held back for it.
            speaking = replace(speaking, max_tokens=reply.allowance.reply)
        return Prompt(
            message=reply.begun.turn.prompt.content,
            system=reply.begun.system_prompt,
            history=reply.seen.history,
            speaking=speaking,
            model=self._bots.model_for_turn(conversation.speaking.model),
            request_id=reply.request_id,
            attempt=reply.begun.turn.reply.attempt,
            summary=reply.begun.summary,
            cache_key=to_cache_key(conversation.uuid),
            knowledge=to_knowledge(conversation, reply.provider, reply.allowance.knowledge),
        )

    def learn(self, reply: RunningReply, *, goes_on: bool) -> None:
        """From a turn that went well: how far off the counts were, and what it cut."""
        usage = reply.finished.usage if reply.finished else None
        if usage is not None and not usage.estimated:
            self._tokens.learn(reply.allowance.key, reply.counted(), usage.prompt_tokens)
        if self._summaries is not None and reply.prompt is not None and goes_on:
            conversation = reply.begun.turn.conversation
            self._summaries.turn_ended(conversation, reply.seen.context_from, reply.prompt, reply.allowance)


def to_knowledge(conversation: Conversation, provider: str, tokens: int) -> Knowledge | None:
    """What of its collection the bot may be given: as much as its owner may see, whatever an admin may."""
    collection = conversation.speaking.collection
    if not collection or not tokens or provider != KNOWING:
        return None
    in_front = conversation.origin == "chat_flow"
    reader = Reader(conversation.owner_id, conversation.app_id, is_guest=conversation.open_by_id)
    return Knowledge(reader, collection, tokens, MOST_IN_FRONT if in_front else None, in_front)


def to_cache_key(conversation: str) -> str:
    """What a provider is told to find a conversation's front again by; it learns no id of ours."""
    return blake2b(conversation.encode(), digest_size=16, person=b"prompt cache").hexdigest()
