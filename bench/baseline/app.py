"""The baseline: the same endpoint as most people would write it, and well: FastAPI, the openai SDK, SQLAlchemy's ORM.

One engine and one client for the process, connections that are kept, a session per request, WAL, an index on what is
looked up, the history read by key and no further back than the window.
"""

# Its packages are in .venv-bench alone, where mypy does not look.
# mypy: disable-error-code="import-not-found, misc, untyped-decorator"

import asyncio
import sys
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Annotated, Any

import uvicorn
import uvloop
from fastapi import Depends, FastAPI, HTTPException, Request
from openai import AsyncOpenAI
from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel
from sqlalchemy import ForeignKey, Index, event, select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

SYSTEM_PROMPT = "You are a helpful assistant. Give concise, friendly answers."


class Base(DeclarativeBase):
    pass


class ChatSession(Base):
    __tablename__ = "sessions"

    id: Mapped[str] = mapped_column(primary_key=True)
    title: Mapped[str]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class ChatMessage(Base):
    __tablename__ = "messages"
    __table_args__ = (Index("messages_by_session", "session_id", "id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    session_id: Mapped[str] = mapped_column(ForeignKey("sessions.id"))
    role: Mapped[str]
    content: Mapped[str]
    created_at: Mapped[datetime]
    # Never loaded; it tells the ORM which of the two to insert first.
    session: Mapped[ChatSession] = relationship(lazy="raise")


class Camel(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


class Say(Camel):
    message: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=10_000)]
    session_id: str | None = None


class Usage(Camel):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class Answer(Camel):
    message: str
    session_id: str
    message_id: int
    usage: Usage | None = Field(default=None)


async def open_session(request: Request) -> AsyncIterator[AsyncSession]:
    async with request.app.state.sessions() as session:
        yield session


def make_app(folder: str, llm_url: str, window: int) -> FastAPI:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        engine = create_engine(f"sqlite+aiosqlite:///{folder}/baseline.sqlite3")
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
        app.state.sessions = async_sessionmaker(engine, expire_on_commit=False)
        app.state.window = window
        async with AsyncOpenAI(base_url=f"{llm_url}/v1", api_key="none") as client:
            app.state.client = client
            yield
        await engine.dispose()

    app = FastAPI(lifespan=lifespan)
    app.post("/api/chat", response_model=Answer, response_model_exclude_none=True)(chat)
    return app


def create_engine(url: str) -> AsyncEngine:
    # As many connections as the highest load has clients: waiting for one is not what is measured.
    engine = create_async_engine(url, pool_size=64, connect_args={"timeout": 30})

    @event.listens_for(engine.sync_engine, "connect")
    def set_up(connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.close()

    return engine


async def chat(say: Say, request: Request, session: Annotated[AsyncSession, Depends(open_session)]) -> Answer:
    state = request.app.state
    now = datetime.now(UTC)
    if say.session_id is None:
        conversation = ChatSession(id=str(uuid.uuid4()), title=say.message[:50], created_at=now, updated_at=now)
        session.add(conversation)
        past: list[ChatMessage] = []
    else:
        found = await session.get(ChatSession, say.session_id)
        if found is None:
            raise HTTPException(404, "Session not found")
        conversation = found
        latest = select(ChatMessage).where(ChatMessage.session_id == conversation.id).order_by(ChatMessage.id.desc())
        limited = latest if state.window < 0 else latest.limit(state.window)
        past = list(reversed((await session.scalars(limited)).all()))
    session.add(ChatMessage(session_id=conversation.id, role="user", content=say.message, created_at=now))
    await session.commit()

    completion = await state.client.chat.completions.create(
        model="gpt-4",
        messages=[
            {"role": "system", "content": SYSTEM_PROMPT},
            *({"role": message.role, "content": message.content} for message in past),
            {"role": "user", "content": say.message},
        ],
        temperature=0.7,
    )

    now = datetime.now(UTC)
    text = completion.choices[0].message.content or ""
    reply = ChatMessage(session_id=conversation.id, role="assistant", content=text, created_at=now)
    session.add(reply)
    conversation.updated_at = now
    await session.commit()
    usage = completion.usage
    return Answer(
        message=text,
        session_id=conversation.id,
        message_id=reply.id,
        usage=Usage(
            prompt_tokens=usage.prompt_tokens,
            completion_tokens=usage.completion_tokens,
            total_tokens=usage.total_tokens,
        )
        if usage
        else None,
    )


class _Server(uvicorn.Server):
    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        port = self.servers[0].sockets[0].getsockname()[1]
        print(f"ready on http://127.0.0.1:{port}", flush=True)


def main() -> None:
    """`app.py FOLDER LLM-URL WINDOW`; a window of -1 sends the whole conversation."""
    folder, url, window = sys.argv[1:]
    config = uvicorn.Config(
        make_app(folder, url, int(window)), port=0, loop="none", http="httptools", ws="none", access_log=False,

    )  # fmt: skip
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_Server(config).serve())


if __name__ == "__main__":
    main()
