"""The stand-in itself: which answer a request gets."""

import asyncio
from collections.abc import Mapping, Sequence
from itertools import chain, count
from time import time
from typing import assert_never
from urllib.parse import parse_qsl

import msgspec

from palaver.llm_server.director import Director, Endpoint
from palaver.llm_server.embeddings import EmbeddingsRequest, encode_embeddings
from palaver.llm_server.faults import check_refused, give_body, give_completion, give_stream, reject_stream_options
from palaver.llm_server.gates import Gates, LetGo
from palaver.llm_server.http import Answer, Request
from palaver.llm_server.options import Options
from palaver.llm_server.record import Entry, Record, Stage
from palaver.llm_server.replies import ChatRequest, Reply, Said, all_texts, last_role, last_user_text, say
from palaver.llm_server.responses import SECRET, to_bad_request, to_error_response, to_json_response
from palaver.llm_server.script import Script, ScriptInvalid, script_in_message, script_in_model
from palaver.llm_server.steps import Steps, Until, Wait, Write
from palaver.llm_server.usage import CachedTokens, PromptCache, Usage, count_tokens

_ENDPOINTS: dict[tuple[str, str], Endpoint] = {
    ("GET", "/models"): "models",
    ("POST", "/chat/completions"): "chat",
    ("POST", "/embeddings"): "embeddings",
    ("GET", "/health"): "health",
}
_PREFIXES = {"both": ("", "/v1"), "v1": ("/v1",), "none": ("",)}


