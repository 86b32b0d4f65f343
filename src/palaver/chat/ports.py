"""What the core needs of the others, as small protocols. The store, the bots and the clock fit them."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Literal, Protocol

from msgspec import Struct

from palaver.chat.clock import Micros
from palaver.chat.conversation import (
    Conversation,
    ConversationChange,
    ConversationId,
    End,
    Marks,
    Message,
    MessageId,
    NewConversation,
    Past,
    PresetId,
    Role,
    Speaking,
    TextId,
    Turn,
    Usage,
    WhenBusy,
)
from palaver.chat.cursor import Mark
from palaver.chat.errors import RateLimited
from palaver.chat.ledger import Budget, Budgets, By, DatedPrice, Own, Period, Used
from palaver.chat.limit import OwnLimits
from palaver.chat.model import KnownModel, ModelChange, ModelId, ModelNews, ModelSync, OfferedModel
from palaver.chat.pieces import Bot, KnownAnswer
from palaver.chat.preset import NewPreset, Preset, PresetChange, PresetVersion, Rules, RulesChange, VersionListed
from palaver.chat.server import NamedServer, ServerChange, ServerState, ServerTrial
from palaver.chat.user import Profile, ProfileChange, Reader, Token, TokenId, TokenKind, User, UserChange, UserId


class PeopleWanted(Struct, frozen=True):
    """`search` is a part of a name, an e-mail or a full name; `after` the name behind which to go on."""

    search: str = ""
    after: str = ""
    limit: int = 50


class People(Struct, frozen=True):
    """Some of those that were wanted, by name, and how many there are in all."""

    users: Sequence[User]
    total: int


class Accounts(Protocol):
    """Users and their tokens. Only hashes of secrets are kept."""

    async def add_user(self, user: User, *, password_hash: str | None = None) -> User:
        """The user with its id. A guest that is there already is given as it is.

        Raises `Taken` where name, e-mail or the application's name for it are in use.
        """
        ...

    async def find_user(self, name: str) -> tuple[User, str | None] | None:
        """The person of that name or e-mail, compared without case, with the hash of the password."""
        ...

    async def find_person(self, name: str) -> User | None:
        """The person of that name, compared without case. Of an e-mail nobody knows whose it is: it finds who is called
        by it alone."""
        ...

    async def get_user(self, user_id: UserId) -> User | None: ...
    async def get_users(self, user_ids: Collection[UserId]) -> Mapping[UserId, User]: ...
    async def get_user_by_uuid(self, uuid: str) -> User | None: ...
    async def find_app(self, name: str) -> User | None: ...
    async def app_user(self, app: User, name: str, uuid: str, now: Micros) -> User:
        """The application's own user of that name, made at first mention."""
        ...

    async def list_users(self) -> Sequence[User]: ...
    async def find_people(self, wanted: PeopleWanted) -> People:
        """Raises nothing: where nobody is meant, there are none."""
        ...

    async def list_apps(self) -> Sequence[User]: ...
    async def set_disabled(self, user_id: UserId, at: Micros | None) -> None: ...
    async def change_user(self, user_id: UserId, change: UserChange, now: Micros) -> User:
        """Raises `NotFound`, and `LastAdmin` where no admin would be left who can sign in."""
        ...

    async def set_password(self, user_id: UserId, password_hash: str) -> None: ...
    async def profile(self, user_id: UserId) -> Profile | None: ...
    async def change_profile(self, user_id: UserId, change: ProfileChange) -> None:
        """Whose name is the e-mail is called by the new one. Raises `Taken`."""
        ...

    async def password_hash(self, user_id: UserId) -> str | None: ...
    async def change_password(self, user_id: UserId, password_hash: str, keep: TokenId | None, now: Micros) -> None:
        """Ends what was signed in by then: sessions, links and tokens without a name, all but the one to keep."""
        ...

    async def erase_user(self, user_id: UserId, now: Micros, *, keep_an_admin: bool = False) -> Sequence[MessageId]:
        """Removes the user with all that is theirs. Gives the replies that ran.

        With `keep_an_admin` it raises `LastAdmin` where no admin would be left who can sign in.
        """
        ...

    async def add_token(
        self,
        user_id: UserId,
        kind: TokenKind,
        digest: bytes,
        label: str,
        now: Micros,
        expires_at: Micros | None,
        *,
        most: int | None = None,
    ) -> TokenId:
        """Raises `TooManyTokens` where the user has `most` tokens with a name that are open."""
        ...

    async def add_sign_in(
        self,
        user_id: UserId,
        kind: TokenKind,
        digest: bytes,
        now: Micros,
        expires_at: Micros | None,
        *,
        password_hash: str,
    ) -> bool:
        """As `add_token`, for who has shown the password of that hash. False, and nothing is added, where it is not the
        user's any more, or the user is disabled: a change of the password ends what began before it, too."""
        ...

    async def find_token(self, digest: bytes) -> tuple[Token, User] | None: ...
    async def spend_link(self, digest: bytes, now: Micros) -> User | None:
        """The user of a sign-in link that is unused and not expired; it is used up by this. Else None."""
        ...

    async def list_tokens(self, user_id: UserId) -> Sequence[Token]: ...
    async def revoke_token(self, token_id: TokenId, now: Micros) -> bool: ...
    async def revoke_own_token(self, user_id: UserId, token_id: TokenId, now: Micros) -> bool:
        """False where the user has no such token that is open."""
        ...

    async def revoke_all(self, user_id: UserId, now: Micros) -> None: ...
    async def access_changes(self) -> str:
        """Another word whenever a token was revoked or a user disabled, enabled or erased, by whatever process."""
        ...

    async def still_open(
        self, tokens: Collection[TokenId], users: Collection[UserId]
    ) -> tuple[Collection[TokenId], Collection[UserId]]:
        """Of these those that are not revoked, and those that are there and not disabled, with their application."""
        ...

    async def touch_tokens(self, used: Sequence[tuple[TokenId, Micros]]) -> None: ...
    async def remove_closed_tokens(self, closed_before: Micros) -> int:
        """Removes tokens that expired or were revoked before then, so many at a time. Tells how many."""
        ...

    async def remove_empty_guests(self, made_before: Micros) -> int:
        """Removes guests that own nothing, so many at a time. Tells how many."""
        ...

    async def server_secret(self) -> bytes:
        """A random secret of this installation, made at its first use."""
        ...


