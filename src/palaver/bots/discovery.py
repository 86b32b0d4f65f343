"""Looks for LLM servers on this machine, so that a model that runs already is used without any setting."""

import asyncio
from collections.abc import Sequence

from palaver.bots.upstream import Upstream, UpstreamFailed

LOOK_SECONDS = 1.0
AGAIN_SECONDS = 30.0

# Ours, Ollama's, LM Studio's, llama.cpp's, vLLM's.
USUAL_PORTS = (8001, 11434, 1234, 8080, 8000)

# Who is at home where. On the other ports it may be anybody.
NAMES = {11434: "ollama", 1234: "lm-studio"}


async def find_servers(ports: Sequence[int]) -> Sequence[int]:
    """Of these ports of this machine those at which a server offers models."""
    async with asyncio.TaskGroup() as group:
        looks = [group.create_task(_offers_models(to_local_url(port))) for port in ports]
    return [port for port, look in zip(ports, looks, strict=True) if look.result()]


async def _offers_models(url: str) -> bool:
    try:
        async with Upstream(url) as upstream, asyncio.timeout(LOOK_SECONDS):
            return bool(await upstream.fetch_models())
    except (TimeoutError, UpstreamFailed):
        return False


def to_local_url(port: int) -> str:
    return f"http://127.0.0.1:{port}"


def to_name(port: int) -> str:
    return NAMES.get(port, f"local-{port}")
