"""A server that may open nothing more, or take no more memory: what runs goes on, the rest is refused, and all is as
before once there is enough again."""

import asyncio
import os
import resource
import socket
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, ExitStack, contextmanager
from pathlib import Path
from uuid import uuid4

import aiohttp
import pytest

from tests.chaos.device import Device, open_alice, open_session
from tests.contracts.knowing import COLLECTIONS, make_collection, read_whole, upload
from tests.journeys.client import Client, open_client
from tests.journeys.socket import enter
from tests.parts.llm import LLM
from tests.parts.palaver import Server, StoreKind
from tests.parts.process import wait_until
from tests.promises import Measured
from tests.serve.crew import Crew

pytestmark = pytest.mark.proof("faults")

SHORT = r"all \d+ file descriptors are in use"
ENOUGH = "there are free file descriptors again"

SPARE = 12
"""So many more it may open."""

MOST_OF_A_CORE = 0.6
"""Of a server that closes what comes, and tells a few streams beside that."""

MEBIBYTE = 1024 * 1024


@pytest.fixture(scope="module", params=["sqlite"])
def store_kind(request: pytest.FixtureRequest) -> StoreKind:
    kind: StoreKind = request.param
    return kind


@pytest.fixture(scope="module")
def server_environment() -> Mapping[str, str]:
    return {"PALAVER_MAX_BODY_BYTES": str(32 * MEBIBYTE)}


@pytest.fixture
async def alice(shared_server: Server, shared_token: str) -> AsyncIterator[Client]:
    async with open_alice(shared_server, shared_token) as alice:
        yield alice


@contextmanager
def limited(server: Server, what: int, most: int) -> Iterator[None]:
    before = resource.prlimit(server.pid, what)
    resource.prlimit(server.pid, what, (most, before[1]))
    try:
        yield
    finally:
        resource.prlimit(server.pid, what, before)


def descriptors(server: Server) -> list[int]:
    return [int(name) for name in os.listdir(f"/proc/{server.pid}/fd")]


def address_space(server: Server) -> int:
    return int(Path(f"/proc/{server.pid}/statm").read_text().split()[0]) * resource.getpagesize()


def connect(server: Server, stack: ExitStack, count: int) -> list[socket.socket]:
    host, _, port = server.url.removeprefix("http://").partition(":")
    made = [stack.enter_context(socket.create_connection((host, int(port)), timeout=30)) for _ in range(count)]
    for one in made:
        one.setblocking(False)
    return made


def is_closed(one: socket.socket) -> bool:
    try:
        return one.recv(1) == b""
    except BlockingIOError:
        return False
    except ConnectionError:
        return True


def has_begun(device: Device) -> bool:
    return any(device.texts.values())


async def hear_whole(device: Device, script: str) -> None:
    body = {"message": f"{uuid4().hex} [[{script}]]", "session_id": device.session}
    assert await device.by_asking(body, lambda one: bool(one.ends))
    assert list(device.ends.values()) == ["complete"]


@pytest.mark.proof("faults", alone=True)
async def test_server_without_descriptors_goes_on_with_what_is_open_and_takes_more_when_it_can(
    shared_server: Server, alice: Client, llm: LLM, prove: bool, measured: Measured
) -> None:
    server, crew = shared_server, Crew(shared_server)
    connections, pieces = (2000, 500) if prove else (60, 100)
    # Their last piece is kept back: a stream that ends frees a descriptor, and somebody else comes in.
    await llm.let_go("streams", pieces=pieces - 1)
    script = f"pieces={pieces}&delay=0.02&hold=streams"
    devices = [Device(alice, await open_session(alice)) for _ in range(3)]
    collection = await make_collection(alice)
    session = await open_session(alice)
    may_go_on = asyncio.Event()

    async def slow_document() -> AsyncIterator[bytes]:
        yield b"half of it "
        await may_go_on.wait()
        yield b"and the other half"

    async with enter(alice, session, "full_content=0") as present:
        streams = asyncio.gather(*(hear_whole(device, script) for device in devices))
        uploading = asyncio.create_task(
            alice._http.post(
                f"{server.url}{COLLECTIONS}{collection['id']}/documents/?name=a.txt",
                data=slow_document(),
                headers={**alice._headers, "Content-Type": "text/plain"},
            )
        )
        assert await wait_until(lambda: all(map(has_begun, devices)), seconds=20)
        with (
            limited(server, resource.RLIMIT_NOFILE, max(descriptors(server)) + 1 + SPARE),
            ExitStack() as stack,
        ):
            began, cpu = time.monotonic(), server.cpu_seconds()
            many = connect(server, stack, connections)
            open_for_us = SPARE + 2
            assert await wait_until(lambda: sum(map(is_closed, many)) >= connections - open_for_us, seconds=20)
            await crew.wait_log(SHORT)
            # Nobody else comes in, and those who are in go on.
            with pytest.raises(aiohttp.ClientError):
                await alice.get("/api/v1/")
            await present.say("is anybody there?")
            await present.until("ai_typing_stop")
            may_go_on.set()
            async with await uploading as answer:
                assert answer.status == 202, await answer.text()
                document = (await answer.json())["id"]
            await llm.let_go("streams")
            await streams
            share = (server.cpu_seconds() - cpu) / (time.monotonic() - began)
            assert share < MOST_OF_A_CORE
        await crew.wait_log(ENOUGH)
    assert len(crew.server.log_text().split("file descriptors are in use")) == 2, "it is said once"
    # All is as before, and what waited for it is done.
    assert (await alice.get("/api/v1/")).status == 200
    assert (await read_whole(alice, document))["status"] == "ready"
    assert (await alice.post("/api/chat", message="hello")).status == 200
    assert "Traceback" not in server.log_text()
    measured("connections offered to a server without descriptors", connections, "")
    measured("CPU of the server meanwhile, of one core", round(100 * share), "%")


async def test_body_and_document_as_large_as_allowed_do_not_end_a_server_short_of_memory(
    shared_server: Server, shared_token: str, prove: bool
) -> None:
    server = shared_server
    async with AsyncExitStack() as stack:
        # Who is refused while it sends hears that if it keeps its connection.
        alice = (await stack.enter_async_context(open_client(server))).bearing(shared_token)
        collection = await make_collection(alice)
        present = await stack.enter_async_context(enter(alice, await open_session(alice), "full_content=0"))
        # Less is left than the body takes, read and decoded.
        with limited(server, resource.RLIMIT_AS, address_space(server) + 24 * MEBIBYTE):
            large = [await alice.post("/api/chat", message="x" * (31 * MEBIBYTE)) for _ in range(10 if prove else 1)]
            assert {answer.status for answer in large} == {500}
            document = await upload(alice, collection, b"word " * (8 * MEBIBYTE if prove else 50_000))
            assert document.status == 202, document.text
            await present.say("is anybody there?")
            await present.until("ai_typing_stop")
        assert (await alice.post("/api/chat", message="hello")).status == 200
    assert server.is_running
