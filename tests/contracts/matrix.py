"""Who may do what: every operation of every API, and the status that each kind of caller gets.

The rows are held against the server's own table of operations: one that is missing here fails the suite. `owner` made
what the path names, privately; `other` is another person, `other_app` an application that has nothing to do with it.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal["open", "anyone", "anybody", "signed_in", "admins", "owners"]
Thing = Literal[
    "message",
    "session",
    "ended_session",
    "number",
    "personality",
    "preset",
    "context",
    "model",
    "server",
    "person",
    "collection",
    "document",
    "app",
    "app_token",
    "pair",
    "group",
    "person_message",
    "text",
]


@dataclass(frozen=True)
class Row:
    """`ok` is the status of those who may. `hidden` is what the others get where a thing is not theirs."""

    operation: str
    kind: Kind
    ok: int = 200
    hidden: int = 404
    thing: Thing = "text"
    body: dict[str, Any] | None = None
    query: str = ""
    admin_sees_all: bool = False
    unauthenticated: int = 401
    notes: dict[str, int] = field(default_factory=dict)

    def expected(self, caller: str) -> int:
        if caller in self.notes:
            return self.notes[caller]
        if self.kind == "open" or (self.kind == "anyone" and caller == "none"):
            return self.ok
        if caller in ("none", "bad", "revoked"):
            return self.unauthenticated
        match self.kind:
            case "anybody" | "anyone":
                return self.ok
            case "signed_in":
                return 401 if caller == "guest" else self.ok
            case "admins":
                if caller == "guest":
                    return 401
                return self.ok if caller == "admin" else 403
            case "owners":
                sees = caller == "owner" or (caller == "admin" and self.admin_sees_all)
                return self.ok if sees else self.hidden


CREDENTIALS = {"username": "nobody", "password": "not the password"}
MAIL = {"email": "nobody@example.org", "password": "not the password"}
CONTEXT = {"name": "Advice", "system_prompt": "You advise."}
PERSONALITY = {"name": "Pirate", "personalityPrompt": "You talk like a pirate."}
HI = {"message": "hi"}
HOOK = {"url": "https://shop.example.org/hooks"}
BROWSER = {
    "kind": "web_push",
    "endpoint": "https://push.example.org/one",
    "keys": {
        "p256dh": "BJP3SBtsFvOIO9XzwWyNo9IONWiSiQ_zkJtOsOTHwOp9VMqnjg_VZFC8bZOUU4r7KR-W4iKQGNvJXNtcEXIjACo",
        "auth": "cQ_VQp9dSHHqWBFh8B21pA",
    },
}
# An application has no account of its own to look after.
NO_APP = {"other_app": 403}
# Guests have no connections, and an application has them for one of its users alone.
NO_USER = {"other_app": 422, "guest": 401}

ROWS = [
    Row("GET /", "open"),
    Row("GET /assets/{name}", "open", 404),
    Row("GET /service-worker.js", "open"),
    Row("GET /health", "open"),
    Row("GET /ready", "open"),
    # Who may read it is told elsewhere; those who ask here ask from this machine.
    Row("GET /metrics", "open"),
    Row("GET /api/v1/health", "open"),
    Row("GET /api/health/", "open"),
    Row("GET /api/v1/", "open"),
    Row("GET /docs", "open"),
    Row("GET /docs/", "open"),
    Row("GET /openapi.json", "open"),
    Row("GET /api/v1/openapi.json", "open"),
    Row("GET /schema/", "open"),
    Row("POST /api/users/token", "open", ok=400, body=CREDENTIALS),
    Row("POST /auth/login/", "open", ok=403, body=CREDENTIALS),
    Row("POST /auth/register/", "open", ok=403, body=CREDENTIALS),
    Row("POST /api/auth/register", "open", ok=403, body={**MAIL, "fullName": "Nobody"}),
    Row("POST /api/auth/login", "open", ok=401, body=MAIL),
    Row("POST /sign-in", "open", ok=401, body=CREDENTIALS),
    Row("GET /sign-in/{code}", "open", ok=410),
    Row("GET /api/admin/limits", "admins"),
    Row("GET /api/admin/usual-limits", "admins"),
    Row("GET /api/admin/limits/{user}", "admins"),
    Row("PUT /api/admin/limits/{user}", "admins", body={"turns_a_minute": 1000}),
    Row("GET /api/auth/me", "signed_in"),
    Row("POST /api/auth/logout", "signed_in", body={}),
    Row("POST /sign-out", "signed_in", body={}),
    Row("POST /api/chat/start", "anybody", ok=201, body={"context_id": 1, "initial_message": "hi"}),
    Row("POST /api/chat/session/{id}/chat", "owners", ok=201, thing="number", body={"prompt": "hi"}),
    Row("GET /api/chat/contexts", "anybody"),
    Row("POST /api/chat/contexts", "admins", ok=201, body=CONTEXT),
    Row("PATCH /api/chat/contexts/{id}", "admins", thing="context", body={"window": 3}),
    Row("DELETE /api/chat/contexts/{id}", "admins", ok=204, thing="context"),
    Row("POST /api/chat", "anybody", body=HI),
    Row("GET /api/chat/sessions", "anybody"),
    Row("GET /api/chat/sessions/{id}", "owners", thing="session"),
    Row("GET /api/chat/sessions/{id}/messages", "owners", thing="session"),
    Row("POST /api/chat/sessions/{id}", "owners", thing="session", body={"title": "New"}),
    Row("PATCH /api/chat/sessions/{id}", "owners", thing="session", body={"title": "New"}),
    Row("DELETE /api/chat/sessions/{id}", "owners", thing="session"),
    Row("POST /api/v1/chatbot/session", "anybody", body={"user_id": "u-1"}),
    Row("POST /api/v1/chatbot/session/{id}/message", "owners", hidden=400, thing="session", body=HI),
    Row("DELETE /api/v1/chatbot/session/{id}", "owners", hidden=400, thing="session"),
    Row("GET /api/v1/chatbot/session/{id}", "owners", thing="session"),
    Row("GET /api/v1/chatbot/personalities", "anybody"),
    Row("GET /api/v1/chatbot/stats", "admins"),
    Row("POST /api/v1/chatbot/cleanup", "admins"),
    Row("GET /api/v1/personalities/", "anybody"),
    Row("POST /api/v1/personalities/", "anybody", body=PERSONALITY),
    Row("GET /api/v1/personalities/{id}", "owners", thing="personality", admin_sees_all=True),
    Row("PUT /api/v1/personalities/{id}", "owners", thing="personality", body={"title": "T"}, admin_sees_all=True),
    Row("DELETE /api/v1/personalities/{id}", "owners", thing="personality", admin_sees_all=True),
    Row("GET /api/v1/settings/universal-rules", "anybody"),
    Row("PUT /api/v1/settings/universal-rules", "admins", body={"version": "2.0"}),
    Row("POST /api/v1/chat/", "anybody", body=HI),
    Row("POST /api/v1/chat/simple", "anybody", body=HI),
    Row(
        "POST /api/v1/chat/conversation",
        "anybody",
        body={"messages": [{"role": "user", "content": "hi"}]},
    ),
    Row("GET /api/v1/chat/models", "anybody"),
    Row("POST /api/chat/", "anybody", body=HI),
    Row("POST /api/chat/stream/", "anybody", body=HI),
    # A session that is not there, or another's: nothing to hear, nothing to stop.
    Row("GET /api/chat/stream/", "anybody", ok=204, query="?session_id=unheard-of"),
    Row("POST /api/chat/stop/", "anybody", body={"session_id": "unheard-of"}),
    Row("GET /api/history/", "anybody"),
    Row("GET /ai-chat/api/sessions/", "anybody"),
    Row("POST /ai-chat/api/sessions/", "anybody", ok=201, body={"system_prompt": "You advise."}),
    Row("GET /ai-chat/api/sessions/{id}/", "owners", thing="session"),
    Row("PATCH /ai-chat/api/sessions/{id}/", "owners", thing="session", body={"title": "New"}),
    Row("PUT /ai-chat/api/sessions/{id}/", "owners", thing="session", body={"system_prompt": "Obey."}),
    Row("DELETE /ai-chat/api/sessions/{id}/", "owners", ok=204, thing="session"),
    Row("PATCH /ai-chat/api/sessions/{id}/update_settings/", "owners", thing="session", body={"window": 3}),
    Row("DELETE /ai-chat/api/sessions/{id}/deactivate/", "owners", thing="session"),
    Row("POST /ai-chat/api/sessions/{id}/send_message/", "owners", thing="session", body=HI),
    Row("GET /ai-chat/api/sessions/{id}/messages/", "owners", thing="session"),
    Row("GET /ai-chat/api/my_sessions/", "anybody"),
    Row("GET /ai-chat/api/search/", "anybody", query="?q=x"),
    Row("GET /ai-chat/api/sessions/{id}/marks/", "owners", thing="session"),
    Row("PATCH /ai-chat/api/sessions/{id}/marks/", "owners", thing="session", body={"pinned": True}),
    Row("GET /ai-chat/api/sessions/{id}/branches/", "owners", thing="session"),
    Row("GET /ai-chat/api/sessions/{id}/usage/", "owners", thing="session"),
    # The message that was made does not wait for its turn.
    Row("POST /ai-chat/api/sessions/{id}/messages/{message_id}/take_back/", "owners", 409, thing="message"),
    Row("GET /ai-chat/api/sessions/{id}/messages/{message_id}/siblings/", "owners", thing="message"),
    Row("POST /ai-chat/api/sessions/{id}/messages/{message_id}/show/", "owners", thing="message"),
    Row("GET /ai-chat/api/models/", "anybody"),
    Row("GET /ai-chat/api/models/{id}/", "anybody", thing="model"),
    Row("POST /ai-chat/api/models/sync_models/", "signed_in", body={}),
    Row("GET /ai-chat/api/presets/", "anybody"),
    Row("POST /ai-chat/api/presets/", "anybody", ok=201, body=CONTEXT),
    Row("GET /ai-chat/api/presets/{id}/", "owners", thing="preset", admin_sees_all=True),
    Row("PATCH /ai-chat/api/presets/{id}/", "owners", thing="preset", body={"max_tokens": 3}, admin_sees_all=True),
    Row("PUT /ai-chat/api/presets/{id}/", "owners", thing="preset", body={"is_public": True}, admin_sees_all=True),
    Row("DELETE /ai-chat/api/presets/{id}/", "owners", ok=204, thing="preset", admin_sees_all=True),
    Row(
        "POST /ai-chat/api/presets/{id}/create_session_from_preset/",
        "owners",
        ok=201,
        thing="preset",
        body={},
        admin_sees_all=True,
    ),
    Row(
        "GET /ai-chat/api/presets/{id}/shares/",
        "owners",
        thing="preset",
        admin_sees_all=True,
        notes={"guest": 401},
    ),
    Row(
        "PUT /ai-chat/api/presets/{id}/shares/",
        "owners",
        thing="preset",
        body={"usernames": ["admin"]},
        admin_sees_all=True,
        notes={"guest": 401},
    ),
    Row("GET /ai-chat/api/presets/{id}/versions/", "owners", thing="preset", admin_sees_all=True),
    Row("GET /ai-chat/api/presets/{id}/versions/{number}/", "owners", thing="preset", admin_sees_all=True),
    Row(
        "POST /ai-chat/api/presets/{id}/rollback/",
        "owners",
        thing="preset",
        body={"version": 1},
        admin_sees_all=True,
    ),
    Row("GET /ai-chat/api/presets/{id}/settings/", "owners", thing="preset", admin_sees_all=True),
    Row("PATCH /ai-chat/api/presets/{id}/settings/", "owners", thing="preset", body={"window": 3}, admin_sees_all=True),
    Row("GET /ai-chat/api/sessions/{id}/settings/", "owners", thing="session"),
    Row("PATCH /ai-chat/api/sessions/{id}/settings/", "owners", thing="session", body={"window": 3}),
    Row("GET /ai-chat/api/collections/", "anybody"),
    # A name is taken by whoever has called before; what is refused is not that it is made.
    Row("POST /ai-chat/api/collections/", "signed_in", 400, body={"name": ""}),
    Row("GET /ai-chat/api/collections/{id}/", "owners", thing="collection", admin_sees_all=True),
    Row(
        "PATCH /ai-chat/api/collections/{id}/",
        "owners",
        thing="collection",
        body={"description": "Mine."},
        admin_sees_all=True,
    ),
    Row("DELETE /ai-chat/api/collections/{id}/", "owners", ok=204, thing="collection", admin_sees_all=True),
    Row(
        "GET /ai-chat/api/collections/{id}/shares/",
        "owners",
        thing="collection",
        admin_sees_all=True,
        notes={"guest": 401},
    ),
    Row(
        "PUT /ai-chat/api/collections/{id}/shares/",
        "owners",
        thing="collection",
        body={"usernames": ["admin"]},
        admin_sees_all=True,
        notes={"guest": 401},
    ),
    # Nobody has shared it with any of them.
    Row(
        "DELETE /ai-chat/api/collections/{id}/shares/mine/",
        "owners",
        ok=404,
        thing="collection",
        admin_sees_all=True,
        notes={"guest": 401},
    ),
    Row("GET /ai-chat/api/collections/{id}/documents/", "owners", thing="collection", admin_sees_all=True),
    Row(
        "POST /ai-chat/api/collections/{id}/documents/",
        "owners",
        ok=202,
        thing="collection",
        body={"any": "file"},
        query="?name=a.txt",
        admin_sees_all=True,
        notes={"guest": 401},
    ),
    Row("GET /ai-chat/api/collections/{id}/search/", "owners", thing="collection", query="?q=x", admin_sees_all=True),
    Row("GET /ai-chat/api/documents/{id}/", "owners", thing="document", admin_sees_all=True),
    Row("DELETE /ai-chat/api/documents/{id}/", "owners", ok=204, thing="document", admin_sees_all=True),
    Row("GET /ai-chat/api/documents/{id}/passages/", "owners", thing="document", admin_sees_all=True),
    Row("GET /ai-chat/api/documents/{id}/file/", "owners", thing="document", admin_sees_all=True),
    Row("GET /ai-chat/api/health/llm_server/", "anyone"),
    Row("GET /ai-chat/api/health/models/", "anybody"),
    Row("GET /ai-chat/api/health/stats/", "anybody"),
    Row("GET /api/admin/servers", "admins"),
    Row("POST /api/admin/servers", "admins", ok=409, body={"name": "llm-server", "url": "http://127.0.0.1:1"}),
    Row("GET /api/admin/servers/{name}", "admins", thing="server"),
    Row("PATCH /api/admin/servers/{name}", "admins", thing="server", body={"weight": 2}),
    Row("DELETE /api/admin/servers/{name}", "admins", ok=204, thing="server"),
    Row("POST /api/admin/servers/{name}/test", "admins", thing="server", body={}),
    Row("GET /api/admin/users", "admins"),
    Row("POST /api/admin/users", "admins", ok=409, body={"name": "admin"}),
    Row("GET /api/admin/users/{user}", "admins", thing="person"),
    Row("PATCH /api/admin/users/{user}", "admins", thing="person", body={"disabled": True}),
    Row("DELETE /api/admin/users/{user}", "admins", ok=204, thing="person"),
    Row("POST /api/admin/users/{user}/sign-in-link", "admins", ok=201, thing="person", body={}),
    Row("POST /api/admin/users/{user}/sign-out", "admins", ok=204, thing="person", body={}),
    Row("GET /api/admin/apps", "admins"),
    Row("POST /api/admin/apps", "admins", ok=422, body={"name": "no name"}),
    Row("GET /api/admin/apps/{app}", "admins", thing="app"),
    Row("PATCH /api/admin/apps/{app}", "admins", thing="app", body={"disabled": True}),
    Row("DELETE /api/admin/apps/{app}", "admins", ok=204, thing="app"),
    Row("GET /api/admin/apps/{app}/tokens", "admins", thing="app"),
    Row("POST /api/admin/apps/{app}/tokens", "admins", ok=201, thing="app", body={"label": "Shop"}),
    Row("DELETE /api/admin/apps/{app}/tokens/{id}", "admins", ok=204, thing="app_token"),
    Row("GET /api/admin/presets", "admins"),
    Row("GET /api/admin/models", "admins"),
    Row("GET /api/admin/models/{id}", "admins", thing="model"),
    Row("PATCH /api/admin/models/{id}", "admins", thing="model", body={"description": "Quick."}),
    Row("GET /api/admin/prices", "admins"),
    Row("POST /api/admin/prices", "admins", ok=201, body={"model": "m", "input": 1, "output": 2}),
    Row("DELETE /api/admin/prices", "admins", ok=404, query="?model=m&since=2099-01-01T00:00:00Z"),
    Row("GET /api/admin/usage", "admins"),
    Row("GET /api/admin/usage.csv", "admins"),
    Row("GET /api/usage", "anybody"),
    Row("GET /api/usage/days", "anybody"),
    Row("GET /api/account", "signed_in", notes=NO_APP),
    Row("PATCH /api/account", "signed_in", body={"full_name": "Ann"}, notes=NO_APP),
    # With a token nobody gets the first password.
    Row("POST /api/account/password", "signed_in", 403, body={"new_password": "a new password"}),
    Row("GET /api/account/tokens", "signed_in", notes=NO_APP),
    Row("POST /api/account/tokens", "signed_in", 201, body={"name": "laptop"}, notes=NO_APP),
    Row("DELETE /api/account/tokens/{id}", "signed_in", 404),
    # An application says for whom it asks.
    Row("POST /api/v1/connections", "signed_in", body={"user2_id": "admin"}, notes={**NO_USER, "admin": 422}),
    Row("GET /api/v1/connections", "signed_in", notes=NO_USER),
    Row("GET /api/v1/connections/{id}", "owners", thing="pair", notes=NO_USER),
    Row("DELETE /api/v1/connections/{id}", "owners", thing="pair", notes=NO_USER),
    Row("POST /api/v1/connections/{id}/message", "owners", thing="pair", body={"content": "hi"}, notes=NO_USER),
    Row("GET /api/v1/connections/{id}/messages", "owners", thing="pair", notes=NO_USER),
    Row("POST /api/v1/connections/{id}/read", "owners", ok=404, thing="pair", body={"message_id": "m"}, notes=NO_USER),
    Row("POST /api/v1/connections/{id}/block", "owners", thing="pair", body={}, notes=NO_USER),
    Row("DELETE /api/v1/connections/{id}/block", "owners", thing="pair", notes=NO_USER),
    Row("GET /api/people/conversations", "signed_in", notes=NO_USER),
    Row("POST /api/people/conversations", "signed_in", body={"members": ["admin"]}, notes={**NO_USER, "admin": 422}),
    Row("GET /api/people/conversations/{id}", "owners", thing="pair", notes=NO_USER),
    Row("PATCH /api/people/conversations/{id}", "owners", thing="pair", body={"muted": True}, notes=NO_USER),
    Row("POST /api/people/conversations/{id}/stop", "owners", thing="pair", notes=NO_USER),
    Row("POST /api/people/conversations/{id}/end", "owners", thing="pair", notes=NO_USER),
    # The admin is in the group, and does not manage it.
    Row("POST /api/people/conversations/{id}/leave", "owners", 204, thing="group", notes={**NO_USER, "admin": 204}),
    Row(
        "POST /api/people/conversations/{id}/members",
        "owners",
        thing="group",
        body={"members": ["admin"]},
        notes={**NO_USER, "admin": 403},
    ),
    Row(
        "DELETE /api/people/conversations/{id}/members/{user}",
        "owners",
        ok=204,
        thing="group",
        notes={**NO_USER, "admin": 204},
    ),
    Row(
        "PATCH /api/people/conversations/{id}/members/{user}",
        "owners",
        thing="group",
        body={"manages": True},
        notes={**NO_USER, "admin": 403},
    ),
    Row("GET /api/people/conversations/{id}/messages", "owners", thing="pair", notes=NO_USER),
    Row("POST /api/people/conversations/{id}/messages", "owners", thing="pair", body={"content": "hi"}, notes=NO_USER),
    Row(
        "PATCH /api/people/conversations/{id}/messages/{message_id}",
        "owners",
        thing="person_message",
        body={"content": "ho"},
        notes=NO_USER,
    ),
    Row(
        "DELETE /api/people/conversations/{id}/messages/{message_id}",
        "owners",
        thing="person_message",
        notes=NO_USER,
    ),
    Row(
        "POST /api/people/conversations/{id}/read", "owners", 404, thing="pair", body={"message_id": "m"}, notes=NO_USER
    ),
    Row("GET /api/people/me", "signed_in", notes=NO_USER),
    Row("PATCH /api/people/me", "signed_in", body={"shows_presence": True}, notes=NO_USER),
    Row("GET /api/people/blocks", "signed_in", notes=NO_USER),
    Row("POST /api/people/blocks/{user}", "signed_in", 204, notes={**NO_USER, "admin": 422}),
    Row("DELETE /api/people/blocks/{user}", "signed_in", 204, notes=NO_USER),
    Row("GET /api/notifications/me", "signed_in"),
    Row("PATCH /api/notifications/me", "signed_in", body={"shows_text": True}),
    Row("GET /api/notifications/key", "signed_in"),
    Row("GET /api/notifications/targets", "signed_in"),
    Row("POST /api/notifications/targets", "signed_in", 201, body=BROWSER),
    Row("DELETE /api/notifications/targets/{id}", "signed_in", 404),
    # A webhook is an application's.
    Row("GET /api/notifications/webhook", "signed_in", 403, notes={"other_app": 404}),
    Row("DELETE /api/notifications/webhook", "signed_in", 403, notes={"other_app": 404}),
    Row("PUT /api/notifications/webhook", "signed_in", 403, body=HOOK, notes={"other_app": 200}),
    Row("GET /api/admin/deliveries", "admins"),
    Row("POST /api/admin/deliveries/{id}/resend", "admins", 404, body={}),
]
