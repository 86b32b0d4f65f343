"""Text that can be kept and sent, whatever a bot makes of Unicode."""


def join_halves(text: str) -> tuple[str, str]:
    """The text with the halves of each character joined and lone ones replaced; and a half at its end, to be joined.

    Servers that cut an emoji between two chunks send one half of it in each, as no encoder of ours would.
    """
    held = text[-1:] if "\ud800" <= text[-1:] <= "\udbff" else ""
    whole = text[:-1] if held else text
    return whole.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace"), held


def without_nul(text: str) -> str:
    """PostgreSQL cannot keep U+0000."""
    return text.replace("\0", "\ufffd") if "\0" in text else text


def to_plain(text: str) -> str:
    """A plain `str` in which nothing stands that could not be kept or sent."""
    plain = str(text)
    if not plain.isascii():
        whole, half = join_halves(plain)
        plain = whole + "\ufffd" * len(half)
    return without_nul(plain)