class NewTurn(Struct, frozen=True):
    """A person's message on its way in.

    Either `conversation` (its UUID) or `new` says where. `edits` is the person's own earlier message of which this is
    another wording; what followed that one leaves the view.
    """

    reader: Reader
    text: str
    token_count: int
    now: Micros
    worker: str
    lease_until: Micros
    when_busy: WhenBusy
    conversation: str | None = None
    new: NewConversation | None = None
    client_message_id: str | None = None
    edits: str | None = None
    budgets: Budgets | None = None
    refusal: RateLimited | None = None
    """Raised where its reply would start at once; one that waits takes the place of another one."""


class AnotherReply(Struct, frozen=True):
    """A reply that is to be made once more, beside the one that is there: `reply` (its UUID), or the last one."""

    reader: Reader
    conversation: str
    reply: str | None
    now: Micros
    worker: str
    lease_until: Micros
    when_busy: WhenBusy
    budgets: Budgets | None = None
    refusal: RateLimited | None = None
    """As `NewTurn.refusal`."""


class Begun(Struct, frozen=True):
    """What became of a message on its way in.

    `started`: the reply is this worker's to make; `history` (newest first) and `system_prompt` come with it.
    `queued`: another reply runs before it. `known`: said before, and the reply is as `turn.reply` tells.
    `interrupts` is the running reply that has been asked to stop for this one, `dropped` what waited and is not
    answered any more, `replaces` the message in whose place the new one stands.
    """

    turn: Turn
    state: Literal["started", "queued", "known"]
    history: Sequence[Past] = ()
    system_prompt: str = ""
    exchanges: int = 0
    interrupts: MessageId | None = None
    dropped: Sequence[MessageId] = ()
    replaces: str | None = None
    mark: Mark = Mark(0, 0, 0)
    """The conversation once this was written."""
    summary: str = ""
    """Of what was said before `history`."""
    is_reserved: bool = False
    """Of a reply to be made: budgets concern who pays for it, and it must use no more than was held back."""


