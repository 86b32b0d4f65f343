"""docs/notifications.md: what it has an application check is how webhooks are signed; its words are the server's."""

import re
import time
from collections.abc import Callable
from typing import Any, get_args

from palaver.app import operations
from palaver.chat.notices import EVENTS, MOST_TARGETS
from palaver.chat.ports.outbox import WhyNot
from palaver.chat.sender import SendRules
from palaver.notify import new_webhook_secret
from palaver.notify.webhooks import sign
from tests.journeys.pages import read_page, rows

PAGE = read_page("notifications.md")


def is_ours() -> Callable[[str, dict[str, str], bytes], bool]:
    """The function as it stands on the page."""
    found = re.search(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert found is not None
    names: dict[str, Any] = {}
    exec(found[1], names)
    check: Callable[[str, dict[str, str], bytes], bool] = names["is_ours"]
    return check


def test_page_checks_a_webhook_as_it_is_signed() -> None:
    secret, body, now = new_webhook_secret(), b'{"type": "message"}', int(time.time())

    def headers(timestamp: int) -> dict[str, str]:
        signature = sign(secret, "7-9", timestamp, body)
        return {"webhook-id": "7-9", "webhook-timestamp": str(timestamp), "webhook-signature": f"v1,old {signature}"}

    assert is_ours()(secret, headers(now), body)
    assert not is_ours()(secret, headers(now), body + b" ")
    assert not is_ours()(new_webhook_secret(), headers(now), body)
    assert not is_ours()(secret, headers(now - 400), body)


def test_page_tells_of_every_kind_and_every_reason() -> None:
    assert {row[0].strip("`") for row in rows(PAGE)} >= set(EVENTS)
    assert [why for why in get_args(WhyNot) if f"`{why}`" not in PAGE] == []
    rules = SendRules()
    assert f"{rules.of_host} of a worker's {rules.at_once} places" in PAGE
    assert f"at most {MOST_TARGETS}" in PAGE


def test_page_names_every_operation() -> None:
    paths = {operation.path for operation in operations() if operation.path.startswith("/api/notifications/")}
    assert [path for path in paths if path not in PAGE] == []
