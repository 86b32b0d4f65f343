"""A bot for Palaver that says back what it hears, word by word."""

import re
from collections.abc import Iterator


class Echo:
    def talk(self, prompt: str) -> Iterator[str | tuple[str, dict[str, object]]]:
        words = re.findall(r"\S+\s*|\s+", prompt)
        yield from words
        yield prompt, {"words": len(words)}
