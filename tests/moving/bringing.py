"""Exports of a Firebase database, brought into a store, and what is there then."""

import io
import json
from collections.abc import Mapping
from typing import Any

from palaver.chat.clock import SystemClock
from palaver.chat.conversation import Conversation, Message
from palaver.chat.user import Reader
from palaver.moving.firebase_in import KINDS, FirebaseImport
from palaver.moving.firebase_out import FirebaseExport
from palaver.moving.report import Report
from palaver.store import SqlStore

SESSION = "6b6f0a2e-93d1-4a3e-8a5f-1f7c0a9be4d2"

# The page's example.
EXAMPLE = """
{"templates": {"pirate": {"name": "Pirate", "personalityPrompt": "You talk like a pirate.", "model": "gpt-4o-mini"}},
 "userSessions": {"6b6f0a2e-93d1-4a3e-8a5f-1f7c0a9be4d2": {"user_id": "u-81", "template_id": "pirate",
   "status": "active", "created_at": "2026-03-02T08:15:30", "message_count": 1, "conversation_history": [
     {"role": "user", "content": "Ahoy", "timestamp": 1772439331000}, {"role": "assistant", "content": "Arr!"}]}},
 "connections": {"c2": {"user1Id": "u-81", "user2Id": "u-82", "status": "active", "messages": {
   "-Nx1": {"messageId": "m1", "senderId": "u-81", "content": "See you?", "timestamp": "2026-03-02T18:02:11Z"}}}}}
"""


class Told:
    """What an import told of each kind, as (added, unchanged, skipped), and the lines about single items."""

    def __init__(self, report: Report, lines: list[str]) -> None:
        self.lines = lines
        self.totals = report.lines()
        self.counts = {
            kind: (report.added[kind], report.unchanged[kind], report.skipped[kind])
            for kind in (*KINDS, *report.skipped)
            if report.added[kind] or report.unchanged[kind] or report.skipped[kind]
        }


async def bring(store: SqlStore, export: str | Mapping[str, Any], *, app: str = "firebase", dry: bool = False) -> Told:
    text = export if isinstance(export, str) else json.dumps(export)
    lines: list[str] = []
    report = Report(KINDS, lines.append)
    await FirebaseImport(store.arriving, SystemClock(), app, report, dry=dry).run(io.BytesIO(text.encode()))
    return Told(report, lines)


async def take(store: SqlStore, *, app: str = "firebase") -> str:
    """What `palaver export firebase` writes."""
    found = await store.accounts.find_app(app)
    assert found is not None
    file = io.BytesIO()
    await FirebaseExport(store.leaving, found.id, file, lambda: None).run()
    return file.getvalue().decode()


async def read_session(
    store: SqlStore, uuid: str = SESSION, *, app: str = "firebase"
) -> tuple[Conversation, list[Message]]:
    found = await store.accounts.find_app(app)
    assert found is not None
    conversation = await store.conversations.access(Reader(found.id, app_id=found.id), uuid)
    return conversation, list(await store.conversations.messages(conversation, limit=None, offset=0))


def one_session(*history: Any, **fields: Any) -> dict[str, Any]:
    """An export with one session, whose entries are pairs of a role and a text, or what is given."""
    entries = [{"role": one[0], "content": one[1]} if isinstance(one, tuple) else one for one in history]
    session = {"user_id": "u-1", "status": "active", "created_at": 1_772_439_331_000, **fields}
    return {"userSessions": {SESSION: {**session, "conversation_history": entries}}}


def one_connection(*messages: Any, **fields: Any) -> dict[str, Any]:
    """The same of one connection of u-1 and u-2."""
    return {
        "connections": {"c2": {"user1Id": "u-1", "user2Id": "u-2", "status": "active", "messages": messages, **fields}}
    }
