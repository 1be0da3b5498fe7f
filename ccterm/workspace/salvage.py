"""Work that was not delivered is kept: a directory per run with bundle, patch and a note of what it is."""

import json
import shutil
from pathlib import Path

from ccterm.models import Run
from ccterm.workspace.work import Work

NOTE = "salvage.json"


def keep_work(work: Work, to: Path, run: Run) -> None:
    """Move a commit's files into the salvage directory `to`, which must not exist yet. Raises OSError."""
    to.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    work.directory.rename(to)
    _note(to, run, work.commit)


def keep_tree(to: Path, run: Run) -> None:
    """Note what the tree below the salvage directory `to` is. Raises OSError."""
    _note(to, run, None)


def _note(to: Path, run: Run, commit: str | None) -> None:
    task = run.task
    facts = {"run": run.id, "remote": task.remote, "branch": task.branch, "base": run.base_sha, "commit": commit, "prompt": task.prompt}
    (to / NOTE).write_text(json.dumps(facts, indent=1) + "\n", "utf-8")


def forget(directory: Path) -> None:
    """Remove a salvage directory."""
    shutil.rmtree(directory, ignore_errors=True)
