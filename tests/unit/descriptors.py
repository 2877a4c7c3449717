"""The descriptors that this process has open: which they are, and whether one was closed twice."""

import contextlib
import os


def open_descriptors():
    """Number -> what it is, as `socket:[inode]` or a path, of every open descriptor."""
    found = {}
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):  # the one that listed the folder
            found[int(name)] = os.readlink(f"/proc/self/fd/{name}")
    return found


@contextlib.contextmanager
def strangers(number=8):
    """Open files that take the numbers which are free now; all must be open at the end.

    Who closes a number twice closes one of these.
    """
    made = {os.memfd_create(f"stranger {index}"): index for index in range(number)}
    try:
        yield
        found = open_descriptors()
        for fd, index in made.items():
            assert f"stranger {index}" in found.get(fd, "closed"), "a descriptor was closed twice"
    finally:
        for fd in made:
            with contextlib.suppress(OSError):
                os.close(fd)
