"""A prompt that waits behind a reply is taken back. It is ours, in ai_chat's style."""

from msgspec import Struct

from palaver.api.ai_chat.contract import PREFIX, new_api
from palaver.api.call import Call
from palaver.chat.errors import NotWaiting
from palaver.chat.flow import take_back

api = new_api()


class TakenBack(Struct):
    """The prompt, so that it can be said otherwise."""

    message_id: str
    content: str


@api.add(
    "POST",
    f"{PREFIX}/sessions/{{id}}/messages/{{message_id}}/take_back/",
    answer=TakenBack,
    raises=(NotWaiting,),
    summary="Take back a prompt whose reply waits for its turn",
)
async def take_back_message(call: Call) -> TakenBack:
    prompt = await take_back(call.chat, call.reader, call.parameters["id"], call.parameters["message_id"])
    return TakenBack(prompt.uuid, prompt.content)
