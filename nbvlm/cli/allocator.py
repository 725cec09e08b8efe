"""How a process that serves others gives memory back to the system."""

from __future__ import annotations

import contextlib
import ctypes

__all__ = ["give_memory_back"]

_TRIM, _MMAP = -1, -3  # M_TRIM_THRESHOLD and M_MMAP_THRESHOLD of malloc.h
_BLOCK = 1024 * 1024  # bytes: a body or a picture of this size gets its own block
_KEPT = 16 * 1024 * 1024  # bytes at the end of a heap that are kept for the next answer


def give_memory_back() -> None:
    """Let large blocks go back to the system as soon as they are free; without effect where glibc is missing.

    After the first large block is freed, glibc would take blocks of up to 32 MB out of its heaps, one for
    several threads each, where pieces that are free stay with the process.
    """
    with contextlib.suppress(OSError, AttributeError, TypeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_MMAP, _BLOCK)
        mallopt(_TRIM, _KEPT)
