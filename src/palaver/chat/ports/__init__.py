"""What the core needs of the others, as small protocols. The store, the bus, the bots and the clock fit them."""

from palaver.chat.ports.accounts import Accounts, People, PeopleWanted
from palaver.chat.ports.bots import Bots
from palaver.chat.ports.branches import Branches, Branching, OpenReply, Overview, Silent
from palaver.chat.ports.bus import Bus, Counts, Hear, Standing, Wanted
from palaver.chat.ports.connections import (
    Blocked,
    BotAsked,
    Changed,
    Connection,
    Connections,
    GroupChange,
    InvitedBot,
    Member,
    NewBot,
    NewSaid,
    Seat,
    Spoken,
    StatusWanted,
    Written,
)
from palaver.chat.ports.conversations import ALL_ROLES, Conversations, Hidden, Said, Totals
from palaver.chat.ports.events import Events, Present, ReadMark, Since
from palaver.chat.ports.knowledge import Collections, Documents, Finding, Passages
from palaver.chat.ports.ledger import Ledger
from palaver.chat.ports.memory import Answers, AnswerToKeep, Summaries
from palaver.chat.ports.models import KnownModels
from palaver.chat.ports.operating import KeptServers, UsersLimits
from palaver.chat.ports.presets import Presets
from palaver.chat.ports.search import FoundMessage, Search, Searched
from palaver.chat.ports.store import Store
from palaver.chat.ports.turns import (
    AnotherReply,
    Begun,
    Checkpoint,
    EndedReply,
    Ending,
    NewTurn,
    Renewed,
    TakenBack,
    Turns,
    Unsummarised,
)

__all__ = [
    "ALL_ROLES",
    "Accounts",
    "AnotherReply",
    "AnswerToKeep",
    "Answers",
    "Begun",
    "Blocked",
    "BotAsked",
    "Bots",
    "Branches",
    "Branching",
    "Bus",
    "Changed",
    "Checkpoint",
    "Collections",
    "Connection",
    "Connections",
    "Conversations",
    "Counts",
    "Documents",
    "EndedReply",
    "Ending",
    "Events",
    "Finding",
    "FoundMessage",
    "GroupChange",
    "Hear",
    "Hidden",
    "InvitedBot",
    "KeptServers",
    "KnownModels",
    "Ledger",
    "Member",
    "NewBot",
    "NewSaid",
    "NewTurn",
    "OpenReply",
    "Overview",
    "Passages",
    "People",
    "PeopleWanted",
    "Present",
    "Presets",
    "ReadMark",
    "Renewed",
    "Said",
    "Search",
    "Searched",
    "Seat",
    "Silent",
    "Since",
    "Spoken",
    "Standing",
    "StatusWanted",
    "Store",
    "Summaries",
    "TakenBack",
    "Totals",
    "Turns",
    "Unsummarised",
    "UsersLimits",
    "Wanted",
    "Written",
]
