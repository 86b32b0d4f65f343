"""Which script a request plays by: the server's options, what it was told since, and what the request itself says."""

from collections import Counter
from collections.abc import Hashable, Mapping
from itertools import count
from typing import Literal
from urllib.parse import urlencode

import msgspec

from palaver.llm_server.options import Options
from palaver.llm_server.script import Script, ScriptInvalid, read_script

Endpoint = Literal["models", "chat", "embeddings", "health"]


class Director:
    """Knows the script of each request, and how often a script's fault has been used."""

    def __init__(self, options: Options) -> None:
        self._default = _to_default(options)
        self._controlled = ""
        self._controlled_endpoint: Endpoint | None = None
        self._controls = count(1)
        self._used: Counter[Hashable] = Counter()

    def control(self, spec: Mapping[str, object]) -> None:
        """Play all following requests by this script; an empty one ends that.

        `on` limits it to one endpoint. A script starts afresh whenever it is set: its `times` count from none.
        `ScriptInvalid` where it cannot be followed; then nothing changes.
        """
        fields = dict(spec)
        endpoint = _read_endpoint(fields.pop("on", None))
        written = urlencode({"key": f"control-{next(self._controls)}", **fields}) if fields else ""
        read_script(written)
        self._controlled, self._controlled_endpoint = written, endpoint

    def script_for(self, endpoint: Endpoint, *own: str) -> Script:
        """The script for one request, whose `own` scripts come after what the server was told. Counts as its use."""
        controlled = self._controlled if self._controlled_endpoint in (None, endpoint) else ""
        script = read_script("&".join(filter(None, (self._default, controlled, *own))))
        return script if self._use(script) else msgspec.structs.replace(script, fault=None)

    def _use(self, script: Script) -> bool:
        if script.fault is None or script.times is None:
            return True
        counted: Hashable = (script.fault, script.key) if script.key else script
        self._used[counted] += 1
        return self._used[counted] <= script.times


def _to_default(options: Options) -> str:
    given = {"pieces": options.pieces, "first": options.first_delay, "delay": options.delay, "text": options.text}
    return urlencode({name: value for name, value in given.items() if value is not None})


def _read_endpoint(given: object) -> Endpoint | None:
    try:
        endpoint: Endpoint | None = msgspec.convert(given, Endpoint | None)
    except msgspec.ValidationError as error:
        raise ScriptInvalid(f"`on` is no endpoint: {error}") from error
    return endpoint
