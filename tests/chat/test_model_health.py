"""Whether a model answers, from how the servers do that offer it."""

from typing import Literal

from palaver.chat.server import NamedServer, ServerState
from palaver.chat.servers import model_health

Breaker = Literal["closed", "open", "half_open"]


def server(*offers: str, tells: bool | None = True, breaker: Breaker = "closed") -> ServerState:
    return ServerState(NamedServer("one", "http://one"), "settings", "http://one", tells, breaker, 0, offers)


def test_model_answers_where_one_of_its_servers_does() -> None:
    servers = [server("a", "b", tells=False), server("b"), server("c", breaker="open"), server("d", tells=None)]
    assert model_health(servers) == {"a": False, "b": True, "c": False, "d": None}


def test_order_of_the_servers_changes_nothing() -> None:
    servers = [server("a"), server("a", tells=False), server("a", tells=None)]
    assert model_health(servers) == model_health(servers[::-1]) == {"a": True}
