"""What the bot sees: bounded, and with a front that stays the same from turn to turn."""

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from palaver.bots.completion import encode_completion, to_completion
from palaver.chat.context import (
    MOST_MESSAGES,
    TOKENS_AROUND,
    Seen,
    count_tokens,
    history_budget,
    history_limit,
    reply_share,
    to_seen,
    tokens_of,
)
from palaver.chat.conversation import Conversation, ConversationId, Past, Role, Speaking
from palaver.chat.pieces import Prompt
from palaver.chat.user import UserId
from tests.ports.talking import NOW

ANY_BUDGET = 10**9


def conversation(speaking: Speaking) -> Conversation:
    return Conversation(
        ConversationId(1), "u", UserId(1), None, "chatify", False, "A talk", None, None, "general", speaking, "",
        1, 0, 0, 0, 0, 0, 0, NOW, NOW, None, None,
    )  # fmt: skip


def cost(history: Sequence[Past]) -> int:
    return sum(past.token_count + TOKENS_AROUND for past in history)


class Story:
    """A conversation turn by turn, read as the store reads it."""

    def __init__(self, speaking: Speaking, budget: int = ANY_BUDGET) -> None:
        self.conversation = conversation(speaking)
        self.budget = budget
        self.messages: list[Past] = []
        self.read: list[int] = []
        """How many messages were read, turn by turn."""

    def turn(self, prompt_tokens: int = 10, reply_tokens: int = 10, *, answered: bool = True) -> Seen:
        number = self.conversation.last_number + 1
        newest_first = [past for past in reversed(self.messages) if past.number >= self.conversation.context_from]
        read = newest_first[: history_limit(self.conversation.speaking)]
        self.read.append(len(read))
        seen = to_seen(self.conversation, read, self.budget)
        assert to_seen(self.conversation, read, self.budget, tokens_of(read)) == seen
        self._add(number, "user", prompt_tokens)
        if answered:
            self._add(number + 1, "assistant", reply_tokens)
        self.conversation = replace(self.conversation, context_from=seen.context_from, last_number=number + 1)
        return seen

    def _add(self, number: int, role: Role, tokens: int) -> None:
        self.messages.append(Past(number, role, f"message {number}", tokens))


SIZES = st.tuples(st.integers(0, 120), st.integers(0, 120), st.booleans())
WINDOWS = st.none() | st.integers(0, 12)


@pytest.mark.proof("bots")
@given(window=WINDOWS, slides=st.booleans(), budget=st.integers(0, 600), turns=st.lists(SIZES, max_size=40))
def test_bot_never_sees_more_than_the_window_or_the_budget(
    window: int | None, slides: bool, budget: int, turns: list[tuple[int, int, bool]]
) -> None:
    story = Story(Speaking(window=window, slides=slides and window is not None), budget)
    for prompt, reply, answered in turns:
        history = story.turn(prompt, reply, answered=answered).history
        assert cost(history) <= budget
        assert window is None or len(history) <= window
        # In order, nothing left out in between, up to the message before the new one.
        assert (
            list(history)
            == story.messages[: len(story.messages) - 1 - answered][-len(history) or len(story.messages) :]
        )


@pytest.mark.proof("bots")
@given(window=WINDOWS, budget=st.integers(0, 600), turns=st.lists(SIZES, max_size=40))
def test_front_stays_the_same_until_it_is_cut_and_is_then_cut_to_half(
    window: int | None, budget: int, turns: list[tuple[int, int, bool]]
) -> None:
    story = Story(Speaking(window=window), budget)
    seen = []
    for prompt, reply, answered in turns:
        before = story.conversation.context_from
        now = story.turn(prompt, reply, answered=answered)
        seen.append(now)
        if now.context_from == before:
            continue
        assert now.context_from > before
        assert (
            len(now.history) <= (MOST_MESSAGES if window is None else window) // 2
            or cost(now.history) <= budget // 2
            # The last exchange is seen, also where it is more than half.
            or [past.role for past in now.history] in (["user", "assistant"], ["user"])
        )
        # It goes on with a question, not with an answer to one that is not there.
        assert not now.history or now.history[0].role == "user"
    for earlier, later in pairwise(seen):
        if later.context_from == earlier.context_from:
            assert later.history[: len(earlier.history)] == earlier.history


