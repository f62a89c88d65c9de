"""Exclusive locks on open files.

The operating system releases a lock when its file is closed or its process ends, even by a crash.
"""

from __future__ import annotations

import sys

if sys.platform == "win32":
    import msvcrt

    def _lock(handle: int, *, wait: bool) -> None:
        msvcrt.locking(handle, msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)

else:
    try:
        import fcntl
    except ImportError:  # a platform without it, such as WebAssembly, has only one process
        fcntl = None  # type: ignore[assignment]  # not called by the function below in that case

    def _lock(handle: int, *, wait: bool) -> None:
        if fcntl is not None:
            fcntl.flock(handle, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)


def lock_file(handle: int, *, wait: bool) -> bool:
    """Lock an open file for this process.

    Args:
        handle: descriptor of the file, open for writing.
        wait: wait until another process releases it, instead of returning False.

    Returns:
        Whether this process holds the lock.
    """
    while True:
        try:
            _lock(handle, wait=wait)
        except (BlockingIOError, PermissionError):  # EACCES on Windows
            if not wait:
                return False
        except OSError as error:
            # Windows gives up after ten attempts of one second each
            if not (wait and sys.platform == "win32" and error.errno == 36):
                raise
        else:
            return True
