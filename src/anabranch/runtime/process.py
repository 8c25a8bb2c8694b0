"""What a process does once it has everything it lives with."""

from __future__ import annotations

import gc

_YOUNG, _MIDDLE, _OLD = 500_000, 20, 100
"""Allocations, and collections of the younger generation, between two collections."""


def settle() -> None:
    """Take what is there out of the garbage collector's way, and make it look less often.

    Modules, specs and plans live as long as the process; a batch makes some thousand records that
    all die together without cycles. The defaults walk them again and again: a tenth of the CPU.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, _MIDDLE, _OLD)