def front(seen: Seen, summary: str, number: int) -> bytes:
    """What is sent of a turn, up to its new message."""
    prompt = Prompt(
        message="And now?",
        system="Be kind.",
        summary=summary,
        history=seen.history,
        volatile=f"It is turn {number}.",
        cache_key="c",
    )
    sent, volatile, _ = encode_completion(to_completion(prompt, "gpt-4")).partition(b'{"role":"user","content":"It is ')
    assert volatile
    return sent


@pytest.mark.proof("bots")
@given(
    window=WINDOWS,
    talk=st.lists(st.tuples(SIZES, st.integers(200, 900), st.floats(0.5, 3), st.booleans()), max_size=40),
)
def test_what_is_sent_only_grows_from_turn_to_turn_until_the_next_cut_whatever_is_learned_meanwhile(
    window: int | None, talk: list[tuple[tuple[int, int, bool], int, float, bool]]
) -> None:
    story = Story(Speaking(window=window))
    summary = ""
    fronts = []
    for number, ((prompt, reply, answered), context, factor, summarised) in enumerate(talk):
        story.budget = history_budget(context, reply=100, besides=20, factor=factor)
        before = story.conversation.context_from
        seen = story.turn(prompt, reply, answered=answered)
        fronts.append(((seen.context_from, summary), front(seen, summary, number)))
        # What was cut is summarised after the turn that cut, or not at all.
        cut = seen.context_from != before
        summary = {True: f"All before {seen.context_from}.", False: summary}[cut and summarised]
    for (cut_and_told, earlier), (later_cut_and_told, later) in pairwise(fronts):
        assert later.startswith(earlier) or later_cut_and_told != cut_and_told


@pytest.mark.proof("bots")
@given(budget=st.integers(0, 600), turns=st.lists(SIZES, max_size=60))
def test_what_is_read_is_what_fits_and_the_last_turn_however_long_the_history(
    budget: int, turns: list[tuple[int, int, bool]]
) -> None:
    story = Story(Speaking(), budget)
    for prompt, reply, answered in turns:
        story.turn(prompt, reply, answered=answered)
    assert max(story.read, default=0) <= budget // TOKENS_AROUND + 2


@pytest.mark.proof("bots")
@given(turns=st.lists(SIZES, min_size=1, max_size=40), budget=st.integers(0, 300))
def test_cut_front_never_passes_the_message_that_comes(turns: list[tuple[int, int, bool]], budget: int) -> None:
    story = Story(Speaking(), budget)
    for prompt, reply, answered in turns:
        number = story.conversation.last_number + 1
        assert story.turn(prompt, reply, answered=answered).context_from <= number


def test_waiting_messages_behind_a_reply_do_not_move_its_front() -> None:
    # When a reply is promoted, others already wait: the last number is far ahead of what was read.
    waiting = replace(conversation(Speaking(window=1)), last_number=20)
    read = [Past(4, "assistant", "d", 1), Past(3, "user", "c", 1)]
    assert to_seen(waiting, read, ANY_BUDGET) == Seen((), 5)


def test_window_is_cut_in_one_go_and_grows_again() -> None:
    story = Story(Speaking(window=8))
    lengths = [len(story.turn().history) for _ in range(14)]
    assert lengths == [0, 2, 4, 6, 8, 4, 6, 8, 4, 6, 8, 4, 6, 8]


@pytest.mark.parametrize("window", [2, 3])
def test_last_exchange_is_seen_in_the_smallest_windows_too(window: int) -> None:
    story = Story(Speaking(window=window))
    assert [[past.number for past in story.turn().history] for _ in range(5)] == [[], [1, 2], [3, 4], [5, 6], [7, 8]]