class Unsummarised(Struct, frozen=True):
    """What has left the bot's view, to be summarised by whoever got this, until `lease_until`: `summary`, which there
    was before, and `past`, newest first, which came after that and stands before the number `up_to`."""

    conversation_id: ConversationId
    up_to: int
    lease_until: Micros
    summary: str
    past: Sequence[Past]


class Ending(Struct, frozen=True):
    """How a reply ended. It is written only if the reply is still `worker`'s attempt, and its lease is older than
    `expired_before` where that is given."""

    conversation_id: ConversationId
    owner_id: UserId
    reply_id: MessageId
    attempt: int
    worker: str
    now: Micros
    end: End
    reason: str
    text: str
    token_count: int
    context_from: int
    model: str | None = None
    usage: Usage | None = None
    cached: bool = False
    details: str | None = None
    checkpointed: bool = True
    expired_before: Micros | None = None
    promote_to: str | None = None
    lease_until: Micros = Micros(0)
    conversation: str = ""
    """Its UUID, of a reply that was left behind."""
    billed_as: str = ""
    """By whose price: the model's, by the name it was asked for, or the bot's."""
    provider: str | None = None
    """Who was to answer, where the conversation says so: of a reply that was left behind."""

    @property
    def counts(self) -> bool:
        """Whether the turn is an exchange: an answer was given."""
        return bool(self.text) and self.end in ("complete", "stopped")


class EndedReply(Struct, frozen=True):
    """`done` is False where the reply was no longer this worker's. `next` is what it has to answer now."""

    done: bool
    exchanges: int = 0
    exchange: int | None = None
    next: Begun | None = None
    mark: Mark = Mark(0, 0, 0)
    """The conversation once this was written, and before `next` was."""


class Checkpoint(Struct, frozen=True):
    reply_id: MessageId
    attempt: int
    position: int
    text: str


class Renewed(Struct, frozen=True):
    """The replies that are still this worker's, and of these the ones that somebody asked to stop."""

    held: frozenset[MessageId]
    stop: frozenset[MessageId]


class ReadMark(Struct, frozen=True):
    """How far somebody has read, and the number of the event that told so."""

    user: str
    message_uuid: str
    event: int


class Present(Struct, frozen=True):
    """A conversation as somebody finds it who comes in: `reply` runs there, made by `worker`, and `kept` is what the
    checkpoints have of it."""

    conversation: Conversation
    mark: Mark
    reply: Message | None = None
    worker: str | None = None
    kept: str = ""


class Since(Struct, frozen=True):
    """What came after a moment: messages that were said, started or ended since, by number, and read marks.

    `beside`: of replies by their numbers the ones beside which they were made. Where the moment is none of this story
    (of another revision, of the future), and where it is too much to be told again, `known` is false, and there is only
    `present`.
    """

    present: Present
    messages: Sequence[Message] = ()
    reads: Sequence[ReadMark] = ()
    beside: Mapping[int, str] = {}
    known: bool = True


class TakenBack(Struct, frozen=True):
    """`prompt` as it was, and the conversation once it was taken back."""

    owner_id: UserId
    prompt: Message
    reply_id: MessageId
    mark: Mark


class Branching(Struct, frozen=True):
    """A place in the branch that is shown at which there are others: `messages`, by number, all follow `parent`."""

    parent: str | None
    in_view: str | None
    messages: Sequence[str]


class OpenReply(Struct, frozen=True):
    reply: str
    prompt: str
    running: bool
    """Else it waits for its turn."""


class Overview(Struct, frozen=True):
    branchings: Sequence[Branching]
    open_replies: Sequence[OpenReply]


