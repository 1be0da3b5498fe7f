"""The whole core in a test: drafts for scripted agents, and the command line in another process or in this one."""

import gc
import io
import json
import logging
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import chdir, redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

from ccterm.cli.main import SWITCH, main
from ccterm.draft import Draft
from ccterm.models import ExecutionMode

Action = Mapping[str, object]


def script(*actions: Action) -> str:
    """Return the prompt that makes the scripted agent do these things."""
    return json.dumps({"script": list(actions)})


EDIT = script({"say": "I'll add a file."}, {"write": "new.txt", "text": "new\n"}, {"say": "Added new.txt."})
"""A task that adds one file."""


def draft(repo: Path | str, branch: str | None = "agent/x", task: str = EDIT, **fields: object) -> Draft:
    """Return a draft for the scripted agent on the local executor."""
    given = {"prompt": task, "repo": str(repo), "branch": branch, "agent": "scripted", "execution_mode": ExecutionMode.LOCAL, **fields}
    return Draft.model_validate(given)


def start(*args: str, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> "subprocess.Popen[str]":
    """Start the command line; stdout and stderr are pipes."""
    return subprocess.Popen(
        [sys.executable, "-m", "ccterm", *args],
        cwd=cwd,
        env={**os.environ, **(env or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ccterm(
    *args: str, cwd: Path | None = None, env: Mapping[str, str] | None = None, timeout: float = 300.0, stdin: str | None = None
) -> "subprocess.CompletedProcess[str]":
    """Run the command line to its end."""
    return subprocess.run(
        [sys.executable, "-m", "ccterm", *args],
        cwd=cwd,
        env={**os.environ, **(env or {})},
        input=stdin if stdin is not None else "",
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def ccterm_here(
    *args: str, cwd: Path | None = None, stdin: str = "", monkeypatch: pytest.MonkeyPatch
) -> "subprocess.CompletedProcess[str]":
    """Run the command line to its end in this process, which saves half a second: where another process would prove nothing more."""
    streams = [io.BytesIO(), io.BytesIO()]
    stdout, stderr = (io.TextIOWrapper(stream, "utf-8", write_through=True) for stream in streams)
    progress = logging.getLogger("ccterm.progress")
    monkeypatch.setattr(sys, "argv", ["ccterm", *args])
    monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
    monkeypatch.setenv(SWITCH, "")
    monkeypatch.delenv(SWITCH)  # `main` sets it: by these two lines only until the test ends
    for logger in (logging.getLogger(), progress):
        monkeypatch.setattr(logger, "handlers", [])
    monkeypatch.setattr(progress, "propagate", True)
    try:
        with chdir(cwd or Path.cwd()), redirect_stdout(stdout), redirect_stderr(stderr), pytest.raises(SystemExit) as ended:
            main()
    finally:
        gc.unfreeze()
        gc.enable()
    assert isinstance(ended.value.code, int)
    return subprocess.CompletedProcess(args, ended.value.code, *(stream.getvalue().decode() for stream in streams))


def documents(stdout: str) -> list[dict[str, object]]:
    """Return the run documents at the end of a stream of JSON lines."""
    lines = [json.loads(line) for line in stdout.splitlines()]
    return [line for line in lines if line["kind"] == "run"]


def local(repo: Path | str, branch: str, task: str = EDIT) -> Sequence[str]:
    """Return the flags and the task of `ccterm run` for the scripted agent."""
    return ("run", task, "--repo", str(repo), "--branch", branch, "--mode", "local", "--agent", "scripted")
