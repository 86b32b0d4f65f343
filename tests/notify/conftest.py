from collections.abc import AsyncIterator

import pytest

from palaver.chat.ports import Notice
from tests.chat.talking import HandClock
from tests.notify.certificates import Certificates
from tests.notify.trap import Trap, open_trap
from tests.parts.push import PushService, open_push_service
from tests.ports.talking import NOW


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="session")
async def push_service() -> AsyncIterator[PushService]:
    async with open_push_service() as service:
        yield service


@pytest.fixture
async def trap() -> AsyncIterator[Trap]:
    """What must never be connected to: at the end, nobody has."""
    async with open_trap() as trap:
        yield trap
        assert await trap.count() == 0


@pytest.fixture
def notice() -> Notice:
    return Notice(
        id="notice-1",
        kind="message",
        conversation="7f4df6a4-2f7b-4a3c-9b5e-0c52cf6e6a10",
        conversation_kind="pair",
        title="Bea",
        url="https://chat.example.org/people/7f4df6a4",
        created_at=NOW,
        body="Are you there?",
        sender="bea",
        unread=3,
        message="0b9f1c9e-6f0e-4e0c-8a43-1f4c5c7a2d11",
        recipient="alice",
    )
