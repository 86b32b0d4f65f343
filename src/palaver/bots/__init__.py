"""Who answers: the dummy, OpenAI-compatible servers, and the bots that people install beside them.

`installed.py` is the door: `open_bots()` gives all of them at once, fitting the core's `Bots`.
"""
