"""A conversation that outgrows what its model reads, on a real server that is restarted on the way."""

from tests.contracts.talking import make, say
from tests.journeys.client import Client, open_client
from tests.parts.llm import LLM, Heard
from tests.parts.palaver import StartServer

HEAD = "What was said before, summarised:\n"
SUMMARY = "They talked of roses."
DRAIN_SECONDS = 60


def is_summary(heard: Heard) -> bool:
    return "Write a summary of it" in heard.body["messages"][-1]["content"]


def front(heard: Heard) -> str:
    [system] = [message["content"] for message in heard.body["messages"] if message["role"] == "system"]
    return str(system)


async def talk(person: Client, session: str, turns: int) -> None:
    for number in range(turns):
        await say(person, session, f"{number} " + "rose " * 120)


async def test_summary_of_what_was_cut_is_told_from_then_on_and_a_restart_makes_no_second(
    start_server: StartServer, llm: LLM
) -> None:
    server = await start_server(
        PALAVER_SUMMARIES="on", PALAVER_CONTEXT_TOKENS="6000", PALAVER_DRAIN_SECONDS=str(DRAIN_SECONDS)
    )
    token = await server.token("alice")
    async with open_client(server) as nobody:
        alice = nobody.bearing(token)
        session = await make(alice, system_prompt="You are a gardener.")
        await talk(alice, session, 2)
        await llm.control(text=SUMMARY)
        heard = await llm.record()
        while not any(map(is_summary, heard)):
            await talk(alice, session, 1)
            heard = await llm.record("ended", n=len(heard) + 1)
        await llm.control()
        # It ends with the server, and whatever was on its way is kept first.
        await server.stop(seconds=DRAIN_SECONDS + 20)
        await server.start()
        await talk(alice, session, 1)
        await server.restart()
        await talk(alice, session, 1)
    heard = await llm.record()
    assert [is_summary(one) for one in heard].count(True) == 1
    assert front(heard[0]) == "You are a gardener."
    assert front(heard[-1]) == f"You are a gardener.\n\n{HEAD}{SUMMARY}"
    # From then on the front has only grown, over the restart too.
    before, after = (one.body["messages"] for one in heard[-2:])
    assert after[: len(before)] == before
    assert len({one.body["prompt_cache_key"] for one in heard}) == 1
