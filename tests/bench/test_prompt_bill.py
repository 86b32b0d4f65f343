"""What is promised of the prompts' bill holds, on the real way through core, store, bot and HTTP.

It is all counting: no figure depends on the machine, and the whole size runs every time.
"""

import pytest
from bench.prompt_bill import RESERVED, TURNS, measure


@pytest.mark.parametrize(("context", "times"), [(8_192, 4.5), (32_768, 8.0)])
async def test_prompts_of_a_hundred_turns_cost_a_fraction_of_what_cutting_one_by_one_costs(
    context: int, times: float
) -> None:
    ours, sliding = await measure(context, TURNS)
    assert sliding.cost(TURNS) / ours.cost(TURNS) >= times
    # Not because the bot would see less than it may, and never because it sees more.
    most = max(tokens for tokens, _ in ours.prompts)
    assert 0.9 * (context - RESERVED) < most <= context - RESERVED
    assert max(tokens for tokens, _ in sliding.prompts) <= context - RESERVED
