"""How much a file may hold that is packed into it, by its size: a small one that unfolds into much was made to.

What people write in Office unfolds into five to fifteen times its size, most of that being XML; a sheet of numbers that
repeat, into twenty.
"""

ANY = 8 * 1024 * 1024
TIMES = 30


def may_unfold(size: int) -> int:
    """Bytes out of a file of so many bytes."""
    return ANY + TIMES * size
