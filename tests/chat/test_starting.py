"""What a conversation is called that nobody has given a title."""

from msgspec.structs import replace

from palaver.chat.clock import Micros, to_datetime
from palaver.chat.flow import Chat
from palaver.chat.starting import start_with_settings
from palaver.chat.user import User
from tests.chat.talking import HandClock


class HastyClock(HandClock):
    """A minute passes with each look at it."""

    def now(self) -> Micros:
        self.move(60)
        return super().now()


async def test_title_names_the_minute_in_which_it_was_made(chat: Chat, alice: User) -> None:
    made = await start_with_settings(
        replace(chat, clock=HastyClock()),
        alice,
        title=None,
        model=None,
        temperature=None,
        max_tokens=None,
        enable_tools=None,
        system_prompt="",
    )
    assert made.title == to_datetime(made.created_at).strftime("Chat %Y-%m-%d %H:%M")
