"""Memory that a program of its own keeps for its next iteration."""

from __future__ import annotations

import ctypes

# The numbers of glibc's malloc.h.
TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
KEPT = 2**30


def keep_freed_memory() -> None:
    """Do not give memory back to the system between iterations, where the C library can be told so.

    Each iteration of a solver frees what the next one asks for again. By default glibc returns large pieces
    to the system, and up to a third of the time goes into waiting for fresh pages. For processes of our own;
    in a user's program the environment variables `MALLOC_TRIM_THRESHOLD_` and `MALLOC_MMAP_THRESHOLD_` do
    the same.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return  # Another C library, which has no such setting.
    for setting in (TRIM_THRESHOLD, MMAP_THRESHOLD):
        mallopt(setting, KEPT)
