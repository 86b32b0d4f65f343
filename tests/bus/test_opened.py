"""How the bus is opened, and what that loads and says."""

import subprocess
import sys

import pytest

from palaver.bus import BadBusOptions, BusOptions, open_bus
from tests.bus.ear import Ear
from tests.parts.process import bare_environment


async def test_server_without_redis_is_alone() -> None:
    async with open_bus(BusOptions(), "palaver") as bus:
        assert bus.alone
        await bus.subscribe("one", Ear().hear)
        bus.publish("one", b"nobody else is there")
        assert await bus.count("one") == 1


def test_server_without_redis_does_not_load_it() -> None:
    program = """
import asyncio, sys
from palaver.bus import BusOptions, open_bus

async def main():
    async with open_bus(BusOptions(), "palaver"):
        print(sorted({"redis", "hiredis"} & set(sys.modules)))

asyncio.run(main())
"""
    done = subprocess.run(
        [sys.executable, "-c", program], env=bare_environment(), capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


def test_options_do_not_show_the_password() -> None:
    assert repr(BusOptions("redis://:sekret@cache")) == "BusOptions(redis)"
    assert repr(BusOptions()) == "BusOptions(memory)"


@pytest.mark.parametrize(
    "url", ["redis://:sekret@cache?colour=blue", "redis://:sekret@cache?db=one", "http://:sekret@cache"]
)
async def test_address_that_cannot_work_is_refused_without_showing_the_password(url: str) -> None:
    with pytest.raises(BadBusOptions, match="the address of Redis cannot be used") as refused:
        async with open_bus(BusOptions(url), "palaver"):
            pass
    assert "sekret" not in str(refused.value)
