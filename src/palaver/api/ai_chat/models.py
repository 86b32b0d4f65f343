"""ai_chat's models: what the LLM server offers, and what is said of it here."""

from datetime import datetime

from msgspec import Struct

from palaver.api.ai_chat.contract import PREFIX, new_api
from palaver.api.call import Call, to_time
from palaver.api.fields import NoFields
from palaver.api.language import text
from palaver.api.operation import worded
from palaver.chat.errors import BotUnavailable
from palaver.chat.model import KnownModel, ModelId

api = new_api()


class ModelShown(Struct):
    id: int
    name: str
    display_name: str
    description: str
    size: int | None
    parameter_count: str
    context_length: int | None
    is_available: bool
    is_default: bool
    created_at: datetime
    updated_at: datetime


class Synced(Struct):
    message: str
    models: list[ModelShown]


@api.add("GET", f"{PREFIX}/models/", answer=list[ModelShown])
async def list_models(call: Call) -> list[ModelShown]:
    return [show_model(model) for model in await call.site.models.available()]


@api.add("GET", f"{PREFIX}/models/{{id}}/", answer=ModelShown)
async def get_model(call: Call) -> ModelShown:
    return show_model(await call.site.models.get(ModelId(call.number("id"))))


@api.add(
    "POST",
    f"{PREFIX}/models/sync_models/",
    who="signed_in",
    body=NoFields,
    answer=Synced,
    refusals={BotUnavailable: worded(503, "models_untold")},
    says_error=frozenset({500, 503}),
)
async def sync_models(call: Call) -> Synced:
    models = await call.site.models.sync()
    return Synced(text("models_synced", call.language, count=len(models)), [show_model(model) for model in models])


def show_model(model: KnownModel) -> ModelShown:
    return ModelShown(
        model.id, model.name, model.display_name, model.description, model.size, model.parameter_count,
        model.context_length, model.is_available, model.is_default, to_time(model.created_at),
        to_time(model.updated_at),
    )  # fmt: skip
