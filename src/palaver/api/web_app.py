"""The web app as its build left it in the package: one page, and files whose names change with what is in them."""

import re
from pathlib import Path

from palaver.api.call import Answer, Call

UI = Path(__file__).parents[1] / "ui"

HTML = b"text/html; charset=utf-8"
TYPES = {
    "css": b"text/css; charset=utf-8",
    "js": b"text/javascript; charset=utf-8",
    "png": b"image/png",
    "svg": b"image/svg+xml",
    "webmanifest": b"application/manifest+json",
}
CODINGS = {"br": "br", "gzip": "gz"}

# No script and no style but from our own files, and no string that becomes either: the only policy of Trusted Types
# gives the service worker's address, whatever it is asked for. Images from elsewhere are shown once the reader asks for
# them, and then by https alone.
POLICY = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: https:; font-src 'self'; "
    b"connect-src 'self'; manifest-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'self'; "
    b"frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types palaver-worker"
)
# What keeps the page for when there is no network only fetches, and only from here.
WORKER_POLICY = (
    b"content-security-policy",
    b"default-src 'none'; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'",
)
PAGE_POLICY = (b"content-security-policy", POLICY)

# A plain name of a file, that leads nowhere else.
NAME = re.compile(r"\w[\w.-]*")
# As Vite names what it has made: another content has another name.
HASHED = re.compile(r".+-[\w-]{8}\.\w+")
FOREVER = (b"cache-control", b"public, max-age=31536000, immutable")
A_WHILE = (b"cache-control", b"public, max-age=3600")
EACH_TIME = (b"cache-control", b"no-cache")


VARY = (b"vary", b"Accept, Accept-Encoding")


def app_page(call: Call) -> Answer | None:
    """None where the app was not built."""
    if not (UI / "index.html").is_file():
        return None
    return _answer(call, UI / "index.html", HTML, (EACH_TIME, PAGE_POLICY))


def app_file(call: Call, name: str) -> Answer | None:
    """None where there is no such file."""
    content_type = TYPES.get(name.rpartition(".")[2])
    if content_type is None or not NAME.fullmatch(name) or not (UI / "assets" / name).is_file():
        return None
    caching = FOREVER if HASHED.fullmatch(name) else A_WHILE
    return _answer(call, UI / "assets" / name, content_type, (caching,))


def service_worker(call: Call) -> Answer | None:
    """None where the app was not built. It is looked at each time: what it says decides what browsers keep."""
    file = UI / "service-worker.js"
    if not file.is_file():
        return None
    return _answer(call, file, TYPES["js"], (EACH_TIME, WORKER_POLICY))


def _answer(call: Call, file: Path, content_type: bytes, headers: tuple[tuple[bytes, bytes], ...]) -> Answer:
    accepted = call.header(b"accept-encoding").lower()
    for coding, ending in CODINGS.items():
        packed = file.with_name(f"{file.name}.{ending}")
        if re.search(rf"\b{coding}\b(?!;q=0(\.0*)?\b)", accepted) and packed.is_file():
            headers = (*headers, VARY, (b"content-encoding", coding.encode()))
            return Answer(packed.read_bytes(), headers=headers, content_type=content_type)
    return Answer(file.read_bytes(), headers=(*headers, VARY), content_type=content_type)