class Turns(Protocol):
    """The journey of a message in the store. Every method is one transaction, synced when it returns."""

    async def begin(self, turn: NewTurn) -> Begun:
        """Commits the message with its reply to come.

        Raises `NotFound`, `Ended`, `Busy`, `Conflict`, `OverBudget` or the turn's `refusal`, with nothing changed.
        """
        ...

    async def begin_another(self, asked: AnotherReply) -> Begun:
        """Commits a reply to come beside one that is there. Raises `NotFound`, `Ended`, `Busy`, `OverBudget` or the
        `refusal`, with nothing changed."""
        ...

    async def finish(self, ending: Ending) -> EndedReply: ...
    async def checkpoint(
        self, worker: str, lease_until: Micros, held: Sequence[tuple[MessageId, int]], written: Sequence[Checkpoint]
    ) -> Renewed:
        """Keeps what is new of all running replies (`held`: with their attempts) and renews their leases."""
        ...

    async def ask_to_stop(self, reply_id: MessageId) -> str | None:
        """Gives the worker that makes it, if it runs."""
        ...

    async def abandoned(self, now: Micros, expired_before: Micros) -> Sequence[Ending]:
        """How the replies end whose leases expired: with the text that was kept. `finish` carries it out."""
        ...

    async def promote_waiting(self, worker: str, now: Micros, lease_until: Micros) -> Sequence[Begun]:
        """Starts what waits in conversations where nothing runs."""
        ...

    async def get(self, reply_id: MessageId) -> Begun | None:
        """The reply as it is now, as a `known` turn."""
        ...

    async def open_reply(self, conversation_id: ConversationId) -> Begun | None:
        """The reply that runs there, else the first that waits, as a `known` turn."""
        ...

    async def take_back(self, reader: Reader, conversation: str, message: str, now: Micros) -> TakenBack:
        """The message, or the reply to it, waits for its turn: as if it had never been said. One that was answered
        before stays; only the further answer is not given. Raises `NotFound` and `NotWaiting`."""
        ...

    async def reply_at(self, conversation_id: ConversationId, number: int) -> Begun | None:
        """The reply of that number there, as a `known` turn."""
        ...


class Branches(Protocol):
    """The tree of a conversation's messages: what is in view of it."""

    async def show(self, reader: Reader, conversation: str, message: str, now: Micros) -> tuple[UserId, Mark] | None:
        """Brings the branch into view in which the message stands; gives whose conversation it is, or None where the
        branch was in view already. Raises `NotFound`, and `Busy` while a reply runs."""
        ...

    async def siblings(self, reader: Reader, conversation: str, message: str) -> Sequence[Message]:
        """The message with all others that follow the same one, by number. Raises `NotFound`."""
        ...

    async def overview(self, reader: Reader, conversation: str) -> Overview:
        """Where the branch in view has others beside it, and which replies are to come. Raises `NotFound`."""
        ...


class Events(Protocol):
    """What was told in a conversation, read from what is kept of it."""

    async def present(self, reader: Reader | None, conversation: str) -> Present:
        """As `reader` finds it, or, for the server's own ends, as it is. Raises `NotFound`."""
        ...

    async def since(self, reader: Reader | None, conversation: str, mark: Mark) -> Since:
        """As `present`, and what came after that moment, in the same look. Raises `NotFound`."""
        ...

    async def unread(self, reader: Reader, conversation: str) -> int:
        """How many replies the reader has not read; beyond a thousand it counts no further. Raises `NotFound`."""
        ...

    async def read_up_to(self, reader: Reader, conversation: str, message: str, now: Micros) -> Mark | None:
        """None where the reader had read further already. Raises `NotFound`."""
        ...


class Said(Struct, frozen=True):
    """A message, and the text of the reply to it; empty where there is none yet."""

    uuid: str
    prompt: str
    answer: str
    created_at: Micros


class Hidden(Struct, frozen=True):
    """Of a conversation that is not to be found any more: whose it is, and the replies that run or waited in it."""

    owner_id: UserId
    replies: Sequence[MessageId]


class Totals(Struct, frozen=True):
    """What a reader has in all: conversations, messages, the model of most conversations, the newest message's time."""

    conversations: int
    messages: int
    favorite: tuple[str, int] | None
    last_message_at: Micros | None


# Whose messages a list holds where nothing else is asked.
ALL_ROLES: tuple[Role, ...] = ("user", "assistant", "system", "tool")


