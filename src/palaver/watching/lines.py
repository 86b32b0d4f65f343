"""The log's lines: as text, or as JSON for those who collect logs by machine.

What is in a line of JSON is what the text would say: no more of a request than its operation, its id and who asked.
"""

import json
import logging
import re
import time
from datetime import UTC, datetime
from typing import Any

# How `api/dispatch.py` logs a request that has its answer: its id, method, route and status, and the UUID of who asked,
# where that is known.
REQUEST = "request %s: %s %s %d"
REQUEST_OF = "request %s: %s %s %d of %s"

# Every line about a request begins so.
_OF_REQUEST = re.compile(r"[Rr]equest ([A-Za-z0-9._-]{1,64}): ")


class TextLines(logging.Formatter):
    """A busy server writes many lines in a second, whose time is spelled once."""

    _second = -1
    _spelled = ""

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802 (logging's name)
        second = int(record.created)
        if second != self._second:
            self._second = second
            self._spelled = time.strftime(datefmt or self.default_time_format, time.localtime(second))
        return f"{self._spelled},{int(record.msecs):03}"


class JsonLines(logging.Formatter):
    """`worker` is the slot of this process; None for the supervisor, which is none."""

    def __init__(self, worker: str | None) -> None:
        super().__init__()
        self._worker = worker

    def format(self, record: logging.LogRecord) -> str:
        message = record.getMessage()
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")[:-6] + "Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": message,
            "worker": self._worker,
            "process": record.process,
            "request_id": _request_id(record, message),
        }
        if record.msg is REQUEST and isinstance(record.args, tuple):
            _, line["method"], line["route"], line["status"] = record.args
        elif record.msg is REQUEST_OF and isinstance(record.args, tuple):
            _, line["method"], line["route"], line["status"], line["user"] = record.args
        else:
            # What a line tells by name, of which its text is made (`watching/security.py`).
            line.update(getattr(record, "fields", {}))
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        # In ASCII: whatever half of a character is in it can be written.
        return json.dumps({name: value for name, value in line.items() if value is not None})


def _request_id(record: logging.LogRecord, message: str) -> str | None:
    given: str | None = getattr(record, "request_id", None)
    if given:
        return given
    found = _OF_REQUEST.match(message)
    return None if found is None else found[1]