class _Wish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a reader of the record waits for."""

    wait: Stage = "arrived"
    n: int = 0
    timeout: float = 5.0


class StandIn:
    """Answers requests, keeps the record of them, and can be told how to answer those that follow."""

    def __init__(self, options: Options) -> None:
        self.record = Record(options.record)
        self._options = options
        self._director = Director(options)
        self._gates = Gates()
        self._endpoints = _to_endpoints(options)
        self._authorization = None if options.api_key is None else f"Bearer {options.api_key}".encode()
        self._models = _encode_models(options)
        self._numbers = count(1)
        self._cache = PromptCache() if options.prompt_cache else None
        self._decode_chat = msgspec.json.Decoder(ChatRequest).decode
        self._decode_embeddings = msgspec.json.Decoder(EmbeddingsRequest).decode

    def control(self, spec: Mapping[str, object]) -> None:
        """Answer all following requests by this script; an empty one ends that.

        `on` limits it to one endpoint: models, chat, embeddings or health. `reset_record` empties the record; alone, it
        leaves the script in force. `ScriptInvalid` where the script cannot be followed; then nothing changes.
        """
        script = {name: value for name, value in spec.items() if name != "reset_record"}
        if script or not spec:
            self._director.control(script)
        if spec.get("reset_record"):
            self.record.reset()

    def answer(self, request: Request) -> Answer:
        path, _, query = request.target.partition("?")
        entry = Entry(
            method=request.method,
            path=path,
            raw_headers=request.headers,
            raw_body=request.body,
            arrived_at=request.arrived_at,
        )
        try:
            steps = self._answer(request, entry, query)
        except (msgspec.DecodeError, UnicodeDecodeError, ScriptInvalid) as error:
            steps = _write(to_bad_request(str(error)))
        return Answer(steps, entry)

    def tell(self) -> None:
        self.record.tell()

    def _answer(self, request: Request, entry: Entry, query: str) -> Steps:
        endpoint = self._endpoints.get((request.method, entry.path))
        if endpoint is None:
            return self._answer_aside(request, entry.path, query)
        if endpoint in ("chat", "embeddings"):
            self.record.add(entry)
        if not self._knows_key(request, endpoint):
            return _write(_unknown_key())
        match endpoint:
            case "chat":
                return self._chat(request, entry)
            case "embeddings":
                return self._embed(request, entry)
            case "models":
                return _play(self._director.script_for("models"), entry, self._models)
            case "health":
                return _play(self._director.script_for("health"), entry, b'{"status":"ok"}')
            case _:
                assert_never(endpoint)

    def _answer_aside(self, request: Request, path: str, query: str) -> Steps:
        """What a test asks of the stand-in and no client of an LLM would."""
        match request.method, path:
            case "POST", "/_control":
                self.control(msgspec.json.decode(request.body, type=dict[str, str | int | float | bool]))
                return _write(to_json_response(b"{}"))
            case "POST", "/_let_go":
                self._gates.let_go(msgspec.json.decode(request.body, type=LetGo))
                return _write(to_json_response(b"{}"))
            case "GET", "/_record":
                return self._tell_record(_read_wish(query))
            case "GET", "/_bill":
                return _write(to_json_response(msgspec.json.encode(self.record.bill())))
            case _:
                message = f"Invalid URL ({request.method} {path})"
                return _write(to_error_response(404, message, "invalid_request_error"))

    def _knows_key(self, request: Request, endpoint: Endpoint) -> bool:
        if self._authorization is None or endpoint == "health":
            return True
        return any(name.lower() == b"authorization" and value == self._authorization for name, value in request.headers)

    def _chat(self, request: Request, entry: Entry) -> Steps:
        asked = self._decode_chat(request.body)
        if self._is_unknown(asked.model):
            return _write(_unknown_model(asked.model))
        heard = last_user_text(asked.messages)
        script = self._director.script_for("chat", script_in_model(asked.model), script_in_message(heard))
        entry.fault = script.fault
        refused = _refuse(script, asked)
        if refused:
            return _after(script.first, refused)
        if script.repeats:
            heard = all_texts(asked.messages)
        said = say(script, heard, tool_done=last_role(asked.messages) == "tool")
        reply = self._to_reply(asked, script, said)
        # A stream tells it only to who has asked for it.
        entry.usage = reply.usage if reply.usage_event or not asked.stream else None
        if asked.stream:
            steps = give_stream(reply, script)
            return _after(script.first, self._gates.hold(script.hold, steps) if script.hold else steps)
        return _after(script.first + script.delay * (len(said.deltas) - 1), give_completion(reply, script))

    def _to_reply(self, asked: ChatRequest, script: Script, said: Said) -> Reply:
        return Reply(
            number=next(self._numbers),
            created=int(time()),
            model=asked.model.partition("?")[0],
            said=said,
            usage=None if script.fault == "no-usage" else self._count(asked, said),
            usage_event=bool(asked.stream_options and asked.stream_options.include_usage),
        )

    def _count(self, asked: ChatRequest, said: Said) -> Usage:
        prompt = b"".join(asked.messages)
        tokens = count_tokens(prompt)
        cached = CachedTokens(self._cache.access_cached_tokens(asked.model, prompt)) if self._cache else None
        return Usage(tokens, said.tokens, tokens + said.tokens, cached)

    def _embed(self, request: Request, entry: Entry) -> Steps:
        asked = self._decode_embeddings(request.body)
        if self._is_unknown(asked.model, self._options.embedding_models):
            return _write(_unknown_model(asked.model))
        script = self._director.script_for("embeddings", script_in_model(asked.model))
        return _play(script, entry, encode_embeddings(asked, self._options.dimensions))

    def _is_unknown(self, model: str, others: Sequence[str] = ()) -> bool:
        name = model.partition("?")[0]
        return self._options.strict_models and name not in self._options.models and name not in others

    def _tell_record(self, wish: _Wish) -> Steps:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + wish.timeout
        while self.record.count(wish.wait) < wish.n and loop.time() < deadline:
            yield Until(self.record.next_change(deadline))
        yield Write(to_json_response(self.record.encode()))


def _to_endpoints(options: Options) -> dict[tuple[str, str], Endpoint]:
    return {
        (method, prefix + path): endpoint
        for prefix in _PREFIXES[options.prefix]
        for (method, path), endpoint in _ENDPOINTS.items()
    }


def _encode_models(options: Options) -> bytes:
    told = {"object": "model", "created": int(time()), "owned_by": "palaver"}
    if options.context_length is not None:
        told["context_length"] = options.context_length
    data = [{"id": model, **told} for model in (*options.models, *options.embedding_models)]
    return msgspec.json.encode({"object": "list", "data": data})


def _read_wish(query: str) -> _Wish:
    return msgspec.convert({"n": 1, **dict(parse_qsl(query))} if query else {}, _Wish, strict=False)


def _refuse(script: Script, asked: ChatRequest) -> Steps | None:
    if script.fault == "reject-stream-options" and asked.stream_options is not None:
        return reject_stream_options()
    return check_refused(script)


def _play(script: Script, entry: Entry, body: bytes) -> Steps:
    entry.fault = script.fault
    return _after(script.first, check_refused(script) or give_body(body, script))


def _after(seconds: float, steps: Steps) -> Steps:
    return chain((Wait(seconds),), steps) if seconds > 0 else steps


def _write(response: bytes) -> Steps:
    return iter((Write(response),))


def _unknown_key() -> bytes:
    return to_error_response(401, f"Incorrect API key provided ({SECRET})", "invalid_request_error", "invalid_api_key")


def _unknown_model(model: str) -> bytes:
    message = f"The model `{model}` does not exist or you do not have access to it ({SECRET})"
    return to_error_response(404, message, "invalid_request_error", "model_not_found")
