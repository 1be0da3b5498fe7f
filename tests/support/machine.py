"""What tests need of the machine that not every machine gives: a small disk, and permissions that bind root too. They skip without."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_disk(at: Path, size: str = "1m") -> Iterator[Path]:
    """Mount a disk of its own that is soon full."""
    at.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "tmpfs", str(at)]
    if not shutil.which("mount") or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small disk needs more rights than there are")
    try:
        yield at
    finally:
        subprocess.run(["umount", str(at)], check=True)


def bound_by_permissions() -> list[str]:
    """Return the words in front of a command that make permissions apply to it, whoever runs the tests."""
    if os.geteuid() != 0:
        return []
    if not shutil.which("setpriv"):
        pytest.skip("root without setpriv is bound by nothing")
    return ["setpriv", "--bounding-set=-all", "--inh-caps=-all"]
