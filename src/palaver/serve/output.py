"""What a server says: to the operator on standard output, and to the log on standard error."""

import logging
import sys

from palaver.settings import Settings
from palaver.watching import security
from palaver.watching.lines import JsonLines, TextLines

ALONE = "%(asctime)s %(levelname)s %(name)s %(message)s"

# Many processes write one log: each line says whose it is.
TOGETHER = "%(asctime)s %(levelname)s %(process)d %(name)s %(message)s"


def say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 (this is the command's own output)


def complain(text: object) -> None:
    print(text, file=sys.stderr)  # noqa: T201 (this is the command's own output)


def say_ready(public_url: str | None, address: tuple[str, int], code: str | None) -> None:
    """All of it at once: who waits for the first line has the link, if there is one."""
    lines = [f"Palaver is ready on {to_address(*address)}"]
    if code is not None:
        lines.append(_to_link(public_url, address, code))
    say("\n".join(lines))


def say_link(public_url: str | None, address: tuple[str, int], code: str) -> None:
    say(_to_link(public_url, address, code))


def _to_link(public_url: str | None, address: tuple[str, int], code: str) -> str:
    return f"Sign in as admin (this link works once): {public_url or to_address(*address)}/sign-in/{code}"


def to_address(host: str, port: int) -> str:
    """Where somebody on this machine finds it."""
    if host in ("0.0.0.0", "::"):
        host = "127.0.0.1"
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def set_up_logging(settings: Settings, form: str, worker: str | None) -> None:
    """`form` is that of text. `worker` is the slot of this process, None for the supervisor."""
    # Of each request there is a line, and none tells these: its place in the code, its thread.
    logging._srcfile = None
    logging.logThreads = logging.logMultiprocessing = False
    logging.basicConfig(level=settings.log_level.upper(), stream=sys.stderr)
    for handler in logging.getLogger().handlers:
        handler.setFormatter(_to_formatter(settings, form, worker))
    # uvicorn tells every address with its query, and a query may hold a token: only its warnings are let through.
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    logging.getLogger("uvicorn.error").addFilter(is_news)


def log_security(settings: Settings) -> None:
    """What a command does to accounts and tokens, for who keeps what commands write."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_to_formatter(settings, ALONE, None))
    security.log.setLevel(settings.log_level.upper())
    security.log.addHandler(handler)


def _to_formatter(settings: Settings, form: str, worker: str | None) -> logging.Formatter:
    return JsonLines(worker) if settings.log_format == "json" else TextLines(form)


# What clients do wrong is no trouble of ours, and whoever likes could fill the log with it.
FAULTS_OF_CLIENTS = (
    "without completing handshake",
    "Invalid HTTP request received",
    "Invalid UTF-8 sequence received from client",
    "Unsupported upgrade request",
)


def is_news(record: logging.LogRecord) -> bool:
    """uvicorn warns of each odd request, and calls each refused handshake an error."""
    said = record.getMessage()
    return not any(fault in said for fault in FAULTS_OF_CLIENTS)
