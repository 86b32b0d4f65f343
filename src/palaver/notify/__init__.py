"""How what happened reaches somebody who is not here: Web Push, FCM, mail, and an application's webhook.

`open_channels` is the way in; what the channels promise stands at `Channels` in `chat/ports/notify.py`. `guard.py` is
the only HTTP client with which addresses are called that people have given.
"""

from palaver.notify.keys import new_vapid_key, new_webhook_secret
from palaver.notify.opened import BadNotifyOptions, open_channels
from palaver.notify.options import MailOptions, NotifyOptions

__all__ = [
    "BadNotifyOptions",
    "MailOptions",
    "NotifyOptions",
    "new_vapid_key",
    "new_webhook_secret",
    "open_channels",
]
