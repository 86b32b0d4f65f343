"""What was used, prices and budgets, in the store."""

from collections.abc import Sequence
from typing import Protocol

from palaver.chat.clock import Micros
from palaver.chat.conversation import (
    Speaking,
    Usage,
)
from palaver.chat.ledger import Budget, Budgets, By, DatedPrice, Own, Period, Used
from palaver.chat.user import Reader, User, UserId


class Ledger(Protocol):
    """Prices, what was used, and what is held back. What a reply of a conversation uses comes in by `Turns`."""

    async def add_price(self, price: DatedPrice) -> bool:
        """False where one begins at that very moment."""
        ...

    async def remove_price(self, model: str, since: Micros) -> bool:
        """False where none begins at that moment."""
        ...

    async def prices(self) -> Sequence[DatedPrice]: ...
    async def some_have_their_own_budget(self) -> bool: ...
    async def reserve_answer(
        self,
        payer_id: UserId,
        app_id: UserId | None,
        speaking: Speaking,
        prompt_tokens: int,
        budgets: Budgets,
        now: Micros,
        until: Micros,
    ) -> int | None:
        """Holds back what an answer may use that is stored nowhere; None where no budget is concerned. Raises
        `OverBudget`."""
        ...

    async def refund_answer(self, reservation: int) -> None: ...
    async def add_usage(
        self,
        user_id: UserId,
        app_id: UserId | None,
        model: str | None,
        usage: Usage,
        now: Micros,
        *,
        billed_as: str,
        reservation: int | None = None,
    ) -> None:
        """Counts an answer that is stored nowhere, in the place of what was held back for it."""
        ...

    async def remove_expired(self, now: Micros) -> None:
        """Forgets what was held back for answers that nobody gave."""
        ...

    async def usage(self, by: By, period: Period, of: User | None = None) -> Sequence[Used]:
        """The sums of these days: of all, or of one user, or of an application with all its users."""
        ...

    async def own_days(self, user: User, period: Period) -> Sequence[tuple[int, Used]]:
        """The sums of these days, by day and model, of the user or the application with all its users."""
        ...

    async def used_in(self, reader: Reader, conversation: str) -> Used:
        """What all replies of the conversation have used, whatever branch they stand in. Raises `NotFound`."""
        ...

    async def own(self, user_id: UserId, usual: Budget, now: Micros, *, is_app: bool) -> Own:
        """What somebody has used, and what is left of their own budget, or else of the usual one."""
        ...
