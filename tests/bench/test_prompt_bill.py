"""What is promised of the prompts' bill holds, on the real way through core, store, bot and HTTP.

It is all counting: no figure depends on the machine, and the whole size runs every time.
"""

import pytest
from bench.prompt_bill import RESERVED, TURNS, measure

from tests.journeys.pages import read_page, rows, section

# What docs/operating.md says of a context: the tokens at the full price, sliding and ours, and how many times cheaper.
SAID = {
    int(cells[0].replace(",", "")): (
        int(cells[1].split()[0].replace(",", "")),
        int(cells[2].replace(",", "")),
        cells[3],
    )
    for cells in rows(section(read_page("operating.md"), "What the bot sees"))
    if cells[0][0].isdigit()
}


@pytest.mark.parametrize(("context", "times"), [(8_192, 4.5), (32_768, 8.0)])
async def test_prompts_of_a_hundred_turns_cost_a_fraction_of_what_cutting_one_by_one_costs(
    context: int, times: float
) -> None:
    ours, sliding = await measure(context, TURNS)
    assert sliding.cost(TURNS) / ours.cost(TURNS) >= times
    said_sliding, said_ours, said_times = SAID[context]
    assert said_sliding == pytest.approx(sliding.cost(TURNS), rel=0.01)
    assert said_ours == pytest.approx(ours.cost(TURNS), rel=0.01)
    assert said_times == f"{sliding.cost(TURNS) / ours.cost(TURNS):.1f}"
    # Not because the bot would see less than it may, and never because it sees more.
    most = max(tokens for tokens, _ in ours.prompts)
    assert 0.9 * (context - RESERVED) < most <= context - RESERVED
    assert max(tokens for tokens, _ in sliding.prompts) <= context - RESERVED
