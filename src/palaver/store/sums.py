"""What SQLite's one writer remembers of those with a budget: what they have spent, and what is held back for them.

A sum is found in the database once; from then on triggers tell of all that changes it (store/sqlite_spending.py). What
is undone there is forgotten here.
"""

from msgspec import Struct

# Of so many people, and of as many applications: all are forgotten where one more comes.
MOST = 100_000


class Sum(Struct):
    """Of one who pays, as of that `day`, in the month that begins with the day `month`."""

    day: int
    month: int
    tokens_today: int
    tokens_this_month: int
    money_this_month: int
    held_tokens: int
    held_money: int


class Besides(Struct, frozen=True):
    """The mark of the prices, and whether anything is held back for answers that are stored nowhere."""

    mark: str | None
    for_answers: bool


class Sums:
    """For the writer's thread alone. A sum that is not there is not known."""

    __slots__ = ("apps", "besides", "has_changed", "is_told", "people")

    def __init__(self) -> None:
        self.people: dict[int, Sum] = {}
        self.apps: dict[int, Sum] = {}
        """With all that their users use and have held back."""
        self.besides: Besides | None = None
        self.is_told = False
        """Whether the triggers are there."""
        self.has_changed = False
        """Since it was last set to False, which whoever may have to `undo` does first."""

    def forget(self) -> None:
        """Others have written."""
        self.people.clear()
        self.apps.clear()
        self.besides = None

    def undo(self) -> None:
        """What was told is undone, and with it the triggers if they were made then."""
        self.forget()
        self.is_told = False

    # What the triggers tell. 0 and None are nobody.

    def hold(self, person: int, app: int | None, tokens: int, money: int) -> None:
        """So much more is held back for them."""
        self.has_changed = True
        for sum_ in (self.people.get(person), self.apps.get(app or 0)):
            if sum_ is not None:
                sum_.held_tokens += tokens
                sum_.held_money += money

    def spend(self, person: int, app: int, day: int, tokens: int, money: int) -> None:
        """They have spent so much more on that day."""
        self.has_changed = True
        for sum_ in (self.people.get(person), self.apps.get(app)):
            if sum_ is not None and day >= sum_.month:
                sum_.tokens_this_month += tokens
                sum_.money_this_month += money
                if day == sum_.day:
                    sum_.tokens_today += tokens

    def look_again(self) -> None:
        """What is `besides` may be another by now."""
        self.has_changed = True
        self.besides = None