def test_window_of_one_holds_no_exchange() -> None:
    story = Story(Speaking(window=1))
    assert [len(story.turn().history) for _ in range(5)] == [0, 0, 0, 0, 0]


def test_conversation_without_a_window_is_cut_in_one_go_too() -> None:
    story = Story(Speaking())
    lengths = [len(story.turn(0, 0).history) for _ in range(MOST_MESSAGES)]
    assert max(lengths) == MOST_MESSAGES
    assert lengths[MOST_MESSAGES // 2 :][:3] == [MOST_MESSAGES, MOST_MESSAGES // 2, MOST_MESSAGES // 2 + 2]


def test_general_slides_over_exactly_the_last_ten() -> None:
    story = Story(Speaking(window=10, slides=True))
    for turn in range(20):
        history = story.turn().history
        assert [past.number for past in history] == list(range(max(1, 2 * turn - 9), 2 * turn + 1))
    assert story.conversation.context_from == 0


def test_budget_is_cut_to_half_in_one_go() -> None:
    story = Story(Speaking(), budget=(10 + TOKENS_AROUND) * 10)
    lengths = [len(story.turn().history) for _ in range(10)]
    assert lengths == [0, 2, 4, 6, 8, 10, 4, 6, 8, 10]


def test_last_exchange_is_seen_where_half_the_budget_is_too_little_for_it() -> None:
    story = Story(Speaking(), budget=(10 + TOKENS_AROUND) * 3)
    assert [[past.number for past in story.turn().history] for _ in range(5)] == [[], [1, 2], [3, 4], [5, 6], [7, 8]]


def test_message_longer_than_the_budget_leaves_nothing_before_it_and_the_next_is_seen_again() -> None:
    story = Story(Speaking(), budget=50)
    story.turn(10, 1000)
    assert story.turn(5, 5).history == ()
    assert [past.number for past in story.turn(5, 5).history] == [3, 4]


@pytest.mark.parametrize(
    ("speaking", "limit"),
    [
        (Speaking(), MOST_MESSAGES + 1),
        (Speaking(window=0), 1),
        (Speaking(window=20), 21),
        (Speaking(window=10, slides=True), 10),
    ],
)
def test_no_more_is_read_than_shows_whether_to_cut(speaking: Speaking, limit: int) -> None:
    assert history_limit(speaking) == limit


# Budgets


@pytest.mark.proof("bots")
@given(context=st.integers(1, 10**7), wanted=st.integers(0, 10**7))
def test_half_of_the_context_is_left_for_what_was_said_however_long_a_reply_may_be(context: int, wanted: int) -> None:
    assert reply_share(context, wanted) <= wanted
    assert history_budget(context, reply=reply_share(context, wanted), besides=0, factor=1) >= context // 2


def test_history_gets_what_reply_and_the_rest_of_the_prompt_leave() -> None:
    assert history_budget(8192, reply=1024, besides=168, factor=1) == 7000
    # The model makes more tokens of what is counted here.
    assert history_budget(8192, reply=1024, besides=168, factor=1.25) == 5566
    assert history_budget(8192, reply=1024, besides=9000, factor=1) == 0


def test_budget_of_a_conversation_is_meant_in_the_models_tokens() -> None:
    assert history_budget(8192, reply=1024, besides=168, factor=1.25, most=1000) == 800
    assert history_budget(8192, reply=1024, besides=168, factor=1, most=10**6) == 7000


# Tokens


@pytest.mark.parametrize(
    ("text", "tokens"),
    [("", 1), ("abcd", 2), ("a" * 400, 101), ("日本語", 4), ("äöü", 2), ("👋", 2)],
)
def test_tokens_are_estimated(text: str, tokens: int) -> None:
    assert count_tokens(text) == tokens


@pytest.mark.proof("bots")
@given(first=st.text(), second=st.text())
def test_longer_text_never_costs_fewer_tokens(first: str, second: str) -> None:
    whole = count_tokens(first + second)
    assert whole >= max(count_tokens(first), count_tokens(second)) >= 1
    assert whole <= count_tokens(first) + count_tokens(second)
