"""How other workers hear at once of what happened here, and what all count together: in process, or by Redis.

`open_bus` is the way in. `memory.py` and `redis.py` are the two; what they promise stands at `Bus` in
`chat/ports/bus.py`.
`open_counts` opens what they count together, for limits: `redis_counts.py`, or `chat/counts.py` within one process.
"""

from palaver.bus.memory import Hub, MemoryBus
from palaver.bus.opened import BadBusOptions, BusOptions, open_bus, open_counts

__all__ = ["BadBusOptions", "BusOptions", "Hub", "MemoryBus", "open_bus", "open_counts"]
