"""The step in which the agent works, as a value: its launch line, what its supervisor enforces, and how it reaches the network."""

import shlex
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

from pydantic import JsonValue

from ccterm.agents.base import Command
from ccterm.agents.shell_agent import SOCKET
from ccterm.executors.base import Artifact, Step
from ccterm.models import ExecutionMode, Task
from ccterm.pipeline.context import AgentLaunch, CommandEnvironment, CommitOptions
from ccterm.pipeline.step_network import GATEWAY_SOCKET, git_reads, is_closed, network_request
from ccterm.pipeline.step_specs import (
    CONTROL,
    GRACE,
    GUARDED,
    GUARDED_LEFT,
    GUARDED_OUT,
    HOME,
    MARK,
    SESSION,
    TREE,
    commit_request,
)
from ccterm.values import Limits

HOLD_TIMEOUT = timedelta(minutes=15)
"""How long an agent that is held waits for input."""
SHELL_TIMEOUT = timedelta(days=1)
"""How long a shell in place of an agent may stay open, used or not."""


def _repository(task: Task) -> JsonValue:
    """Return what the agent settings of the repository may do, and what the user does to change that."""
    if task.execution_mode is ExecutionMode.DAGGER and task.remote_key:
        hint = f'set claude_settings = true in [repo."{task.remote_key}"]'
    elif task.repo.startswith("/") and task.repo != task.remote:
        hint = f"run ccterm trust {shlex.quote(task.repo)}"
    else:
        hint = "run ccterm trust in a working copy and start the run from there"
    return {"obeyed": task.obeyed_settings, "hint": hint}


class CommitSource(NamedTuple):
    """What commits are made from in the agent's box: checkpoints, and the last one. clean: holds the base; body: trailers of their messages."""

    clean: Artifact
    options: CommitOptions
    base: str | None
    body: str
    seconds: float
    left: Artifact | None = None
    """What setup left."""


def _commits(task: Task, source: CommitSource) -> dict[str, JsonValue]:
    places: dict[str, JsonValue] = {"clean": GUARDED, "out": GUARDED_OUT, "left": GUARDED_LEFT if source.left else None}
    request = commit_request(task, source.options, base=source.base, body=source.body) | places
    return {"checkpoint": {"commit": request, "seconds": source.seconds}, "commit": None if task.terminal else request}


def agent(
    task: Task,
    launch: AgentLaunch,
    tree: Artifact,
    environment: CommandEnvironment,
    *,
    home: Artifact | None = None,
    commits: CommitSource | None = None,
    last_use: bool,
) -> Step:
    """Start the agent under its supervisor. home: what its private HOME holds from the start. commits: None = none are made in its box."""
    command = launch.command
    return Step(
        name="agent",
        program="supervise",
        request={
            **_supervised(task, command, environment, commits),
            **network_request(environment.egress, environment.services, launch.run_pass, git_reads(task, launch.gateway)),
        },
        inputs={TREE: tree, **({HOME: home} if home else {}), **_guarded(commits)},
        last_use=frozenset({HOME, TREE} if last_use else {HOME}),
        outputs=(TREE, SESSION, *((GUARDED_OUT,) if commits else ()), *((GUARDED,) if commits and task.verify else ())),
        secrets={**environment.secrets_for("agent"), **command.secrets},
        sockets=_sockets(task, launch),
        reaches=launch.reaches,
        services=environment.services,
        closed_network=is_closed(environment.egress),
        image="agent",
        timeout=timedelta(seconds=_limits(task).wall_seconds) + 2 * HOLD_TIMEOUT + GRACE,
    )


def _sockets(task: Task, launch: AgentLaunch) -> dict[str, Path]:
    sockets = {GATEWAY_SOCKET: launch.run_pass.socket} if launch.run_pass else {}
    return sockets | ({SOCKET: Path(task.terminal.socket)} if task.terminal else {})


def _limits(task: Task) -> Limits:
    if task.terminal is None:
        return task.limits
    return Limits(wall_seconds=SHELL_TIMEOUT.total_seconds(), silence_seconds=SHELL_TIMEOUT.total_seconds())


def _supervised(task: Task, command: Command, environment: CommandEnvironment, commits: CommitSource | None) -> dict[str, JsonValue]:
    return {
        "argv": list(command.argv),
        "cwd": TREE,
        "env": {**environment.env, **command.env},
        "home": HOME if command.private_home else None,
        "prompt": task.prompt,
        "hold": task.hold,
        "hold_seconds": HOLD_TIMEOUT.total_seconds(),
        "wall_seconds": _limits(task).wall_seconds,
        "silence_seconds": _limits(task).silence_seconds,
        "mark": MARK,
        "control": CONTROL,
        "user": None,
        "branch": task.branch,
        "keep": [{"glob": keep["glob"], "to": keep["to"]} for keep in command.keep],
        "repository": _repository(task) if command.reads_repository else None,
        **(_commits(task, commits) if commits else {}),
    }


def _guarded(commits: CommitSource | None) -> dict[str, Artifact]:
    if commits is None:
        return {}
    return {GUARDED: commits.clean, **({GUARDED_LEFT: commits.left} if commits.left else {})}
