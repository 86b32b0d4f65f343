"""How what happened reaches somebody who is not here: Web Push, FCM, mail, and an application's webhook.

`open_channels` is the way in; what the channels promise stands at `Channels` in `chat/ports/notify.py`. `guard.py` is
the only HTTP client with which addresses are called that people have given.
"""
