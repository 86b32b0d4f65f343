"""The ways in to ai_chat's two sockets."""

from starlette.types import Receive, Send

from palaver.api.ai_chat.list_socket import ListSocket
from palaver.api.ai_chat.session_socket import SessionSocket
from palaver.api.call import Call
from palaver.api.socket import JsonSocket, accept


async def session(call: Call, receive: Receive, send: Send) -> None:
    await _serve(call, receive, send, SessionSocket)


async def sessions(call: Call, receive: Receive, send: Send) -> None:
    await _serve(call, receive, send, ListSocket)


async def _serve(call: Call, receive: Receive, send: Send, socket: type[JsonSocket]) -> None:
    await receive()
    caller = await accept(call, send)
    if caller is not None:
        await socket(call, receive, send).run(caller)
