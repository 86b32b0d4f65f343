import asyncio

import pytest

from palaver.bots.installed import InstalledBots, open_bots
from palaver.bots.options import BotOptions
from palaver.chat.errors import BotUnavailable
from palaver.chat.ports import Bots
from palaver.chat.server import NamedServer
from palaver.llm_server import Options, running
from palaver.llm_server.server import Running
from tests.parts.process import free_port

from .asking import hear
from .test_discovery import silent_port

NOTHING = BotOptions(discover_ports=())


@pytest.fixture
def little_patience(monkeypatch: pytest.MonkeyPatch, _patience: None) -> None:
    """With servers that never answer."""
    monkeypatch.setattr("palaver.bots.servers.FIRST_MODELS_SECONDS", 0.01)


def fits(bots: InstalledBots) -> Bots:
    return bots


def at(llm: Running) -> BotOptions:
    return BotOptions(llm_server_url=llm.url)


async def test_dummy_answers_where_there_is_no_server() -> None:
    async with open_bots(NOTHING) as bots:
        assert await bots.default_provider() == "dummy"
        assert (await hear(bots.bot("dummy"), "Hello")).text == "HELLO"
        assert bots.default_model() is None
        assert bots.model_for_turn("gpt-4") == "gpt-4"
        assert bots.model_for_turn(None) is None
        assert bots.offered() == ()
        assert bots.server_url is None
        assert not await bots.is_healthy()


async def test_openai_without_a_server_is_known_and_unavailable() -> None:
    async with open_bots(NOTHING) as bots:
        for provider in ("openai", "openai_rag"):
            assert bots.known(provider)
            heard = await hear(bots.bot(provider), "Hello")
            assert heard.error is not None
        with pytest.raises(BotUnavailable):
            await bots.refresh_models()


async def test_server_that_is_set_answers(llm: Running) -> None:
    async with open_bots(at(llm)) as bots:
        assert await fits(bots).default_provider() == "openai"
        assert (await hear(bots.bot("openai"), "Hello")).text == "You said: Hello"
        assert (await hear(bots.bot("openai_rag"), "Hello")).text == "You said: Hello"
        assert bots.server_url == llm.url
        assert await bots.is_healthy()


async def test_models_are_known_from_the_first_turn_on(llm: Running) -> None:
    async with open_bots(at(llm)) as bots:
        assert bots.offered() == ("gpt-4", "gpt-4.1-mini", "gpt-4o-mini", "qwen3:8b")
        assert bots.default_model() == "qwen3:8b"
        assert bots.model_for_turn("gpt-4") == "gpt-4"
        assert bots.model_for_turn("other") == "qwen3:8b"


async def test_two_models_are_known_whatever_is_offered(llm: Running) -> None:
    for options in (NOTHING, at(llm)):
        async with open_bots(options) as bots:
            assert bots.knows_model("gpt-4.1-mini")
            assert bots.knows_model("gpt-5-nano")
            assert not bots.knows_model("other")


async def test_default_model_can_be_set(llm: Running) -> None:
    async with open_bots(BotOptions(llm_server_url=llm.url, default_model="gpt-4")) as bots:
        assert bots.default_model() == "gpt-4"
    async with open_bots(BotOptions(llm_server_url=llm.url, default_model="not-there")) as bots:
        assert bots.default_model() == "gpt-4"


async def test_server_that_is_set_and_down_is_a_failing_model() -> None:
    options = BotOptions(llm_server_url=f"http://127.0.0.1:{free_port()}", default_model="m", tries=1)
    async with open_bots(options) as bots:
        assert await bots.default_provider() == "openai"
        assert bots.default_model() == "m"
        heard = await hear(bots.bot("openai"), "Hello")
        assert heard.error is not None
        assert not await bots.is_healthy()
        with pytest.raises(BotUnavailable):
            await bots.refresh_models()


@pytest.mark.usefixtures("little_patience")
async def test_silent_server_holds_up_no_start() -> None:
    async with silent_port() as silent, open_bots(BotOptions(llm_server_url=f"http://127.0.0.1:{silent}")) as bots:
        [server] = bots.servers()
        # It is asked still.
        assert server.tells is None


async def test_refresh_shows_what_is_new(llm: Running) -> None:
    async with open_bots(at(llm)) as bots:
        assert [model.name for model in await bots.refresh_models()] == list(bots.offered())
        llm.stand_in.control({"fault": "500", "on": "models"})
        with pytest.raises(BotUnavailable):
            await bots.refresh_models()
        assert bots.offered() != ()


async def test_openai_is_asked_with_its_key_where_no_other_server_is_set() -> None:
    async with running(Options(port=0, api_key="sk-right")) as openai, running(Options(port=0)) as local:
        key = BotOptions(openai_api_key="sk-right", openai_base_url=openai.url + "/v1")
        async with open_bots(key) as bots:
            assert await bots.default_provider() == "openai"
            assert bots.default_model() == "gpt-4.1-mini"
            assert (await hear(bots.bot("openai"), "Hello")).text == "You said: Hello"
        both = BotOptions(openai_api_key="sk-right", llm_server_url=local.url)
        async with open_bots(both) as bots:
            await hear(bots.bot("openai"), "Hello")
        [entry] = local.stand_in.record.entries
        assert "authorization" not in entry.headers


