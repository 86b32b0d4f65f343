"""All that is kept, in one place."""

from typing import Protocol

from palaver.chat.ports.accounts import Accounts
from palaver.chat.ports.branches import Branches
from palaver.chat.ports.conversations import Conversations
from palaver.chat.ports.events import Events
from palaver.chat.ports.ledger import Ledger
from palaver.chat.ports.memory import Answers, Summaries
from palaver.chat.ports.models import KnownModels
from palaver.chat.ports.operating import KeptServers, UsersLimits
from palaver.chat.ports.presets import Presets
from palaver.chat.ports.search import Search
from palaver.chat.ports.turns import Turns


class Store(Protocol):
    @property
    def accounts(self) -> Accounts: ...
    @property
    def conversations(self) -> Conversations: ...
    @property
    def turns(self) -> Turns: ...
    @property
    def branches(self) -> Branches: ...
    @property
    def events(self) -> Events: ...
    @property
    def search(self) -> Search: ...
    @property
    def presets(self) -> Presets: ...
    @property
    def models(self) -> KnownModels: ...
    @property
    def answers(self) -> Answers: ...
    @property
    def summaries(self) -> Summaries: ...
    @property
    def limits(self) -> UsersLimits: ...
    @property
    def servers(self) -> KeptServers: ...
    @property
    def ledger(self) -> Ledger: ...

    async def check(self) -> None:
        """Returns when the store answers; raises `OSError` when it does not."""
        ...

    async def count_waiting(self) -> int:
        """How many replies wait for another one to end, whatever worker makes that."""
        ...
