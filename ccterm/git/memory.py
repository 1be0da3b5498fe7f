"""Bounds the memory of programs that work on what others wrote. Only Linux can: elsewhere they have the bounds on time and output alone."""

import errno
import os
import resource
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache

_LEAST = 2 << 30
_LIMITED = 'ulimit -d "$0" 2>/dev/null; exec "$@"'


@cache
def most_memory() -> int:
    """Return how many bytes one program may take: half of the machine's memory, at least 2 GiB."""
    with suppress(OSError, ValueError):
        return max(_LEAST, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2)
    return _LEAST


def limit_memory(pid: int = 0) -> None:
    """Bound the memory of a process, by default this one, and of those that it starts from then on. A lower bound stays."""
    soft, _ = resource.getrlimit(resource.RLIMIT_DATA)
    if hasattr(resource, "prlimit") and not 0 <= soft <= most_memory():
        with suppress(OSError, ValueError):  # it has ended already
            resource.prlimit(pid, resource.RLIMIT_DATA, (most_memory(), most_memory()))


def with_memory(argv: Sequence[str | bytes], env: Mapping[str, str], memory: int) -> list[str | bytes]:
    """Return a command line that runs another within so many bytes of memory, from its first moment on: helpers start early.

    Raises FileNotFoundError when there is no such program.
    """
    program = os.fsdecode(argv[0])
    if not any(os.access(os.path.join(place, program), os.X_OK) for place in env.get("PATH", os.defpath).split(os.pathsep)):
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), program)
    return ["/bin/sh", "-c", _LIMITED, str(memory >> 10), *argv]
