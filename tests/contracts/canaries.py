"""What belongs to somebody, marked: a word of its own in all that one person, one application and the admin have.

A word that turns up where it was not asked for names what has leaked.
"""

import uuid
from dataclasses import dataclass, field

from tests.journeys.client import PASSWORD, Answer, Client, ask_until
from tests.parts.palaver import Server

SECONDS = 30.0

BROWSER_KEYS = {
    "p256dh": "BJP3SBtsFvOIO9XzwWyNo9IONWiSiQ_zkJtOsOTHwOp9VMqnjg_VZFC8bZOUU4r7KR-W4iKQGNvJXNtcEXIjACo",
    "auth": "cQ_VQp9dSHHqWBFh8B21pA",
}

# What admins see of everybody: docs/admin.md. Nothing that is said, and no secret, is among it.
ADMINS_SEE = frozenset(
    {
        *("alicename", "alicemail@example.org", "alicefull", "carolname", "carolmail@example.org"),
        *("presetname", "presetprompt", "presettold", "presetoldprompt"),
        *("collectionname", "collectiontold", "documentname", "documenttext", "documentseek"),
        *("appname", "applabel", "appuser", "otheruser"),
    }
)


@dataclass
class Canaries:
    """The words, each of which begins alike, and secrets that the server has made."""

    beginning: str
    words: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)

    def new(self, name: str) -> str:
        """The word that marks a thing."""
        self.words[name] = f"{self.beginning}{name}"
        return self.words[name]

    def found_in(self, text: str, *, asked: str = "") -> set[str]:
        """The names of those that stand in it and did not in what was asked."""
        # Nobody can tell by its beginning alone which it is: looked for first, it spares looking for each.
        marks = self.words if self.beginning in text else {}
        asked_for = {name for name, word in marks.items() if word in asked}
        found = {name for name, word in marks.items() if word in text and name not in asked_for}
        # A word that begins with another one was not meant by it.
        found = {name for name in found if not any(name != one and one.startswith(name) for one in found | asked_for)}
        return found | {name for name, secret in self.secrets.items() if secret in text}


@dataclass
class Owned:
    """All that there is, by what the rows of the matrix call it; a message with its conversation."""

    canaries: Canaries
    ids: dict[str, str]
    alice: Client
    carol: Client
    shop: Client
    admin: Client


async def plant(nobody: Client, server: Server) -> Owned:
    canaries = Canaries(f"zanzara{uuid.uuid4().hex[:8]}")
    admin = nobody.bearing(await server.token("admin"))
    alice = await _register(nobody, canaries, "alice")
    carol = await _register(nobody, canaries, "carol")
    ids: dict[str, str] = {}
    await _plant_account(alice, canaries, ids)
    await _plant_conversations(alice, canaries, ids)
    await _plant_presets(alice, canaries, ids)
    await _plant_documents(alice, canaries, ids)
    await _plant_people(alice, carol, canaries, ids)
    shop = await _plant_app(admin, nobody, canaries, ids)
    await _plant_admin(admin, canaries, ids)
    return Owned(canaries, ids, alice, carol, shop, admin)


def done(answer: Answer) -> Answer:
    assert answer.status in (200, 201, 202), answer.text
    return answer


async def _register(nobody: Client, canaries: Canaries, name: str) -> Client:
    email = f"{canaries.new(f'{name}mail@example.org')}"
    token = done(
        await nobody.post("/auth/register/", username=canaries.new(f"{name}name"), password=PASSWORD, email=email)
    ).body["token"]
    canaries.secrets[f"{name}'s token"] = token
    return nobody.bearing(token)


async def _plant_account(alice: Client, canaries: Canaries, ids: dict[str, str]) -> None:
    account = done(await alice.patch("/api/account", full_name=canaries.new("alicefull"))).body
    ids["person"] = account["user_id"]
    made = done(await alice.post("/api/account/tokens", name=canaries.new("tokenname"), days=1)).body
    ids["token"] = str(made["id"])
    canaries.secrets["the token made"] = made["token"]
    device = await alice.post(
        "/api/notifications/targets",
        kind="web_push",
        endpoint=f"https://push.example.org/{canaries.new('endpoint')}",
        keys=BROWSER_KEYS,
        label=canaries.new("devicelabel"),
    )
    ids["target"] = str(done(device).body["id"])


