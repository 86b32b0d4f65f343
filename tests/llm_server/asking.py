"""Requests as a client of an LLM server makes them."""

from typing import Any

CHAT = "/v1/chat/completions"


def chat(text: str = "hello there", *, model: str = "gpt-4", **more: Any) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": text}], **more}


def stream(text: str = "hello there", *, model: str = "gpt-4", **more: Any) -> dict[str, Any]:
    return chat(text, model=model, stream=True, **more)
