"""How many tokens a text would be, and which of them a provider's prompt cache would have had."""

from hashlib import blake2b

import msgspec

_BYTES_PER_TOKEN = 4
# A provider reuses a prompt's front in steps of 128 tokens, from 1,024 on.
_BLOCK_BYTES = 128 * _BYTES_PER_TOKEN
_LEAST_BLOCKS = 8


class CachedTokens(msgspec.Struct, frozen=True):
    cached_tokens: int


class Usage(msgspec.Struct, frozen=True, omit_defaults=True):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: CachedTokens | None = None


def count_tokens(data: bytes) -> int:
    """A quarter of the bytes, rounded up."""
    return -(-len(data) // _BYTES_PER_TOKEN)


class PromptCache:
    """Remembers the fronts of prompts, model by model; forgets the oldest when full."""

    def __init__(self, limit: int = 200_000) -> None:
        self._limit = limit
        self._seen: dict[bytes, None] = {}

    def access_cached_tokens(self, model: str, prompt: bytes) -> int:
        """How many tokens of the front were seen before. All of this prompt counts as seen from now on."""
        fronts = _fronts(model, prompt)
        known = next((i for i, front in enumerate(fronts) if front not in self._seen), len(fronts))
        for front in fronts:
            self._seen.pop(front, None)
            self._seen[front] = None
        while len(self._seen) > self._limit:
            del self._seen[next(iter(self._seen))]
        return known * _BLOCK_BYTES // _BYTES_PER_TOKEN if known >= _LEAST_BLOCKS else 0


def _fronts(model: str, prompt: bytes) -> list[bytes]:
    """A digest of each front of the prompt, a block longer each."""
    digest = blake2b(model.encode(), digest_size=16)
    fronts = []
    for start in range(0, len(prompt) - _BLOCK_BYTES + 1, _BLOCK_BYTES):
        digest.update(prompt[start : start + _BLOCK_BYTES])
        fronts.append(digest.copy().digest())
    return fronts
