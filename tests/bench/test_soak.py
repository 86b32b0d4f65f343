"""Everything at once for some seconds, and for half an hour under `make prove`: nothing grows, nothing breaks."""

import random

from bench.soak import MAY_GROW, MINUTES, Sample, Soaked, soak

from tests.conftest import Measured

SMALL_MINUTES = 0.1


async def test_server_that_is_used_in_every_way_at_once_holds_no_more_in_the_end(
    prove: bool, measured: Measured
) -> None:
    seed = random.SystemRandom().randrange(1_000_000)
    soaked = await soak(MINUTES if prove else SMALL_MINUTES, seed)
    measured("seed", seed, "")
    measured("turns, streams, sockets, reads, messages and stops", sum(soaked.done.values()), "")
    assert not soaked.broken
    assert min(soaked.done.values()) > 0, soaked.done
    assert len(soaked.done) == 6
    assert not soaked.grown, soaked.to_markdown()


def test_what_grows_is_found_and_what_comes_and_goes_is_not() -> None:
    level = dict.fromkeys(MAY_GROW, 50.0)
    leaking = [Sample(second, {**level, "descriptors": 50 + second / 10}) for second in range(1000)]
    breathing = [Sample(second, {**level, "tasks": 50 + second % 60}) for second in range(1000)]
    assert Soaked(leaking, {}, {}).grown == ["descriptors"]
    assert Soaked(breathing, {}, {}).grown == []
    assert "| descriptors | 50.0 | 100.0 | 149.9 | +49.9 | 20 |" in Soaked(leaking, {"turns": 3}, {}).to_markdown()