class Conversations(Protocol):
    """Reading and changing conversations. What the reader may not touch is not found, in the same query."""

    async def access(self, reader: Reader, conversation: str | ConversationId) -> Conversation:
        """Raises `NotFound`."""
        ...

    async def by_name(self, reader: Reader, name: str) -> Conversation | None:
        """The conversation of that UUID if the reader may open it, else the one the reader gave that name."""
        ...

    async def recent_turns(self, reader: Reader, conversation: Conversation | None, limit: int) -> Sequence[Said]:
        """The reader's newest turns, newest first: of one conversation, or of all."""
        ...

    async def create(self, new: NewConversation, now: Micros) -> Conversation: ...
    async def list(self, reader: Reader, *, limit: int | None, offset: int) -> Sequence[Conversation]: ...
    async def in_list(
        self, reader: Reader, *, archived: bool, limit: int, offset: int
    ) -> tuple[Sequence[Conversation], int]:
        """The reader's own that are put away, or those that are not, and how many there are: pinned ones first, the one
        that was pinned last on top, then those in which something happened last."""
        ...

    async def mark(self, reader: Reader, uuid: str, marks: Marks, now: Micros) -> Conversation:
        """Nothing else of it changes. Raises `NotFound`."""
        ...

    async def count(self, reader: Reader) -> int:
        """How many there are in the whole list."""
        ...

    async def messages(
        self, conversation: Conversation, *, limit: int | None, offset: int, roles: Sequence[Role] = ALL_ROLES
    ) -> Sequence[Message]:
        """The branch in view, oldest first, without what is queued or running and replies without text; each with the
        one listed before it as its parent. Of all roles there are `message_count`."""
        ...

    async def newest(self, conversation: Conversation, limit: int) -> tuple[Sequence[Message], bool]:
        """The last of these messages, oldest first, and whether there are more before them."""
        ...

    async def totals(self, reader: Reader, default_model: str) -> Totals:
        """Of the reader's own; `default_model` is that of conversations which name none."""
        ...

    async def text(self, text_id: TextId) -> str: ...
    async def change(self, reader: Reader, uuid: str, change: ConversationChange, now: Micros) -> Conversation: ...
    async def delete(self, reader: Reader, uuid: str, now: Micros, *, keep: bool = False) -> Hidden:
        """Hides it at once; `keep`: for good, and it is never purged."""
        ...

    async def end(self, reader: Reader, uuid: str, now: Micros) -> tuple[Conversation, Sequence[MessageId]]:
        """Ends it for good. Gives it, and the replies that waited in it. Raises `Ended` if it had ended before."""
        ...

    async def active(self) -> Sequence[str]: ...
    async def end_idle(self, before: Micros, now: Micros) -> Sequence[UserId]:
        """Ends those that were silent since before then. Gives the owner of each."""
        ...

    async def purge(self, deleted_before: Micros) -> int: ...
    async def remove_left_texts(self, left_before: Micros) -> int:
        """Removes system prompts that were replaced before then and that no conversation has. Tells how many it has
        looked at."""
        ...


class FoundMessage(Struct, frozen=True):
    """`in_view` is false where it stands in a branch that is not shown just now."""

    conversation: str
    title: str
    archived: bool
    uuid: str
    role: Role
    in_view: bool
    created_at: Micros
    snippet: str


class Searched(Struct, frozen=True):
    """`is_whole` is false where some of what is there has not been read yet, and could not be found. It is being read:
    soon all of it can be."""

    titled: Sequence[Conversation] = ()
    messages: Sequence[FoundMessage] = ()
    has_more: bool = False
    is_whole: bool = True


class Search(Protocol):
    """Words in conversations. Who is asked about any text answers; none is an error."""

    async def find(self, reader: Reader, text: str, *, limit: int, offset: int) -> Searched:
        """The reader's own messages that hold all these words, or words that begin with them, newest first, and for the
        first page conversations with such titles, those in which something happened last first."""
        ...


