"""Telling the C library of Linux what to do with freed memory; nothing happens on other systems."""

import contextlib
import ctypes

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # malloc.h: M_TRIM_THRESHOLD, M_MMAP_THRESHOLD


def keep_memory() -> None:
    """From now on this process keeps the memory that it frees.

    A network allocates and frees its feature maps many times a second. If the system hands out each anew, and clears it, that is a
    tenth of the time of a clip.
    """
    with contextlib.suppress(OSError, AttributeError):
        library = ctypes.CDLL("libc.so.6")
        for option, most in ((_MMAP_THRESHOLD, 2**30), (_TRIM_THRESHOLD, 2**29)):
            library.mallopt(option, most)


def release_memory() -> None:
    """Memory that was freed goes back to the system."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)
