"""For admins: the LLM servers, how each does just now, and those that were added here. A key goes in and never out."""

from typing import Literal

from msgspec import Struct
from msgspec.structs import asdict

from palaver.api.call import Answer, Call
from palaver.api.fields import (
    Body,
    Listed,
    NoFields,
    Number,
    Text,
    Whole,
    Word,
    changing,
    clearing,
    defaulting,
    optional,
    required,
)
from palaver.api.operation import Api, Style, worded
from palaver.chat.errors import NotFound, Taken
from palaver.chat.server import NamedServer, ServerChange, ServerState
from palaver.chat.servers import SetElsewhere

api = Api("admin", Style.FASTAPI, {SetElsewhere: worded(409, "server_set"), Taken: worded(409, "taken")})

NAME = Word("[a-z0-9][a-z0-9._-]{0,49}", "server_name")
URL = Text(at_least=1, at_most=500, trimmed=True)
KEY = Word("[!-~]{1,500}", "server_key")
MODELS = Listed(Text(at_least=1, at_most=200), at_most=500)
WEIGHT = Number(0.001, 1000)
MOST = Whole(1, 100_000)


class NewServer(Body):
    name = required(NAME)
    url = required(URL)
    key = optional(KEY)
    models = defaulting(MODELS, ())
    weight = defaulting(WEIGHT, 1.0)
    most_at_once = optional(MOST)


class ServerChanges(Body):
    url = changing(URL)
    key = clearing(KEY)
    models = changing(MODELS)
    weight = changing(WEIGHT)
    most_at_once = clearing(MOST)


class ServerShown(Struct):
    """`models`: the ones it is limited to; none: all that it tells. `offers`: what it offers just now. `healthy`:
    whether it answered when it was last asked for its models; null where it was not. `breaker`: `closed` while it is
    asked for replies, `open` while others are asked instead. `running`: replies that it makes for this worker."""

    name: str
    url: str
    has_key: bool
    models: tuple[str, ...]
    weight: float
    most_at_once: int | None
    origin: str
    healthy: bool | None
    breaker: str
    running: int
    offers: tuple[str, ...]


class TrialShown(Struct):
    """`problem`: null where it told its models; `unavailable`: nobody answered; `key`: it did not like the key;
    `refused`: it answered something else."""

    problem: Literal["unavailable", "key", "refused"] | None
    milliseconds: int
    models: tuple[str, ...]


@api.add("GET", "/api/admin/servers", who="admin", answer=list[ServerShown], summary="List the LLM servers")
async def list_servers(call: Call) -> list[ServerShown]:
    return [_server(server) for server in call.site.servers.list()]


@api.add(
    "POST",
    "/api/admin/servers",
    who="admin",
    body=NewServer,
    answer=ServerShown,
    status=201,
    raises=(Taken,),
    summary="Add an LLM server",
)
async def add_server(call: Call) -> ServerShown:
    body = call.read(NewServer)
    new = NamedServer(body.name, body.url, body.key, body.models, body.weight, body.most_at_once)
    return _server(await call.site.servers.add(new))


@api.add("GET", "/api/admin/servers/{name}", who="admin", answer=ServerShown, summary="Tell of one LLM server")
async def get_server(call: Call) -> ServerShown:
    return _server(call.site.servers.get(call.parameters["name"]))


@api.add(
    "PATCH",
    "/api/admin/servers/{name}",
    who="admin",
    body=ServerChanges,
    answer=ServerShown,
    raises=(NotFound, SetElsewhere),
    summary="Change an LLM server",
)
async def change_server(call: Call) -> ServerShown:
    body = call.read(ServerChanges)
    change = ServerChange(body.url, body.key, body.models, body.weight, body.most_at_once)
    return _server(await call.site.servers.change(call.parameters["name"], change))


@api.add(
    "DELETE",
    "/api/admin/servers/{name}",
    who="admin",
    status=204,
    raises=(NotFound, SetElsewhere),
    summary="Remove an LLM server",
)
async def remove_server(call: Call) -> Answer:
    await call.site.servers.remove(call.parameters["name"])
    return Answer()


@api.add(
    "POST",
    "/api/admin/servers/{name}/test",
    who="admin",
    body=NoFields,
    answer=TrialShown,
    raises=(NotFound,),
    summary="Ask an LLM server for its models now",
)
async def test_server(call: Call) -> TrialShown:
    return TrialShown(**asdict(await call.site.servers.test(call.parameters["name"])))


def _server(server: ServerState) -> ServerShown:
    named = server.named
    return ServerShown(
        named.name, server.url, named.key is not None, named.models, named.weight, named.most_at_once, server.origin,
        server.tells, server.breaker, server.running, server.offers,
    )  # fmt: skip
