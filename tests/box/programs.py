"""Runs the step programs of ccterm.box in a box directory, as an executor does, and reads their frames."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ccterm

_PACKAGE = Path(ccterm.__file__).parent
LIMIT = 120.0
_HUMBLE = """
import ctypes, os, sys
for capability in (1, 2, 3):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER
    ctypes.CDLL(None).prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP
os.execv(sys.argv[1], sys.argv[1:])
"""


@dataclass(frozen=True)
class Ended:
    """How a program ended: its frames, its one report, and its stderr."""

    code: int
    frames: list[dict[str, Any]]
    report: dict[str, Any]
    stderr: str

    @property
    def notes(self) -> list[str]:
        """Return the texts of its notes."""
        return [frame["d"] for frame in self.frames if frame["k"] == "note"]


def guest_bundle(directory: Path) -> Path:
    """Make the guest bundle below `directory` from links; return it."""
    lib = directory / "box-lib"
    if not lib.exists():
        (lib / "ccterm").mkdir(parents=True)
        (lib / "ccterm" / "__init__.py").touch()
        for room in ("box", "git"):
            (lib / "ccterm" / room).symlink_to(_PACKAGE / room)
        (lib / "__main__.py").symlink_to(_PACKAGE / "box" / "__main__.py")
    return lib


def start_program(
    program: str,
    request: Mapping[str, object],
    box: Path,
    *,
    env: Mapping[str, str] | None = None,
    humble: bool = False,
    name: str | None = None,
) -> "subprocess.Popen[str]":
    """Start a program in the box directory; its stdin is empty. `humble`: even as root, it has only the rights of an ordinary owner.

    `name`: of the request file, for several at once in one box.
    """
    box.mkdir(parents=True, exist_ok=True)
    lib = guest_bundle(box.parent)
    name = name or f"request-{program}.json"
    (box / name).write_text(json.dumps(request))
    command = [sys.executable, "-I", "-S", str(lib), program, name]
    if humble and sys.platform == "linux":
        command = [sys.executable, "-I", "-c", _HUMBLE, *command]
    kept = {key: value for key, value in os.environ.items() if not key.startswith("CCTERM_")}
    return subprocess.Popen(
        command,
        cwd=box,
        env=kept | dict(env or {}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: "subprocess.Popen[str]", limit: float = LIMIT) -> Ended:
    """Wait for a program and read what it printed."""
    with process:
        try:
            stdout, stderr = process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
    frames = [json.loads(line) for line in stdout.splitlines()]
    reports = [frame["report"] for frame in frames if frame["k"] == "report"]
    assert len(reports) == 1, stderr
    assert frames[-1]["k"] == "end"
    return Ended(process.returncode, frames, reports[0], stderr)


def run_program(
    program: str,
    request: Mapping[str, object],
    box: Path,
    *,
    env: Mapping[str, str] | None = None,
    humble: bool = False,
    limit: float = LIMIT,
) -> Ended:
    """Run a program to its end. It must print exactly one report and an end frame."""
    return finish(start_program(program, request, box, env=env, humble=humble), limit)


def wrap_git(directory: Path, script: str) -> Path:
    """Put a shell script named git into a fresh directory; in it, "$git" is the real one."""
    directory.mkdir()
    real = shutil.which("git")
    path = directory / "git"
    path.write_text(f"#!/bin/sh\ngit={real}\n{script}\n")
    path.chmod(0o755)
    return directory
