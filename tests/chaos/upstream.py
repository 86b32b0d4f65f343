"""What the stand-in heard of one prompt among many."""

from tests.parts.llm import LLM, Heard, Stage


def asked(heard: list[Heard], mark: str) -> list[Heard]:
    """The requests for a reply to the prompt that holds this mark."""
    return [request for request in heard if mark in request.body["messages"][-1]["content"]]


async def heard_of(llm: LLM, mark: str, wait: Stage = "arrived", *, timeout: float = 10) -> list[Heard]:
    """The requests for a reply to the prompt with this mark, once one of them has come so far."""
    for count in range(1, 1_000):
        found = asked(await llm.record(wait, n=count, timeout=timeout), mark)
        if any(request.reached(wait) for request in found):
            return found
    raise AssertionError(f"Nobody asked for a reply to {mark!r}.")
