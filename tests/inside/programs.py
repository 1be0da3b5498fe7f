"""Runs the step programs of ccterm.inside in a box directory, as an executor does, and reads their frames."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ccterm.inside

_INSIDE = Path(ccterm.inside.__file__).parent
LIMIT = 120.0


@dataclass(frozen=True)
class Ended:
    """How a program ended: its frames, its one report, and what it said on stderr."""

    code: int
    frames: list[dict[str, Any]]
    report: dict[str, Any]
    stderr: str

    @property
    def notes(self) -> list[str]:
        """Return the texts of its notes."""
        return [frame["d"] for frame in self.frames if frame["k"] == "note"]


def box_lib(directory: Path) -> Path:
    """Make what a box has as BOX_LIB below `directory`, out of links; return it."""
    lib = directory / "box-lib"
    if not lib.exists():
        (lib / "ccterm").mkdir(parents=True)
        (lib / "ccterm" / "__init__.py").touch()
        (lib / "ccterm" / "inside").symlink_to(_INSIDE)
        (lib / "__main__.py").symlink_to(_INSIDE / "__main__.py")
    return lib


def start_program(
    program: str, request: Mapping[str, object], box: Path, *, env: Mapping[str, str] | None = None, user: int | None = None
) -> "subprocess.Popen[str]":
    """Start a program in the box directory; its stdin is empty."""
    box.mkdir(parents=True, exist_ok=True)
    lib = box_lib(box.parent)
    name = f"request-{program}.json"
    (box / name).write_text(json.dumps(request))
    command = [sys.executable, "-I", str(lib), program, name]
    kept = {key: value for key, value in os.environ.items() if not key.startswith("CCTERM_")}
    options = {"user": user, "group": user, "extra_groups": []} if user is not None else {}
    return subprocess.Popen(  # type: ignore[call-overload, no-any-return]  # mypy cannot see through the options
        command,
        cwd=box,
        env=kept | dict(env or {}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
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
    user: int | None = None,
    limit: float = LIMIT,
) -> Ended:
    """Run a program to its end. It must print exactly one report and an end frame."""
    return finish(start_program(program, request, box, env=env, user=user), limit)
