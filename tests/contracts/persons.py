"""People with an account, as tests of what they say to each other need them."""

from typing import Any

from tests.journeys.client import Answer, Client, register

CONNECTIONS = "/api/v1/connections"
PEOPLE = "/api/people/conversations"


class Person:
    """Somebody with an account, and what they do with their connections."""

    def __init__(self, client: Client, user_id: str, name: str) -> None:
        self.client = client
        self.id = user_id
        self.name = name

    async def connect(self, other: str) -> Answer:
        return await self.client.post(CONNECTIONS, user2_id=other)

    async def say(self, connection: str, content: object, **more: object) -> Answer:
        return await self.client.post(f"{CONNECTIONS}/{connection}/message", content=content, **more)

    async def messages(self, connection: str, query: str = "") -> Any:
        answer = await self.client.get(f"{CONNECTIONS}/{connection}/messages{query}")
        assert answer.status == 200, answer.text
        return answer.body

    async def get(self, connection: str) -> Any:
        answer = await self.client.get(f"{CONNECTIONS}/{connection}")
        assert answer.status == 200, answer.text
        return answer.body["connection"]

    async def read(self, connection: str, message: str) -> Answer:
        return await self.client.post(f"{CONNECTIONS}/{connection}/read", message_id=message)

    async def end(self, connection: str) -> Answer:
        return await self.client.delete(f"{CONNECTIONS}/{connection}")

    async def block(self, connection: str) -> Answer:
        return await self.client.send("POST", f"{CONNECTIONS}/{connection}/block", {})

    async def unblock(self, connection: str) -> Answer:
        return await self.client.delete(f"{CONNECTIONS}/{connection}/block")

    # Over our own API

    async def make(self, *others: "Person", title: str | None = None) -> str:
        """The id of a conversation with them."""
        made = await self.client.post(PEOPLE, members=[other.name for other in others], title=title)
        assert made.status == 200, made.text
        return str(made.body["id"])

    async def tell(self, conversation: str, content: str, **more: object) -> str:
        """The id of a message."""
        said = await self.client.post(f"{PEOPLE}/{conversation}/messages", content=content, **more)
        assert said.status == 200, said.text
        return str(said.body["id"])

    async def see(self, conversation: str) -> Any:
        answer = await self.client.get(f"{PEOPLE}/{conversation}")
        assert answer.status == 200, answer.text
        return answer.body

    async def history(self, conversation: str) -> Any:
        answer = await self.client.get(f"{PEOPLE}/{conversation}/messages")
        assert answer.status == 200, answer.text
        return answer.body["messages"]


async def new_person(nobody: Client) -> Person:
    client = await register(nobody)
    me = (await client.get("/api/people/me")).body
    return Person(client, me["id"], me["username"])
