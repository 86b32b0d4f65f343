"""What is known of the models when something is held back for them."""

from pathlib import Path

import pytest

from palaver.app import running
from palaver.chat.books import ModelSizes
from palaver.chat.conversation import Speaking
from palaver.chat.tokens import UNLEARNED, Tokens, to_key
from palaver.llm_server import Options
from palaver.llm_server import running as running_llm
from palaver.settings import read_settings
from tests.chat.talking import HandBot, HandBots

CONTEXT = 131_072


def test_size_is_that_of_the_model_which_answers_with_what_was_learned_of_it() -> None:
    bots, tokens = HandBots(HandBot()), Tokens()
    bots.use_lengths({"a": CONTEXT})
    sizes = ModelSizes(bots, tokens, 16_384)
    assert (sizes.of(Speaking(model="a")).context, sizes.of(Speaking()).context) == (CONTEXT, 16_384)
    assert sizes.of(Speaking(model="a")).factor == UNLEARNED
    for _ in range(50):
        tokens.learn(to_key(None, "a"), 1000, 2000)
    assert sizes.of(Speaking(model="a")).factor > 1.9


async def test_server_holds_back_by_the_context_that_its_llm_server_tells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # However long the server takes to tell its models, it is waited for.
    monkeypatch.setattr("palaver.bots.servers.FIRST_MODELS_SECONDS", 60)
    async with running_llm(Options(port=0, context_length=CONTEXT)) as llm:
        environment = {
            "PALAVER_DATA_DIR": str(tmp_path),
            "LLM_SERVER_URL": llm.url,
            "PALAVER_TOKENS_A_DAY": "1000",
            "PALAVER_EXACT_TOKENS": "off",
        }
        async with running(read_settings(environment), port=0) as palaver:
            budgets = palaver.chat.books.budgets
            assert budgets is not None
            assert budgets.size_of(Speaking(model="gpt-4")).context == CONTEXT
