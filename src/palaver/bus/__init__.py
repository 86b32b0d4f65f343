"""How other workers hear at once of what happened here: in process, or by Redis.

`open_bus` is the way in. `memory.py` and `redis.py` are the two; what they promise stands at `Bus` in `chat/ports.py`.
"""

from palaver.bus.memory import Hub, MemoryBus
from palaver.bus.opened import BadBusOptions, BusOptions, open_bus

__all__ = ["BadBusOptions", "BusOptions", "Hub", "MemoryBus", "open_bus"]
