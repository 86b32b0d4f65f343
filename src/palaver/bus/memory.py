"""The bus within one process: for the server that is one, and for tests of several workers."""

import asyncio

from palaver.bus.listeners import Listeners
from palaver.chat.ports import Hear


class Hub:
    """Joins the buses of one process as if they were workers."""

    def __init__(self) -> None:
        self._buses: list[MemoryBus] = []

    def __len__(self) -> int:
        return len(self._buses)

    def join(self, bus: "MemoryBus") -> None:
        self._buses.append(bus)

    def leave(self, bus: "MemoryBus") -> None:
        self._buses.remove(bus)

    def publish(self, sender: "MemoryBus", channel: str, data: bytes) -> None:
        for bus in self._buses:
            if bus is not sender and bus.listens(channel):
                bus.receive(channel, data)

    def tell_of_a_gap(self, sender: "MemoryBus") -> None:
        for bus in self._buses:
            if bus is not sender:
                bus.hear_of_a_gap()

    def count(self, channel: str) -> int:
        return sum(bus.listens(channel) for bus in self._buses)


class MemoryBus:
    """A worker's end of the hub. Nothing is ever missed here."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._listeners = Listeners()
        hub.join(self)

    @property
    def alone(self) -> bool:
        return len(self._hub) == 1

    def publish(self, channel: str, data: bytes) -> None:
        self._hub.publish(self, channel, data)

    def tell_of_a_gap(self) -> None:
        self._hub.tell_of_a_gap(self)

    def hear_of_a_gap(self) -> None:
        asyncio.get_running_loop().call_soon(self._listeners.tell_of_a_gap)

    async def subscribe(self, channel: str, hear: Hear) -> None:
        self._listeners.add(channel, hear)

    def unsubscribe(self, channel: str) -> None:
        self._listeners.remove(channel)

    async def count(self, channel: str) -> int:
        return self._hub.count(channel)

    def listens(self, channel: str) -> bool:
        return channel in self._listeners

    def receive(self, channel: str, data: bytes) -> None:
        """Heard a moment later, in order: never within the stack of who publishes, who may be half done."""
        asyncio.get_running_loop().call_soon(self._listeners.tell, channel, data)
