"""Looks for an LLM server on this machine, so that a model that runs already is used without any setting."""

import asyncio
from collections.abc import Sequence

from palaver.bots.upstream import Upstream, UpstreamFailed

LOOK_SECONDS = 1.0
AGAIN_SECONDS = 30.0

# Ours, Ollama's, LM Studio's, llama.cpp's, vLLM's.
USUAL_PORTS = (8001, 11434, 1234, 8080, 8000)


async def find_server(ports: Sequence[int]) -> str | None:
    """The URL of a server on this machine that offers models; the first of these ports that has one, or None."""
    async with asyncio.TaskGroup() as group:
        looks = [group.create_task(_offers_models(_to_url(port))) for port in ports]
    return next((_to_url(port) for port, look in zip(ports, looks, strict=True) if look.result()), None)


async def _offers_models(url: str) -> bool:
    try:
        async with Upstream(url) as upstream, asyncio.timeout(LOOK_SECONDS):
            return bool(await upstream.fetch_models())
    except (TimeoutError, UpstreamFailed):
        return False


def _to_url(port: int) -> str:
    return f"http://127.0.0.1:{port}"
