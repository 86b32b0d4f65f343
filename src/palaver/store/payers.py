"""Who pays for a reply: a person, and the application whose user that is."""

from collections.abc import Sequence
from functools import lru_cache

from msgspec import Struct

from palaver.chat.ledger import NO_BUDGET, Budget
from palaver.chat.limit import LimitOf
from palaver.chat.user import UserId


class Payer(Struct, frozen=True):
    """Whose spending is looked at: a person's, or that of an application with all its users. And what they may use."""

    scope: str
    id: int
    of: LimitOf
    budget: Budget = NO_BUDGET


# The same at each turn of somebody.
@lru_cache(maxsize=4000)
def payers_of(
    user_id: UserId, app_id: UserId | None, of_user: Budget = NO_BUDGET, of_app: Budget = NO_BUDGET
) -> Sequence[Payer]:
    user = Payer(f"user:{user_id}", user_id, "user", of_user)
    if app_id is None:
        return (user,)
    app = Payer(f"app:{app_id}", app_id, "app", of_app)
    # What an application says itself, and not for a user of its own, is the application's alone.
    return (app,) if user_id == app_id else (user, app)


# The same at each turn of somebody.
@lru_cache(maxsize=4000)
def payers_within(user_id: UserId, app_id: UserId | None, of_user: Budget, of_app: Budget) -> Sequence[Payer]:
    """Those of them who have a budget."""
    return tuple([payer for payer in payers_of(user_id, app_id, of_user, of_app) if payer.budget.is_set])
