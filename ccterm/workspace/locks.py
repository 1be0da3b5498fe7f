"""One at a time per working copy: a lock file in the state directory that lives and dies with the process."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ccterm.errors import UsageError
from ccterm.state_dir import StateDir, private_directory, private_file
from ccterm.workspace.repository import repository_id


@contextmanager
def holding(state: StateDir, root: Path) -> Iterator[None]:
    """Hold the lock of a working copy, without waiting. Raises UsageError when another process has it, and StateError."""
    path = private_directory(state.locks) / repository_id(root)
    descriptor = private_file(path)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UsageError(f"another process of ccterm is at {root} just now", "try again in a moment") from error
        yield
    finally:
        os.close(descriptor)
