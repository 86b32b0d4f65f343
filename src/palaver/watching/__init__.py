"""How a server is watched: numbers, lines of the log, spans. Like logging, every part may use it, and it knows none.

Nothing here is called for each piece of a reply (docs/decisions/0012-own-numbers.md).
"""