async def _plant_conversations(alice: Client, canaries: Canaries, ids: dict[str, str]) -> None:
    made = done(
        await alice.post(
            "/ai-chat/api/sessions/", title=canaries.new("title"), system_prompt=canaries.new("sessionprompt")
        )
    ).body
    session = ids["session"] = made["id"]
    said = f"{canaries.new('seek')} {canaries.new('message')} [[text={canaries.new('reply')}]]"
    sent = done(await alice.post(f"/ai-chat/api/sessions/{session}/send_message/", message=said)).body
    ids["message"] = f"{session}/messages/{sent['user_message']['id']}"
    started = await alice.post("/api/chat/start", context_id=1, initial_message=canaries.new("flowmessage"))
    ids["number"] = str(done(started).body["id"])
    started = await alice.post("/api/v1/chatbot/session", user_id=canaries.new("chatifyuser"))
    ids["chatify"] = done(started).body["session_id"]
    done(await alice.post("/api/chat", message=canaries.new("domainmessage")))


async def _plant_presets(alice: Client, canaries: Canaries, ids: dict[str, str]) -> None:
    fields = {
        "name": canaries.new("presetname"),
        "system_prompt": canaries.new("presetoldprompt"),
        "description": canaries.new("presettold"),
    }
    preset = str(done(await alice.post("/ai-chat/api/presets/", **fields)).body["id"])
    done(await alice.patch(f"/ai-chat/api/presets/{preset}/", system_prompt=canaries.new("presetprompt")))
    ids["preset"] = preset
    # The same as chatify names it.
    personalities = done(await alice.get("/api/v1/personalities/")).body
    shown = next(one for one in personalities if canaries.words["presetname"] in str(one))
    ids["personality"] = str(shown["id"])


async def _plant_documents(alice: Client, canaries: Canaries, ids: dict[str, str]) -> None:
    collection = done(
        await alice.post(
            "/ai-chat/api/collections/",
            name=canaries.new("collectionname"),
            description=canaries.new("collectiontold"),
        )
    ).body["id"]
    ids["collection"] = collection
    content = f"The {canaries.new('documentseek')} of the {canaries.new('documenttext')}.".encode()
    place = f"/ai-chat/api/collections/{collection}/documents/?name={canaries.new('documentname')}.txt"
    document = done(await alice.sending({"Content-Type": "text/plain"}).send("POST", place, content)).body["id"]
    ids["document"] = document
    await ask_until(
        lambda: alice.get(f"/ai-chat/api/documents/{document}/"),
        lambda answer: answer.body["status"] == "ready",
        seconds=SECONDS,
    )


async def _plant_people(alice: Client, carol: Client, canaries: Canaries, ids: dict[str, str]) -> None:
    people = "/api/people/conversations"
    named = canaries.words["carolname"]
    pair = ids["pair"] = done(await alice.post(people, members=[named])).body["id"]
    said = done(await alice.post(f"{people}/{pair}/messages", content=canaries.new("pairmessage"))).body
    ids["person_message"] = f"{pair}/messages/{said['id']}"
    done(await carol.post(f"{people}/{pair}/messages", content=canaries.new("pairanswer")))
    group = ids["group"] = done(await alice.post(people, members=[named], title=canaries.new("grouptitle"))).body["id"]
    done(await alice.post(f"{people}/{group}/messages", content=canaries.new("groupmessage")))


async def _plant_app(admin: Client, nobody: Client, canaries: Canaries, ids: dict[str, str]) -> Client:
    app = ids["app"] = done(await admin.post("/api/admin/apps", name=canaries.new("appname"))).body["app_id"]
    made = done(await admin.post(f"/api/admin/apps/{app}/tokens", label=canaries.new("applabel"))).body
    ids["app_token"] = f"{app}/tokens/{made['id']}"
    canaries.secrets["the application's token"] = made["token"]
    shop = nobody.bearing(made["token"])
    hook = f"https://shop.example.org/{canaries.new('webhook')}"
    canaries.secrets["the webhook's secret"] = done(
        await shop.send("PUT", "/api/notifications/webhook", {"url": hook})
    ).body["secret"]
    users = {"user1_id": canaries.new("appuser"), "user2_id": canaries.new("otheruser")}
    connection = ids["connection"] = done(await shop.post("/api/v1/connections", **users)).body["connection_id"]
    said = {"sender_id": users["user1_id"], "content": canaries.new("appmessage")}
    done(await shop.post(f"/api/v1/connections/{connection}/message", **said))
    session = await shop.post("/ai-chat/api/sessions/", title=canaries.new("apptitle"))
    ids["app_session"] = done(session).body["id"]
    return shop


async def _plant_admin(admin: Client, canaries: Canaries, ids: dict[str, str]) -> None:
    key = canaries.secrets["the LLM server's key"] = f"sk-{uuid.uuid4().hex}"
    server = {"name": canaries.new("servername"), "url": "http://127.0.0.1:1", "key": key}
    ids["server"] = done(await admin.post("/api/admin/servers", **server)).body["name"]
    session = await admin.post("/ai-chat/api/sessions/", title=canaries.new("admintitle"))
    ids["admin_session"] = done(session).body["id"]
