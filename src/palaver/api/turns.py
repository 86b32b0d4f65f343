"""What every API that takes a message reads alike."""

from palaver.api.fields import Choice, Text
from palaver.chat.conversation import WhenBusy

CLIENT_ID = Text(at_least=1, at_most=100)
WHEN_BUSY: Choice[WhenBusy] = Choice("queue", "reject", "interrupt")
