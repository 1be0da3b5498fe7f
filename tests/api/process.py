"""`ccterm serve` as a process of its own, and curl to ask it."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ccterm.service.lock import DaemonLock
from ccterm.state_dir import StateDir
from tests.support.core import ccterm, start
from tests.support.daemons import end_daemon
from tests.support.waiting import wait_until


@dataclass(frozen=True)
class Serving:
    """A server that answers."""

    port: int
    token: str
    process: "subprocess.Popen[str]"
    state: StateDir

    @property
    def origin(self) -> str:
        return f"http://localhost:{self.port}"

    def curl(self, *words: str) -> dict[str, Any]:
        """Run curl with the token's header and return the JSON that it prints."""
        curl = shutil.which("curl")
        if curl is None:
            pytest.skip("curl is not installed")
        command = [curl, "-sS", "-H", f"Authorization: Bearer {self.token}", *words]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def daemon(self) -> int:
        """Return the process that carries runs out."""
        lock = DaemonLock(self.state)
        wait_until(lambda: lock.holder() is not None)
        holder = lock.holder()
        assert holder
        return holder.pid


@contextmanager
def serving(state: Path, repos: Sequence[Path | str], *flags: str, cwd: Path | None = None) -> Iterator[Serving]:
    """Serve repositories on a free port while the block lasts."""
    named = [word for repo in repos for word in ("--repo", str(repo))]
    process = start("serve", "--port", "0", *named, *flags, cwd=cwd, env={"CCTERM_STATE_DIR": str(state)})
    assert process.stderr is not None
    try:
        first = process.stderr.readline()
        found = re.search(r"localhost:(\d+)", first)
        assert found, first + process.stderr.read()
        token = ccterm("token", env={"CCTERM_STATE_DIR": str(state)}).stdout.strip()
        yield Serving(int(found[1]), token, process, StateDir(state))
    finally:
        process.terminate()
        process.communicate()
        end_daemon(StateDir(state))