class Presets(Protocol):
    async def visible(self, reader: Reader) -> Sequence[Preset]:
        """The public ones, the reader's own, and those that are shared with the reader; all for an admin."""
        ...

    async def access(self, reader: Reader, preset: PresetId | str) -> Preset:
        """By its number or its name id, if it is among the visible ones. Raises `NotFound`."""
        ...

    async def get(self, preset_id: PresetId) -> Preset | None: ...
    async def find(self, slug: str) -> Preset | None: ...
    async def add(self, owner: User, new: NewPreset, now: Micros, *, refuse_taken: Reader | None) -> Preset:
        """Raises `Taken("name")` where the maker has one of that name, and `Taken("id")` where `refuse_taken`
        is given and sees a preset with the same name id."""
        ...

    async def change(
        self, preset_id: PresetId, change: PresetChange, now: Micros, *, by: UserId | None = None
    ) -> Preset:
        """Keeps what it was as a version, where anything of it is another now. Raises `NotFound` or `Taken`."""
        ...

    async def delete(self, preset_id: PresetId, now: Micros) -> None: ...
    async def versions(self, preset_id: PresetId, *, limit: int | None, offset: int) -> Sequence[VersionListed]:
        """What it is and what it was, newest first."""
        ...

    async def version(self, preset_id: PresetId, number: int) -> PresetVersion:
        """Raises `NotFound`."""
        ...

    async def shared_with(self, preset_id: PresetId) -> Sequence[str]:
        """The names of those with whom it is shared, in their order."""
        ...

    async def count_shares(self) -> Mapping[PresetId, int]:
        """With how many people each is shared; those that are shared with nobody are left out."""
        ...

    async def share(self, preset_id: PresetId, names: Sequence[str]) -> Sequence[str]:
        """Shares it with these people and no others; gives the names as `shared_with` does. Raises `Invalid` where one
        is nobody's, and then nothing has changed; and `NotFound`."""
        ...

    async def rules(self) -> Rules: ...
    async def change_rules(self, change: RulesChange, now: Micros) -> Rules: ...


class KnownModels(Protocol):
    """The models that were ever offered here."""

    async def list(self) -> Sequence[KnownModel]: ...
    async def get(self, model_id: ModelId) -> KnownModel | None: ...
    async def news(self) -> ModelNews:
        """The name of the default, while it is available, the lengths that were set, and whether servers were changed:
        in one cheap look."""
        ...

    async def change(self, model_id: ModelId, change: ModelChange, now: Micros) -> KnownModel:
        """Raises `NotFound`."""
        ...

    async def sync(self, sync: ModelSync) -> None:
        """Adds what is new, marks what is gone, and leaves what people have said of the models as it is."""
        ...


class AnswerToKeep(Struct, frozen=True):
    """An answer on its way into the store, under the digest of its question."""

    digest: bytes
    user_id: UserId
    conversation_id: ConversationId
    answer: KnownAnswer
    expires_at: Micros


class Answers(Protocol):
    """Answers that may be given again to who got them. They go with the conversation that they come from."""

    async def find(self, user_id: UserId, digest: bytes, now: Micros) -> KnownAnswer | None: ...
    async def keep(self, kept: AnswerToKeep, most: int) -> None:
        """In place of the one that is there; the oldest go where there are more than `most`. Nothing is kept of a
        conversation that is gone."""
        ...

    async def remove_expired(self, now: Micros) -> int:
        """Removes those whose time is over, so many at a time. Tells how many."""
        ...


class Summaries(Protocol):
    """Of what a bot no longer sees. One is made by one at a time, whatever the worker."""

    async def claim(
        self, conversation_id: ConversationId, up_to: int, now: Micros, until: Micros
    ) -> Unsummarised | None:
        """What is to be summarised; None where it is, where somebody is at it, or where the cut is elsewhere by now."""
        ...

    async def keep(self, cut: Unsummarised, summary: str) -> bool:
        """Whether it was kept: not where another branch is in view by now."""
        ...

    async def give_up(self, cut: Unsummarised) -> None:
        """Somebody else may make it at once."""
        ...


class UsersLimits(Protocol):
    """What persons and applications may do in place of what the settings say for all."""

    async def changes(self) -> str:
        """Another word whenever one of them was changed, by whatever process."""
        ...

    async def all(self) -> Mapping[UserId, OwnLimits]: ...
    async def get(self, user_id: UserId) -> OwnLimits: ...
    async def put(self, user_id: UserId, limits: OwnLimits) -> None: ...


class KeptServers(Protocol):
    """The LLM servers that admins have added, by name. Every change of them is `ModelNews`."""

    async def list(self) -> Sequence[NamedServer]: ...
    async def add(self, server: NamedServer, now: Micros) -> None:
        """Raises `Taken`."""
        ...

    async def change(self, name: str, change: ServerChange, now: Micros) -> None:
        """Raises `NotFound`."""
        ...

    async def remove(self, name: str) -> None:
        """Raises `NotFound`."""
        ...


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

    async def own(self, user_id: UserId, usual: Budget, now: Micros, *, is_app: bool) -> Own:
        """What somebody has used, and what is left of their own budget, or else of the usual one."""
        ...


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


# What was published, or None: something may have been missed, and the store knows what.
Hear = Callable[[bytes | None], None]


