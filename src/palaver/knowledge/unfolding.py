"""How much a file may hold that is packed into it, by its size: a small one that unfolds into much was made to.

The bound is chosen, not measured: the XML of Office shrinks to about a tenth, and a small file has room for its styles.
"""

ANY = 8 * 1024 * 1024
TIMES = 30


def may_unfold(size: int) -> int:
    """Bytes out of a file of so many bytes."""
    return ANY + TIMES * size
