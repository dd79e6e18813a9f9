"""Reuse of freed memory by the processes of the command line."""

from __future__ import annotations

import ctypes

# Parameter numbers from malloc.h of glibc.
TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
KEPT = 2**30


def keep_freed_memory() -> None:
    """Keep freed memory in the process instead of returning it to the system, if the C library is glibc.

    Each iteration of a solver frees memory that the next one allocates again. By default glibc returns large
    blocks to the system, and up to a third of the time is spent waiting for new pages. Only the command line
    calls this function; in other programs the environment variables `MALLOC_TRIM_THRESHOLD_` and
    `MALLOC_MMAP_THRESHOLD_` have the same effect.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return  # Another C library, without this setting.
    for setting in (TRIM_THRESHOLD, MMAP_THRESHOLD):
        mallopt(setting, KEPT)
