"""Who listens to which channel in this worker."""

import logging

from palaver.chat.ports import Hear

log = logging.getLogger("palaver.bus")


class Listeners:
    """One `hear` for each channel. One that raises is logged; the others hear all the same."""

    def __init__(self) -> None:
        self._hears: dict[str, Hear] = {}

    def __contains__(self, channel: str) -> bool:
        return channel in self._hears

    @property
    def channels(self) -> list[str]:
        return list(self._hears)

    def add(self, channel: str, hear: Hear) -> None:
        """Raises `ValueError` where somebody listens there already: it would never hear anything again."""
        if channel in self._hears:
            raise ValueError(f"the channel {channel} is subscribed to already")
        self._hears[channel] = hear

    def has(self, channel: str, hear: Hear) -> bool:
        """Whether it is this one who listens there."""
        return self._hears.get(channel) is hear

    def remove(self, channel: str) -> None:
        self._hears.pop(channel, None)

    def tell(self, channel: str, data: bytes | None) -> None:
        hear = self._hears.get(channel)
        if hear is None:
            return
        try:
            hear(data)
        except Exception:
            # The outer edge of what is called from a task of the bus, which has to go on.
            log.exception("who listens to the channel %s could not take what it heard", channel)

    def tell_of_a_gap(self) -> None:
        """Something may have been missed, on any channel."""
        for channel in self.channels:
            self.tell(channel, None)
