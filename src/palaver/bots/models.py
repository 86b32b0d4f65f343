"""What a server tells of its models: a name for certain, the rest where it happens to tell."""

from typing import Any

import msgspec
from msgspec import Struct

from palaver.chat.model import OfferedModel

# Greater counts are made up, and no database keeps them.
MOST = 2**63 - 1


class _Meta(Struct, frozen=True):
    """llama.cpp's. It is often started with less context than its model was trained for; newer ones tell both."""

    n_ctx: Any = None
    n_ctx_train: Any = None
    n_params: Any = None
    size: Any = None


class _Listed(Struct, frozen=True):
    id: str
    context_length: Any = None
    max_model_len: Any = None
    meta: _Meta | None = None


class _Listing(Struct, frozen=True):
    data: list[_Listed]


_decode = msgspec.json.Decoder(_Listing).decode


def decode_models(body: bytes) -> tuple[OfferedModel, ...]:
    """The models, each once, by name. Raises `ValueError` where the body is no list of models."""
    models = {listed.id: _to_model(listed) for listed in _decode(body).data if _is_name(listed.id)}
    return tuple(models[name] for name in sorted(models))


def _to_model(listed: _Listed) -> OfferedModel:
    meta = listed.meta or _Meta()
    served = _first_count(listed.context_length, listed.max_model_len, meta.n_ctx)
    trained = _to_count(meta.n_ctx_train)
    parameters = _to_count(meta.n_params)
    return OfferedModel(
        name=listed.id,
        context_length=served or trained,
        only_trained=served is None and trained is not None,
        size=_to_count(meta.size),
        parameter_count=f"{parameters / 1e9:.1f}B" if parameters else "",
    )


def _first_count(*values: object) -> int | None:
    return next((count for value in values if (count := _to_count(value))), None)


def _is_name(said: str) -> bool:
    # PostgreSQL keeps no text that holds this character.
    return bool(said) and "\0" not in said


def _to_count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= MOST else None
