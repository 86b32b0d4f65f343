"""What the models cost. A process remembers it until somebody, in whatever process, has changed it: every turn of those
with a budget of money asks for it.

Each change leaves a mark that was never there before, in the transaction that changes the prices. A count would not do:
one that was rolled back would come again, for other prices.
"""

from collections.abc import Mapping, Sequence
from secrets import token_hex

from palaver.chat.clock import Micros
from palaver.chat.ledger import DatedPrice, Price
from palaver.store.database import Transaction

PRICES = "SELECT model, since, input, cached_input, output FROM prices ORDER BY model, since"
ADD_PRICE = (
    "INSERT INTO prices (model, since, input, cached_input, output) VALUES ($1, $2, $3, $4, $5) "
    "ON CONFLICT (model, since) DO NOTHING RETURNING model"
)
REMOVE_PRICE = "DELETE FROM prices WHERE model = $1 AND since = $2 RETURNING model"
LEAVE_MARK = (
    "INSERT INTO server (name, value) VALUES ('prices_mark', $1) "
    "ON CONFLICT (name) DO UPDATE SET value = excluded.value"
)
NO_PRICES: Mapping[str, Sequence[DatedPrice]] = {}
MARK = "(SELECT value FROM server WHERE name = 'prices_mark')"


class Prices:
    """Those that a process remembers. From any thread."""

    def __init__(self) -> None:
        self._known: tuple[str | None, Mapping[str, Sequence[DatedPrice]]] | None = None

    def latest(self, mark: str | None) -> Mapping[str, Sequence[DatedPrice]] | None:
        """What the models cost and when, by model, in that order. `mark`: the latest that the transaction has seen, or
        None where nobody has left one yet. None where they have to be read."""
        known = self._known
        return known[1] if known is not None and known[0] == mark else None

    async def read(self, tx: Transaction, mark: str | None) -> Mapping[str, Sequence[DatedPrice]]:
        # Read after the mark, they may be newer: then the next mark is another one, and has them read again.
        prices = await _by_model(tx)
        self._known = (mark, prices)
        return prices


def price_at(dated: Sequence[DatedPrice], now: Micros) -> Price | None:
    """What a model costs at that time, by its prices in their order; None where none has begun."""
    for one in reversed(dated):
        if one.since <= now:
            return one.price
    return None


async def read_prices(tx: Transaction) -> list[DatedPrice]:
    return [DatedPrice(row[0], row[1], Price(*row[2:])) for row in await tx.all(PRICES)]


async def _by_model(tx: Transaction) -> Mapping[str, Sequence[DatedPrice]]:
    by_model: dict[str, list[DatedPrice]] = {}
    for dated in await read_prices(tx):
        by_model.setdefault(dated.model, []).append(dated)
    return by_model


async def add_price(tx: Transaction, dated: DatedPrice) -> bool:
    """False where one begins at that very moment."""
    price = dated.price
    row = await tx.one(ADD_PRICE, dated.model, dated.since, price.input, price.cached_input, price.output)
    return await _mark_if(tx, changed=row is not None)


async def remove_price(tx: Transaction, model: str, since: Micros) -> bool:
    """False where there is none."""
    return await _mark_if(tx, changed=await tx.one(REMOVE_PRICE, model, since) is not None)


async def _mark_if(tx: Transaction, *, changed: bool) -> bool:
    if changed:
        await tx.run(LEAVE_MARK, token_hex(8))
    return changed
