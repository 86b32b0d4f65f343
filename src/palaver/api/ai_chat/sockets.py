"""The ways in to ai_chat's two sockets."""

from collections.abc import Awaitable

from starlette.types import Receive, Send

from palaver.api.ai_chat.list_socket import ListSocket
from palaver.api.ai_chat.session_socket import SessionSocket
from palaver.api.call import Call


def session(call: Call, receive: Receive, send: Send) -> Awaitable[None]:
    return SessionSocket(call, receive, send).run()


def sessions(call: Call, receive: Receive, send: Send) -> Awaitable[None]:
    return ListSocket(call, receive, send).run()