@pytest.mark.usefixtures("little_patience")
async def test_model_that_only_a_local_server_has_is_not_asked_of_openai() -> None:
    async with silent_port() as silent:
        options = BotOptions(
            openai_api_key="sk-1", openai_base_url=f"http://127.0.0.1:{silent}", default_model="qwen3:8b"
        )
        async with open_bots(options) as bots:
            assert bots.default_model() == "gpt-4.1-mini"


async def test_server_that_is_set_is_asked_with_its_own_key() -> None:
    async with running(Options(port=0, api_key="right")) as llm:
        options = BotOptions(llm_server_url=llm.url, llm_server_key="right", openai_api_key="other")
        async with open_bots(options) as bots:
            assert (await hear(bots.bot("openai"), "Hello")).text == "You said: Hello"


async def test_server_on_a_usual_port_is_found(llm: Running) -> None:
    async with open_bots(BotOptions(discover_ports=(free_port(), llm.port), own_port=1)) as bots:
        assert await bots.default_provider() == "openai"
        assert bots.offered() != ()
        assert (await hear(bots.bot("openai"), "Hello")).text == "You said: Hello"


async def test_all_servers_on_usual_ports_are_used_together(llm: Running) -> None:
    async with (
        running(Options(port=0, models=("own",))) as other,
        open_bots(BotOptions(discover_ports=(other.port, llm.port))) as bots,
    ):
        assert await bots.default_provider() == "openai"
        assert {"own", "gpt-4"} < set(bots.offered())
        assert [(server.url, server.origin) for server in bots.servers()] == [(other.url, "found"), (llm.url, "found")]


async def test_servers_stand_beside_the_one_that_is_set_and_any_of_them_makes_it_healthy(llm: Running) -> None:
    down = f"http://127.0.0.1:{free_port()}"
    options = BotOptions(llm_server_url=down, servers=(NamedServer("own", llm.url),), discover_ports=(llm.port,))
    async with open_bots(options) as bots:
        assert (bots.server_url, await bots.is_healthy()) == (down, True)
        assert [server.named.name for server in bots.servers()] == ["llm-server", "own"]
        assert not bots.models_are_whole()
        assert (await hear(bots.bot("openai"), "Hello")).text == "You said: Hello"
        assert await bots.refresh_models() == bots.models()


async def test_two_servers_of_one_name_stop_the_start() -> None:
    options = BotOptions(openai_api_key="sk-1", servers=(NamedServer("openai", "http://h"),))
    with pytest.raises(ValueError, match="PALAVER_LLM_SERVERS names a server 'openai'"):
        async with open_bots(options):
            pass


async def test_own_port_is_not_looked_at(llm: Running) -> None:
    async with open_bots(BotOptions(discover_ports=(llm.port,), own_port=llm.port)) as bots:
        assert await bots.default_provider() == "dummy"


async def test_nobody_is_looked_for_where_a_server_is_set(llm: Running) -> None:
    down = f"http://127.0.0.1:{free_port()}"
    async with open_bots(BotOptions(llm_server_url=down, discover_ports=(llm.port,))) as bots:
        assert bots.server_url == down


async def test_server_that_starts_later_is_found_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("palaver.bots.servers.AGAIN_SECONDS", 0.01)
    port = free_port()
    async with open_bots(BotOptions(discover_ports=(port,))) as bots:
        assert await bots.default_provider() == "dummy"
        async with running(Options(port=port)), asyncio.timeout(60):
            # Nobody is told when a server is found; it is simply there at the next turn.
            while await bots.default_provider() == "dummy":  # noqa: ASYNC110
                await asyncio.sleep(0)


async def test_provider_that_is_set_answers_even_where_a_server_is(llm: Running) -> None:
    async with open_bots(BotOptions(llm_server_url=llm.url, default_provider="dummy")) as bots:
        assert await bots.default_provider() == "dummy"


async def test_provider_that_is_not_installed_stops_the_start() -> None:
    with pytest.raises(ValueError, match=r"PALAVER_DEFAULT_PROVIDER is 'nobody'.*dummy, openai, openai_rag"):
        async with open_bots(BotOptions(default_provider="nobody")):
            pass


async def test_url_that_cannot_be_used_stops_the_start() -> None:
    with pytest.raises(ValueError, match="LLM_SERVER_URL"):
        async with open_bots(BotOptions(llm_server_url="http://")):
            pass


async def test_closing_leaves_nothing_behind(llm: Running) -> None:
    before = asyncio.all_tasks()
    async with open_bots(at(llm)) as bots:
        await hear(bots.bot("openai"), "Hello")
    async with open_bots(BotOptions(discover_ports=(llm.port,))):
        pass
    # Some of those before may have ended meanwhile.
    assert asyncio.all_tasks() - before == set()


def test_secrets_do_not_show() -> None:
    options = BotOptions(openai_api_key="sk-123", llm_server_key="sk-456", llm_server_url="http://me:sk-789@localhost")
    assert "sk-" not in repr(options) + str(options)
    assert "default_provider='auto'" in repr(options)
