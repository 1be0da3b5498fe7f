"""The switch that keeps pydantic from looking for plugins is set for the command alone: no child inherits it."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.core import ccterm, local, script

SWITCH = "PYDANTIC_DISABLE_PLUGINS"
PROGRAM = f"""
import json, os, subprocess, sys
from ccterm.cli.main import disable_pydantic_plugins, environment, keep_switch_from_children
disable_pydantic_plugins()
os.environ["PYDANTIC_DISABLE_PLUGINS"] = os.environ["PYDANTIC_DISABLE_PLUGINS"]  # as typer does
keep_switch_from_children()
def child(env):
    code = "import os; print(os.environ.get({SWITCH!r}))"
    return subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True).stdout.strip()
print(json.dumps([os.environ[{SWITCH!r}], child(None), child(environment())]))
"""


@pytest.mark.parametrize(
    ("given", "seen"),
    [(None, ["__all__", "None", "None"]), ("logfire", ["logfire", "logfire", "logfire"])],
    ids=["unset", "set by the user"],
)
def test_children_have_the_users_own_value(given: str | None, seen: list[str]) -> None:
    env = {name: value for name, value in os.environ.items() if name != SWITCH} | ({SWITCH: given} if given else {})
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=env, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == seen


def test_the_command_loads_no_plugins(tmp_path: Path) -> None:
    """A plugin that is installed would be imported with the first model."""
    info = tmp_path / "nosy-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: nosy\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[pydantic]\nnosy = nosy:plugin\n")
    (tmp_path / "nosy.py").write_text(f"open({str(tmp_path / 'loaded')!r}, 'w').close()\nplugin = None\n")
    paths = os.pathsep.join([str(tmp_path), str(Path(__file__).parents[2])])
    done = ccterm("runs", env={"PYTHONPATH": paths, "CCTERM_STATE_DIR": str(tmp_path / "state")})
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "loaded").exists()


def test_no_step_and_no_agent_of_a_run_sees_the_switch(state: Path, remote: Path) -> None:
    done = ccterm(
        *local(remote, "x", script({"bash": "env"}, {"write": "n", "text": "n\n"})), "--setup", "env", "--verify", "env", "--json"
    )
    assert done.returncode == 0, done.stderr
    assert "HOME=" in done.stdout
    assert SWITCH not in done.stdout


@pytest.mark.slow
def test_the_users_git_does_not_see_the_switch(state: Path, remote: Path, tmp_path: Path) -> None:
    assert ccterm(*local(remote, "x")).returncode == 0
    git = tmp_path / "bin" / "git"
    git.parent.mkdir()
    git.write_text(f"#!/bin/sh\nenv >> {tmp_path}/seen\nexit 1\n")
    git.chmod(0o755)
    assert ccterm("fetch", "last", cwd=tmp_path, env={"PATH": f"{git.parent}:{os.environ['PATH']}"}).returncode == 2
    seen = (tmp_path / "seen").read_text()
    assert "PATH=" in seen
    assert SWITCH not in seen


SPAWNING = """
import asyncio, os
from ccterm.cli.console import state_dir
from ccterm.cli.main import disable_pydantic_plugins, environment
disable_pydantic_plugins()
from ccterm.daemon.spawn import attached_or_started
from ccterm.service.lock import DaemonLock
async def main():
    async with attached_or_started(state_dir(), environment()):
        holder = DaemonLock(state_dir()).holder()
        with open(f"/proc/{holder.pid}/environ") as file:
            print(holder.pid, file.read().replace(chr(0), " "))
asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_daemon_does_not_inherit_the_switch(state: Path) -> None:
    env = {name: value for name, value in os.environ.items() if name != SWITCH}
    done = subprocess.run([sys.executable, "-c", SPAWNING], env=env, capture_output=True, text=True, check=True)
    pid, inherited = done.stdout.split(" ", 1)
    os.kill(int(pid), signal.SIGTERM)
    assert "CCTERM_STATE_DIR=" in inherited
    assert SWITCH not in inherited
