"""What belongs to no contract: health, the first page, the OpenAPI document and the page that reads it. All open."""

import base64
import hashlib
import re
from functools import cache
from importlib.resources import files

from msgspec import Struct

from palaver.api.call import Answer, Call
from palaver.api.operation import HTML_ONLY, JSON_OR_HTML, Also, Api, Style
from palaver.api.web_app import HTML, app_file, app_page, service_worker
from palaver.chat.errors import NotFound, StoreUnavailable

api = Api("palaver", Style.FASTAPI)


class Welcome(Struct):
    message: str
    version: str
    docs: str


class Health(Struct):
    status: str
    service: str


class Status(Struct):
    status: str


UNWELL = Also("Draining, or no store", Status)


class StatusWithMessage(Struct):
    status: str
    message: str


class Greeting(Struct):
    message: str


@api.add("GET", "/", who="open", answer=Welcome, content_types=JSON_OR_HTML)
async def home(call: Call) -> Answer:
    vary = (b"vary", b"Accept")
    if "text/html" in call.header(b"accept"):
        return app_page(call) or _page("without_web_app.html", vary)
    return Answer(Welcome("Palaver is running", call.site.version, "/docs"), headers=(vary,))


@api.add("GET", "/assets/{name}", who="open", content_types=("*/*",), raises=(NotFound,), described=False)
async def asset(call: Call) -> Answer:
    """A file of the web app."""
    found = app_file(call, call.parameters["name"])
    if found is None:
        raise NotFound
    return found


@api.add(
    "GET", "/service-worker.js", who="open", content_types=("text/javascript",), raises=(NotFound,), described=False
)
async def worker(call: Call) -> Answer:
    """What keeps the web app in the browser for when there is no network."""
    found = service_worker(call)
    if found is None:
        raise NotFound
    return found


@api.add("GET", "/health", who="open", answer=Health, also={503: UNWELL})
async def health(call: Call) -> Answer:
    state = await _state(call)
    if state is not None:
        return Answer(Status(state), status=503)
    return Answer(Health("healthy", "palaver"))


@api.add("GET", "/api/v1/health", who="open", answer=Status, also={503: UNWELL})
async def health_v1(call: Call) -> Answer:
    state = await _state(call)
    return Answer(Status(state or "healthy"), status=503 if state else 200)


@api.add("GET", "/api/health/", who="open", answer=StatusWithMessage, also={503: UNWELL})
async def health_api(call: Call) -> Answer:
    state = await _state(call)
    if state is not None:
        return Answer(Status(state), status=503)
    return Answer(StatusWithMessage("ok", "API is running"))


@api.add("GET", "/api/v1/", who="open", answer=Greeting)
async def welcome_v1(_call: Call) -> Greeting:
    return Greeting("Palaver is running")


@api.add("GET", "/docs", who="open", content_types=HTML_ONLY)
async def docs(_call: Call) -> Answer:
    return _page("docs.html")


@api.add("GET", "/docs/", who="open", content_types=HTML_ONLY)
async def docs_with_slash(call: Call) -> Answer:
    answer: Answer = await docs(call)
    return answer


async def _state(call: Call) -> str | None:
    """What is wrong, if anything is."""
    if call.chat.replies.draining:
        return "draining"
    try:
        await call.chat.store.check()
    except StoreUnavailable:
        return "unhealthy"
    return None


def _page(name: str, *headers: tuple[bytes, bytes]) -> Answer:
    body, policy = page(name)
    return Answer(body, headers=(*headers, policy), content_type=HTML)


@cache
def page(name: str) -> tuple[bytes, tuple[bytes, bytes]]:
    """A page of ours with the policy that lets only its own script and style run."""
    body = files("palaver.api").joinpath("pages", name).read_bytes()
    scripts = " ".join(_hash(part) for part in re.findall(rb"<script>(.*?)</script>", body, re.DOTALL))
    styles = " ".join(_hash(part) for part in re.findall(rb"<style>(.*?)</style>", body, re.DOTALL))
    policy = (
        f"default-src 'none'; connect-src 'self'; img-src 'self' data:; script-src {scripts}; style-src {styles}; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    )
    return body, (b"content-security-policy", policy.encode())


def _hash(part: bytes) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(part).digest()).decode()}'"
