"""What every API that takes a message reads and answers alike."""

from palaver.api.call import Call
from palaver.api.fields import Choice, FieldProblem, Invalid, Text
from palaver.chat.conversation import WhenBusy
from palaver.chat.flow import wait_for_answer
from palaver.chat.ports import Begun
from palaver.chat.running import Outcome

CLIENT_ID = Text(at_least=1, at_most=100)
WHEN_BUSY: Choice[WhenBusy] = Choice("queue", "reject", "interrupt")


def check_length(call: Call, field: str, *texts: str) -> None:
    """The one limit on messages that holds in every API, beside each one's own. Raises `Invalid`."""
    most = call.site.max_message
    if most and any(len(said) > most for said in texts):
        raise Invalid([FieldProblem(field, "string_too_long", {"at_most": most})], "body")


async def answered(call: Call, begun: Begun) -> Outcome:
    """As `wait_for_answer`. What is answered to this call tells in a header where the reply is one given again."""
    outcome = await wait_for_answer(call.chat, begun)
    call.given_again = outcome.turn.reply.cached
    return outcome
