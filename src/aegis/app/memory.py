"""How a process that has everything loaded keeps its memory: what stays is set aside, what loading took is given back."""

from __future__ import annotations

import ctypes
import gc
from contextlib import suppress
from typing import Final

GARBAGE: Final = 10_000
"""Objects more than were freed since, before the collector looks: some hundred calls under way have a few thousand."""
OLDER: Final = (2, 2)
"""With what was loaded set aside a whole look is short; ten of ten would be a million objects of connections long gone."""


def settle() -> None:
    """Once everything is loaded, it stays: the collector need not look through it again and again, and what loading took
    beside it goes back to the system.
    """
    gc.collect()
    gc.freeze()
    gc.collect()  # counts the old ones anew: a whole look waits until a quarter as many have grown old
    gc.set_threshold(GARBAGE, *OLDER)
    _give_back()


def _give_back() -> None:
    """Some 3 MB that glibc would keep for ever: it trims by itself only at the upper end of its main arena."""
    with suppress(OSError, TypeError, AttributeError):  # another C library
        ctypes.CDLL(None).malloc_trim(0)
