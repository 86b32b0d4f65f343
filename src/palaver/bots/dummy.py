"""The bot that needs no model: it says the prompt in upper case, so that everything around it can be tried."""

import asyncio
import re
from collections.abc import AsyncGenerator

from palaver.chat.pieces import Finished, Piece, Prompt, Text

_WORD = re.compile(r"\S+\s*|\s+")


class DummyBot:
    async def talk(self, prompt: Prompt) -> AsyncGenerator[Piece, None]:
        # The whole text first: upper case is not a matter of single words everywhere ("ς" looks at what follows).
        for word in _WORD.findall(prompt.message.upper()):
            yield Text(word)
            # A prompt may be 100,000 characters long; others have their turn between its words.
            await asyncio.sleep(0)
        yield Finished(details={"dummy": prompt.message})
