"""What bots tell of themselves, as far as it can be believed and kept."""

from msgspec.structs import astuple

from palaver.chat.conversation import Usage

# More tokens than any model reads, and longer than any model's name: what is beyond was made up.
MOST_TOKENS = 1 << 30
MOST_NAME = 200


def to_name(name: str) -> str:
    """A name that somebody else made up, as it can be kept."""
    return name.replace("\0", "")[:MOST_NAME]


def to_sound(reported: Usage | None) -> Usage | None:
    """What a bot says it has used, unless it makes no sense."""
    if reported is None or not all(0 <= count <= MOST_TOKENS for count in astuple(reported)):
        return None
    return reported
