"""What tests need and not every machine offers: a small disk, and permissions that bind root. Tests are skipped without them."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_TMPFS_REQUIRED = os.environ.get("CCTERM_REQUIRE_TMPFS") == "1"


@contextmanager
def small_disk(at: Path, size: str = "1m") -> Iterator[Path]:
    """Mount a small file system, which is soon full, at a new directory. Where that is forbidden the test is skipped, or fails if it is required."""
    at.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "tmpfs", str(at)]
    if not shutil.which("mount") or subprocess.run(command, capture_output=True, check=False).returncode:
        reason = "mounting a small disk needs more privileges"
        if _TMPFS_REQUIRED:
            pytest.fail(f"a small disk is required: {reason}", pytrace=False)
        pytest.skip(reason)
    try:
        yield at
    finally:
        subprocess.run(["umount", str(at)], check=True)


def bound_by_permissions() -> list[str]:
    """Return a command prefix that makes permissions apply even when root runs the tests."""
    if os.geteuid() != 0:
        return []
    if not shutil.which("setpriv"):
        pytest.skip("without setpriv, no permission binds root")
    return ["setpriv", "--bounding-set=-all", "--inh-caps=-all"]