class Bus(Protocol):
    """How other workers hear at once of what happened here. It may lose what it carries and never holds the only copy
    of anything: who listens is told when there may be a gap, and looks into the store."""

    @property
    def alone(self) -> bool:
        """There are no other workers; nothing need be published."""
        ...

    def publish(self, channel: str, data: bytes) -> None:
        """Sends it to all other workers that listen there, soon and in order. Never waits; while the bus is away it is
        dropped."""
        ...

    async def subscribe(self, channel: str, hear: Hear) -> None:
        """From its return on `hear` is called with all that others publish there. Where the bus is away it returns
        within a second or so all the same.

        Whenever something may have been missed, and about once a second while the bus is away, it is called with None.
        A channel is subscribed to once in a worker.
        """
        ...

    def unsubscribe(self, channel: str) -> None: ...
    async def count(self, channel: str) -> int:
        """How many workers listen there, this one included; those of this worker alone while the bus is away."""
        ...


class Wanted(Struct, frozen=True):
    """One of the `most` that may be had of `key` within `seconds`. With 0 seconds, at one moment: then `holder` has it
    until it is given back."""

    key: str
    most: int
    seconds: float = 0
    holder: str = ""


class Standing(Struct, frozen=True):
    """How it stands once it was asked for: `wait` is 0 where it was had, else the seconds after which it is worth
    asking again. `left` is how many more may be had now, `reset` the seconds until there are more."""

    wait: float
    left: int
    reset: float


class Counts(Protocol):
    """What is limited, counted for all workers together, or for this one alone while what joins them is away."""

    async def take(self, wanted: Sequence[Wanted]) -> Sequence[Standing]:
        """All of them or, where one cannot be had, none. Never raises, and takes no longer than a moment."""
        ...

    async def look(self, wanted: Wanted) -> Standing:
        """As it would stand if it were asked for now; nothing is had."""
        ...

    def give_back(self, wanted: Sequence[Wanted]) -> None:
        """What is held for one moment is free again; what was had last within a time is as if it had not been.

        What a worker that died held comes free by itself.
        """
        ...

    def forget(self, key: str) -> None:
        """All that was had of it within a time is as if it had not been."""
        ...


class Bots(Protocol):
    """Who can answer here, and with which models."""

    def known(self, provider: str) -> bool: ...
    async def default_provider(self) -> str: ...
    def bot(self, provider: str) -> Bot:
        """Raises `BotUnavailable` for one that is no longer installed."""
        ...

    def knows_model(self, name: str) -> bool: ...
    def model_for_turn(self, wanted: str | None) -> str | None:
        """The wanted model if it is offered just now, else the server's default."""
        ...

    def context_length(self, model: str | None, usual: int) -> int:
        """How many tokens the model takes, question and answer together; `usual` where neither an admin nor its server
        tells."""
        ...

    def default_model(self) -> str | None: ...
    def prefer_model(self, name: str | None) -> None:
        """From now on it is the default where the operator's own choice is not offered."""
        ...

    def use_lengths(self, lengths: Mapping[str, int]) -> None:
        """From now on these are what the models of these names take, whatever their servers tell."""
        ...

    def offered(self) -> Sequence[str]: ...
    def models(self) -> Sequence[OfferedModel] | None:
        """What the LLM servers offer together, by name; None where none has told yet."""
        ...

    def models_are_whole(self) -> bool:
        """Every LLM server has told: what is not among the models is offered nowhere."""
        ...

    async def refresh_models(self) -> Sequence[OfferedModel]:
        """Asks all servers now. Raises `BotUnavailable` where none tells, and then nothing has changed."""
        ...

    async def is_healthy(self) -> bool:
        """An LLM server answers, and within five seconds."""
        ...

    async def use_servers(self, servers: Sequence[NamedServer]) -> None:
        """From now on these are the ones that admins have added; replies that others make go on to their end."""
        ...

    def servers(self) -> Sequence[ServerState]:
        """All LLM servers, whoever has named them, as they are just now."""
        ...

    async def try_server(self, name: str) -> ServerTrial:
        """Asks the server of that name for its models, for some seconds. Raises `NotFound` where there is none."""
        ...

    @property
    def server_url(self) -> str | None:
        """Where the first LLM server is, without secrets."""
        ...
