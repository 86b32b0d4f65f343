"""What a long conversation's prompts cost, cut as Palaver cuts, beside losing its oldest message at every turn:
`.venv/bin/python bench/prompt_bill.py [--turns N]`.

Both talk to a stand-in with a provider's prompt cache (from 1,024 tokens on, in steps of 128) and say the same words.
Cached tokens are billed at a tenth. Ours goes the whole way: core, SQLite, bot, HTTP. What is compared are the turns
after the context has become full; until then both send the same, and a conversation that never gets there has nothing
to gain. Nothing here depends on how fast the machine is.
"""

import argparse
import asyncio
import random
import sys
import tempfile
import uuid
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import aiohttp
import msgspec
from msgspec import Struct

# Run by its path, Python looks for modules in this folder only.
sys.path.insert(0, str(Path(__file__).parents[1]))

from palaver.app import running
from palaver.chat.conversation import NewConversation, Speaking
from palaver.chat.flow import continue_chat, create_conversation, wait_for_answer
from palaver.chat.user import NOT_STORED, Reader, User
from palaver.llm_server import Options, Running
from palaver.llm_server import running as running_llm
from palaver.settings import read_settings

TURNS = 100
CONTEXTS = (8_192, 32_768)
CACHED_PRICE = 0.1
MODEL = "gpt-4.1-mini"
SYSTEM = "You are a patient gardener who knows every plant by its names in three languages. " * 5

# What a person and a model say in a turn of a usual chat, in characters: some 100 tokens and 300.
SAID, ANSWERED = (40, 760), (400, 2_000)

# What Palaver leaves to a reply that names no length of its own.
RESERVED = 1_024

WORDS = ("rose", "oak", "the", "of", "leaf", "water", "when", "is", "moss", "under", "a", "stone", "frost", "and", "to")


class Exchange(Struct, frozen=True):
    said: str
    answered: str


class Bill(Struct, frozen=True):
    """What was reported, turn by turn: all tokens of each prompt, and those of them that came from the cache."""

    prompts: Sequence[tuple[int, int]]

    def cost(self, turns: int) -> float:
        """Of the last so many, in tokens at the full price."""
        return sum(tokens - cached + CACHED_PRICE * cached for tokens, cached in self.prompts[-turns:])

    def cached(self, turns: int) -> float:
        return sum(cached for _, cached in self.prompts[-turns:]) / sum(tokens for tokens, _ in self.prompts[-turns:])


def make_talk(context: int, turns: int) -> list[Exchange]:
    """The same at every run: so many turns after those that fill the context."""
    dice = random.Random(context)
    talk: list[Exchange] = []
    characters = 0
    # A little more than fits, so that no strategy has the whole of it before it any more.
    while characters < 4 * context:
        talk.append(Exchange(_words(dice, *SAID), _words(dice, *ANSWERED)))
        characters += len(talk[-1].said) + len(talk[-1].answered)
    return talk + [Exchange(_words(dice, *SAID), _words(dice, *ANSWERED)) for _ in range(turns)]


async def bill_ours(talk: Sequence[Exchange], context: int) -> Bill:
    """Of Palaver, which is told the context by the LLM server."""
    async with running_llm(Options(port=0, prompt_cache=True, context_length=context, record=0)) as llm:
        with tempfile.TemporaryDirectory() as folder:
            settings = read_settings(
                {"PALAVER_DATA_DIR": folder, "LLM_SERVER_URL": llm.url, "PALAVER_EXACT_TOKENS": "off"}
            )
            async with running(settings, port=0) as palaver:
                await palaver.chat.bots.refresh_models()
                alice = await palaver.store.accounts.add_user(
                    User(NOT_STORED, str(uuid.uuid4()), "person", "alice", "")
                )
                new = NewConversation(
                    uuid=str(uuid.uuid4()),
                    owner_id=alice.id,
                    app_id=None,
                    origin="chatify",
                    title="Plants",
                    system_prompt=SYSTEM,
                    speaking=Speaking(model=MODEL),
                )
                conversation = await create_conversation(palaver.chat, new)
                prompts = []
                for exchange in talk:
                    llm.stand_in.control({"text": exchange.answered})
                    begun = await continue_chat(
                        palaver.chat, Reader(alice.id), exchange.said, conversation=conversation.uuid
                    )
                    usage = (await wait_for_answer(palaver.chat, begun)).turn.reply.usage
                    assert usage is not None
                    prompts.append((usage.prompt_tokens, usage.cached_tokens))
                return Bill(prompts)


async def bill_sliding(talk: Sequence[Exchange], context: int) -> Bill:
    """Of a client that drops its oldest messages, one after the other, until the rest fits."""
    history: list[dict[str, str]] = []
    prompts = []
    async with running_llm(Options(port=0, prompt_cache=True, record=0)) as llm, aiohttp.ClientSession() as http:
        for exchange in talk:
            said = {"role": "user", "content": exchange.said}
            system = {"role": "system", "content": SYSTEM}
            while _tokens([system, *history, said]) > context - RESERVED:
                history.pop(0)
            prompts.append(await _ask(http, llm, [system, *history, said], exchange.answered))
            history += [said, {"role": "assistant", "content": exchange.answered}]
    return Bill(prompts)


async def _ask(
    http: aiohttp.ClientSession, llm: Running, messages: Sequence[dict[str, str]], answer: str
) -> tuple[int, int]:
    llm.stand_in.control({"text": answer})
    body = msgspec.json.encode({"model": MODEL, "messages": messages})
    async with http.post(f"{llm.url}/v1/chat/completions", data=body) as response:
        usage = msgspec.json.decode(await response.read())["usage"]
    return usage["prompt_tokens"], usage["prompt_tokens_details"]["cached_tokens"]


def _tokens(messages: Sequence[dict[str, str]]) -> int:
    """As the stand-in counts them."""
    return -(-sum(len(msgspec.json.encode(message)) for message in messages) // 4)


def _words(dice: random.Random, least: int, most: int) -> str:
    length = dice.randint(least, most)
    return " ".join(islice(iter(lambda: dice.choice(WORDS), None), length // 4 + 1))[:length].strip()


async def measure(context: int, turns: int) -> tuple[Bill, Bill]:
    talk = make_talk(context, turns)
    return await bill_ours(talk, context), await bill_sliding(talk, context)


def main() -> None:
    arguments = argparse.ArgumentParser(description="What a long conversation's prompts cost.")
    arguments.add_argument("--turns", type=int, default=TURNS, help="turns after the context is full")
    turns = arguments.parse_args().turns
    print(
        "| context | turns | cut one by one: cost, cached | cut to half: cost, cached | times | with the turns before |"
    )
    print("| --- | --- | --- | --- | --- | --- |")
    for context in CONTEXTS:
        ours, sliding = asyncio.run(measure(context, turns))
        whole = len(ours.prompts)
        print(
            f"| {context:,} | {turns} of {whole} | {sliding.cost(turns):,.0f}, {sliding.cached(turns):.0%} "
            f"| {ours.cost(turns):,.0f}, {ours.cached(turns):.0%} | **{sliding.cost(turns) / ours.cost(turns):.1f}** "
            f"| {sliding.cost(whole) / ours.cost(whole):.1f} |"
        )


if __name__ == "__main__":
    main()
