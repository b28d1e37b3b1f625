"""The heap of a process that runs for months."""

import ctypes
import sys

_M_ARENA_MAX = -8  # of glibc's <malloc.h>


def share_one_arena() -> None:
    """Have all threads take their memory from one place. For programs of our own, before their threads begin.

    glibc gives each thread an arena, and what one has freed no other uses: after 20,000 sessions that is 5 MB and more
    (`python -m bench soak`). CPython lets one thread run at a time, so they hardly wait for each other. Source:
    mallopt(3). Where the C library has no such setting, nothing happens.
    """
    if sys.platform == "linux" and (mallopt := getattr(ctypes.CDLL(None), "mallopt", None)):
        mallopt(_M_ARENA_MAX, 1)
