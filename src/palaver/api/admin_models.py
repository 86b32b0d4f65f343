"""For admins: every model that was ever offered here, and what is to be said of it whatever its servers tell."""

from msgspec.structs import asdict

from palaver.api.ai_chat.models import ModelShown, show_model
from palaver.api.call import Call
from palaver.api.fields import Body, Flag, Listed, Text, Whole, Word, changing, clearing
from palaver.api.operation import Api, Style
from palaver.chat.errors import NotFound
from palaver.chat.model import KnownModel, ModelChange, ModelId

api = Api("admin", Style.FASTAPI)


class ModelChanges(Body):
    display_name = changing(Text(at_least=1, at_most=200, trimmed=True))
    description = changing(Text(at_most=2000))
    context_length = clearing(Whole(1))
    capabilities = changing(Listed(Word("[a-z0-9_-]{1,40}", "capability"), at_most=20))
    is_default = changing(Flag())
    is_hidden = changing(Flag())


class AdminModel(ModelShown):
    """`servers`: those that offer it just now."""

    capabilities: tuple[str, ...]
    is_hidden: bool
    servers: tuple[str, ...]


@api.add(
    "GET", "/api/admin/models", who="admin", answer=list[AdminModel], summary="List every model that was ever offered"
)
async def list_models(call: Call) -> list[AdminModel]:
    return [_model(call, model) for model in await call.site.models.all()]


@api.add("GET", "/api/admin/models/{id}", who="admin", answer=AdminModel, summary="Show one model")
async def get_model(call: Call) -> AdminModel:
    return _model(call, await call.site.models.get(ModelId(call.number("id"))))


@api.add(
    "PATCH",
    "/api/admin/models/{id}",
    who="admin",
    body=ModelChanges,
    answer=AdminModel,
    raises=(NotFound,),
    summary="Change what is said of a model",
)
async def change_model(call: Call) -> AdminModel:
    body = call.read(ModelChanges)
    change = ModelChange(
        body.display_name, body.description, body.context_length, body.capabilities, body.is_default, body.is_hidden
    )
    return _model(call, await call.site.models.change(ModelId(call.number("id")), change))


def _model(call: Call, model: KnownModel) -> AdminModel:
    servers = tuple(server.named.name for server in call.site.servers.list() if model.name in server.offers)
    return AdminModel(
        **asdict(show_model(model)), capabilities=model.capabilities, is_hidden=model.is_hidden, servers=servers
    )
