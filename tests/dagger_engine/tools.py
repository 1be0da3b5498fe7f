"""The stand-in for the Dagger CLI as a program on disk, and what its boxes need of git."""

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

_CLI = Path(__file__).with_name("cli.py")


def require_git_servers() -> None:
    """Skip a test whose boxes reach a git server of this machine: their git is told where by `http.curloptResolve`, new in 2.37."""
    known = subprocess.run(["git", "help", "--config"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False).stdout
    if "http.curloptResolve" not in known:
        pytest.skip("git has no http.curloptResolve, by which boxes of the stand-in engine find a git server of this machine")


def make_cli(directory: Path, *, version: str = "0.21.8", default: str = "", says: str = "", deaf: bool = False) -> Path:
    """Make a program `dagger` in a directory.

    default: the engine that it finds when none is named; "" = there is no Docker. says: the error with which it exits.
    deaf: only SIGKILL ends its sessions.
    """
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "dagger"
    said = f"dagger v{version} (registry.dagger.io/engine:v{version}) linux/amd64"
    start = shlex.join([sys.executable, "-I", "-S", str(_CLI), default, says, "deaf" if deaf else ""])
    path.write_text(f'#!/bin/sh\n[ "$1" != version ] || {{ echo {shlex.quote(said)}; exit; }}\nexec {start} "$@"\n')
    path.chmod(0o755)
    return path
