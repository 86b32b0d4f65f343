"""The core that operations are called over where a server of its own would be too far away."""

from tests.chat.conftest import alice, bot, chat, clock, conversation, hub, start_chat, store

__all__ = ["alice", "bot", "chat", "clock", "conversation", "hub", "start_chat", "store"]
