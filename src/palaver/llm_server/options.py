"""What the stand-in can be told when it starts. Its command line is made from these fields and their sentences."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How to listen, what to offer, and how to answer a request that carries no script of its own."""

    host: Annotated[str, Meta(description="Address to listen on.")] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535, description="Port to listen on; 0 takes a free one.")] = 8001
    models: Annotated[tuple[str, ...], Meta(description="Models that /models lists.")] = (
        "qwen3:8b",
        "gpt-4o-mini",
        "gpt-4.1-mini",
        "gpt-4",
    )
    embedding_models: Annotated[
        tuple[str, ...], Meta(description="Models that /models lists too, and that make embeddings alone.")
    ] = ()
    context_length: Annotated[
        Annotated[int, Meta(ge=1)] | None, Meta(description="Tokens of context that /models tells of each model.")
    ] = None
    strict_models: Annotated[bool, Meta(description="Answer 404 for a model that is not listed.")] = False
    prefix: Annotated[
        Literal["both", "v1", "none"], Meta(description="Serve paths with /v1, without it, or both ways.")
    ] = "both"
    api_key: Annotated[str | None, Meta(description="Bearer token to insist on.")] = None
    pieces: Annotated[
        Annotated[int, Meta(ge=1)] | None, Meta(description="Pieces of a streamed reply; unset, one for each word.")
    ] = None
    first_delay: Annotated[float, Meta(ge=0, description="Seconds before the first byte of an answer.")] = 0.0
    delay: Annotated[float, Meta(ge=0, description="Seconds between two pieces.")] = 0.0
    text: Annotated[str | None, Meta(description="What every reply says; unset, it repeats the user's message.")] = None
    dimensions: Annotated[int, Meta(ge=1, description="Length of an embedding.")] = 384
    prompt_cache: Annotated[bool, Meta(description="Report cached_tokens as a provider with a prompt cache does.")] = (
        False
    )
    record: Annotated[int, Meta(ge=0, description="Requests that /_record remembers; 0 remembers none.")] = 5000
