"""Numbers of things in words, for whoever reads them: one is one thing, and none and more are things."""

from __future__ import annotations


def counted(number: int, one: str, many: str = "") -> str:
    """A number and what there are so many of.

    Args:
        number: how many.
        one: what one of them is called.
        many: what several are; `one` with an s where it is not said.

    >>> counted(1, "lead"), counted(1200, "lead"), counted(0, "failed try", "failed tries")
    ('1 lead', '1,200 leads', '0 failed tries')
    """
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"
