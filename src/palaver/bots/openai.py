"""The bot behind which stand servers with the OpenAI protocol: OpenAI itself, or ones that the operator runs."""

from collections.abc import AsyncGenerator

from palaver.bots.asking import BROKE_OFF, LAST_SECONDS, AskingOptions, Begun, begin_reply
from palaver.bots.catalogue import Catalogue
from palaver.bots.completion import to_completion
from palaver.bots.pool import Pool
from palaver.chat.errors import BotUnavailable
from palaver.chat.pieces import Piece, Prompt
from palaver.watching.numbers import UPSTREAM_FAILURES


class OpenAIBot:
    def __init__(self, pool: Pool, catalogue: Catalogue, options: AskingOptions) -> None:
        self._pool = pool
        self._catalogue = catalogue
        self._options = options

    async def talk(self, prompt: Prompt) -> AsyncGenerator[Piece, None]:
        """Leaving it closes the connection. It ends without `Finished` where the server just stops talking."""
        model = prompt.model or self._catalogue.default_model()
        begun = await begin_reply(self._pool, self._options, to_completion(prompt, model), prompt.request_id)
        answer, stream = begun.answer, begun.stream
        try:
            for piece in begun.pieces:
                yield piece
            while not (begun.over or stream.ended):
                data = await answer.read(LAST_SECONDS if stream.finish_reason else None)
                if not data:
                    break
                for piece in stream.feed(data):
                    yield piece
            if not begun.over:
                for piece in stream.finish():
                    yield piece
            if stream.done:
                await answer.settle()
        finally:
            answer.close()
            begun.place.give_back()
        finished = stream.finished()
        if finished is not None:
            yield finished
        else:
            _give_up(begun, prompt.request_id)


def _give_up(begun: Begun, request_id: str) -> None:
    failure = begun.stream.failure or begun.answer.failure
    server = begun.place.server
    UPSTREAM_FAILURES.of[server.named.name, BROKE_OFF].add()
    server.upstream.log_failure(request_id, failure or "ended its stream without a finish mark")
    if failure is not None:
        raise BotUnavailable
