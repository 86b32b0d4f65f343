"""By which API somebody asks, for whatever is begun because of it: tasks take it with them."""

from contextvars import ContextVar

# What the server itself goes on with, because it had waited, was asked for by nobody in particular.
NOBODY = "other"

asked_by: ContextVar[str] = ContextVar("asked_by", default=NOBODY)
