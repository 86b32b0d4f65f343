"""What the core needs of the others, as small protocols. The store, the bus, the bots and the clock fit them."""

from palaver.chat.ports.accounts import Accounts, People, PeopleWanted
from palaver.chat.ports.bots import Bots
from palaver.chat.ports.branches import Branches, Branching, OpenReply, Overview, Silent
from palaver.chat.ports.bus import Bus, Counts, Hear, Standing, Wanted
from palaver.chat.ports.conversations import ALL_ROLES, Conversations, Hidden, Said, Totals
from palaver.chat.ports.events import Events, Present, ReadMark, Since
from palaver.chat.ports.knowledge import Collections, Documents, Finding, Passages
from palaver.chat.ports.ledger import Ledger
from palaver.chat.ports.memory import Answers, AnswerToKeep, Summaries
from palaver.chat.ports.models import KnownModels
from palaver.chat.ports.notify import (
    ChannelKind,
    Channels,
    FcmTarget,
    Gone,
    Later,
    MailTarget,
    Notice,
    NoticeKind,
    Outcome,
    Refused,
    Sent,
    Target,
    WebhookTarget,
    WebPushTarget,
)
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
    "Bots",
    "Branches",
    "Branching",
    "Bus",
    "ChannelKind",
    "Channels",
    "Checkpoint",
    "Collections",
    "Conversations",
    "Counts",
    "Documents",
    "EndedReply",
    "Ending",
    "Events",
    "FcmTarget",
    "Finding",
    "FoundMessage",
    "Gone",
    "Hear",
    "Hidden",
    "KeptServers",
    "KnownModels",
    "Later",
    "Ledger",
    "MailTarget",
    "NewTurn",
    "Notice",
    "NoticeKind",
    "OpenReply",
    "Outcome",
    "Overview",
    "Passages",
    "People",
    "PeopleWanted",
    "Present",
    "Presets",
    "ReadMark",
    "Refused",
    "Renewed",
    "Said",
    "Search",
    "Searched",
    "Sent",
    "Silent",
    "Since",
    "Standing",
    "Store",
    "Summaries",
    "TakenBack",
    "Target",
    "Totals",
    "Turns",
    "Unsummarised",
    "UsersLimits",
    "Wanted",
    "WebPushTarget",
    "WebhookTarget",
]
