"""The bot behind which stands a server with the OpenAI protocol: OpenAI itself, or one that the operator runs."""

from collections.abc import AsyncGenerator

from palaver.bots.catalogue import Catalogue
from palaver.bots.completion import to_completion
from palaver.bots.stream import CompletionStream
from palaver.bots.upstream import Upstream
from palaver.chat.errors import BotUnavailable
from palaver.chat.pieces import Piece, Prompt
from palaver.watching.numbers import UPSTREAM_FAILURES

# Once the model has finished, its usage and the stream's own end are worth no more waiting than this.
LAST_SECONDS = 1.0


class OpenAIBot:
    def __init__(self, upstream: Upstream, catalogue: Catalogue) -> None:
        self._upstream = upstream
        self._catalogue = catalogue

    async def talk(self, prompt: Prompt) -> AsyncGenerator[Piece, None]:
        """Leaving it closes the connection. It ends without `Finished` where the server just stops talking."""
        model = prompt.model or self._catalogue.default_model()
        answer = await self._upstream.complete(to_completion(prompt, model), prompt.request_id)
        stream = CompletionStream()
        try:
            while not stream.ended:
                data = await answer.read(LAST_SECONDS if stream.finish_reason else None)
                if not data:
                    break
                for piece in stream.feed(data):
                    yield piece
            for piece in stream.finish():
                yield piece
            if stream.done:
                await answer.settle()
        finally:
            answer.close()
        finished = stream.finished()
        if finished is not None:
            yield finished
        else:
            self._give_up(stream.failure or answer.failure, prompt.request_id)

    def _give_up(self, failure: str | None, request_id: str) -> None:
        UPSTREAM_FAILURES.of(self._upstream.shown_url, "broke_off").add()
        self._upstream.log_failure(request_id, failure or "ended its stream without a finish mark")
        if failure is not None:
            raise BotUnavailable
