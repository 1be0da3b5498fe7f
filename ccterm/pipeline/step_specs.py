"""The steps of a run as values: from a task and what earlier steps reported, to what an executor is asked to do."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from pydantic import JsonValue, SecretStr

from ccterm.agents.base import Command
from ccterm.executors.base import Artifact, ServiceContainer, Step
from ccterm.git.types import GIT_HEADER
from ccterm.models import RunId, Task
from ccterm.output.sanitise import sanitise

CLEAN, TREE, HOME, OUT, SESSION, MIRROR, CONTROL = "clean.git", "work", "home", "out", "session", "mirror", "control.sock"
INCLUDE = "include"
LAID = "laid"
"""A tree with the new commit laid over it. A name of its own: what a dead owner left of it must not be taken for the agent's tree."""
NEUTRAL = "work"
"""Branch of a checked-out tree until its agent starts: so one checkout, and one setup on top of it, serve all branches from one base."""
MARK = "ccterm-box"
"""By which a box's processes are found where its executor gives no better one; equal in every request, or none could be answered again."""
GIT_STEP_TIMEOUT = timedelta(minutes=30)
SETUP_TIMEOUT = timedelta(minutes=30)
GRACE = timedelta(minutes=2)
"""How much longer than its own limits a supervised step may take before its executor kills it."""
MAX_FILE_BYTES = 50 * 1024 * 1024
MAX_TOTAL_BYTES = 200 * 1024 * 1024


@dataclass(frozen=True)
class Access:
    """How the steps that talk to the remote reach it: address, credential, certificates. One run's, never an agent's."""

    url: str
    """As seen from inside a box."""
    mirror_key: str
    """Name of the mirror that is kept between runs; "" = none, as for a path, which is as near as a mirror would be."""
    header: SecretStr | None = None
    ca: str | None = None
    ssh_agent: Path | None = None
    known_hosts: str | None = None
    reaches: Sequence[tuple[str, int]] = ()

    @property
    def request(self) -> dict[str, JsonValue]:
        """The fields that every request to the remote begins with."""
        ssh: JsonValue = None
        if self.known_hosts is not None:
            ssh = {"agent": "ssh-agent.sock" if self.ssh_agent else None, "known_hosts": self.known_hosts}
        return {"remote": self.url, "ca": self.ca, "ssh": ssh}

    @property
    def secrets(self) -> dict[str, SecretStr]:
        """The credential, by environment name."""
        return {GIT_HEADER: self.header} if self.header else {}

    @property
    def sockets(self) -> dict[str, Path]:
        """The sockets of the host that the step may use."""
        return {"ssh-agent.sock": self.ssh_agent} if self.ssh_agent else {}


@dataclass(frozen=True)
class Surroundings:
    """What the settings give to the steps that run the user's or the agent's commands."""

    env: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, Mapping[str, SecretStr]] = field(default_factory=dict)
    """Step name -> environment name -> value."""
    services: Sequence[ServiceContainer] = ()
    """Fresh helpers beside agent and verify."""

    def secrets_for(self, step: str) -> dict[str, SecretStr]:
        """Return the user's secrets for one step."""
        return dict(self.secrets.get(step, {}))


def resolve(task: Task, access: Access) -> Step:
    """Ask the remote what the run starts from."""
    request = {**access.request, "branch": task.branch, "base": task.base}
    return Step(name="resolve", program="resolve", request=request, secrets=access.secrets, sockets=access.sockets, reaches=access.reaches)


def checkout(task: Task, access: Access, *, base: str | None, ref: str | None) -> Step:
    """Make the clean git directory and the working tree."""
    options = task.checkout
    mirrored = bool(access.mirror_key) and options.depth is None and options.filter is None and base is not None
    request: dict[str, JsonValue] = {
        **access.request,
        "branch": NEUTRAL,
        "base": base,
        "ref": ref,
        "mirror": MIRROR if mirrored else None,
        "clean": CLEAN,
        "tree": TREE,
        **options.model_dump(mode="json"),
    }
    return Step(
        name="checkout",
        program="checkout",
        request=request,
        outputs=(CLEAN, TREE),
        secrets=access.secrets,
        sockets=access.sockets,
        reaches=access.reaches,
        reuse=True,
        caches={MIRROR: access.mirror_key} if mirrored else {},
        timeout=GIT_STEP_TIMEOUT,
    )


def lay_out(clean: Artifact, include: Artifact | None, *, base: str, branch: str) -> Step:
    """Make the working tree of a snapshot that the host took."""
    request: dict[str, JsonValue] = {
        "remote": "",
        "branch": branch,
        "base": base,
        "ref": None,
        "mirror": None,
        "clean": CLEAN,
        "tree": TREE,
        "given": True,
        "include": INCLUDE if include else None,
    }
    inputs = {CLEAN: clean, **({INCLUDE: include} if include else {})}
    return Step(
        name="checkout",
        program="checkout",
        request=request,
        inputs=inputs,
        last_use=frozenset(inputs),
        outputs=(CLEAN, TREE),
        timeout=GIT_STEP_TIMEOUT,
    )


def shell(
    name: str,
    command: str,
    tree: Artifact,
    around: Surroundings,
    *,
    clean: Artifact | None = None,
    commit: str | None = None,
    base: str | None = None,
    last_use: bool = False,
) -> Step:
    """Run the user's setup or verify command in a tree, with a commit laid over it when one is given."""
    seconds, mount = SETUP_TIMEOUT.total_seconds(), LAID if clean else TREE
    request: dict[str, JsonValue] = {
        "command": command,
        "cwd": mount,
        "env": dict(around.env),
        "timeout_seconds": seconds,
        "mark": MARK,
        "overlay": CLEAN if clean else None,
        "commit": commit,
        "base": base,
    }
    return Step(
        name="verify" if name == "verify" else "setup",
        program="shell",
        request=request,
        inputs={mount: tree, **({CLEAN: clean} if clean else {})},
        last_use=frozenset({mount}) if last_use else frozenset(),
        outputs=(mount,),
        secrets=around.secrets_for(name),
        services=around.services if name == "verify" else (),
        reuse=name == "setup" and clean is None,
        image="agent",
        timeout=SETUP_TIMEOUT + GRACE,
    )


def agent(
    task: Task,
    command: Command,
    tree: Artifact,
    around: Surroundings,
    *,
    home: Artifact | None = None,
    reaches: Sequence[tuple[str, int]] = (),
    last_use: bool,
) -> Step:
    """Start the agent under its supervisor. home: what its private HOME holds from the start."""
    limits = task.limits
    request: dict[str, JsonValue] = {
        "argv": list(command.argv),
        "cwd": TREE,
        "env": {**around.env, **command.env},
        "home": HOME if command.private_home else None,
        "prompt": task.prompt,
        "hold": task.hold,
        "hold_seconds": 900.0,
        "wall_seconds": limits.wall_seconds,
        "silence_seconds": limits.silence_seconds,
        "mark": MARK,
        "control": CONTROL,
        "user": None,
        "branch": task.branch,
        "keep": [{"glob": keep["glob"], "to": keep["to"]} for keep in command.keep],
    }
    return Step(
        name="agent",
        program="supervise",
        request=request,
        inputs={TREE: tree, **({HOME: home} if home else {})},
        last_use=frozenset({HOME, TREE} if last_use else {HOME}),
        outputs=(TREE, SESSION),
        secrets={**around.secrets_for("agent"), **command.secrets},
        reaches=reaches,
        services=around.services,
        image="agent",
        timeout=timedelta(seconds=limits.wall_seconds + 2 * 900) + GRACE,
    )


def commit(
    task: Task,
    tree: Artifact,
    clean: Artifact,
    *,
    base: str | None,
    body: str,
    author: str,
    caps: tuple[int, int] = (MAX_FILE_BYTES, MAX_TOTAL_BYTES),
) -> Step:
    """Make one commit of the agent's tree. caps: the largest file and the largest sum of new ones, in bytes."""
    request: dict[str, JsonValue] = {
        "tree": TREE,
        "clean": CLEAN,
        "out": OUT,
        "base": base,
        "subject": task.message,
        "fallback": first_line(task.prompt),
        "body": body,
        "author": author,
        "max_file_bytes": caps[0],
        "max_total_bytes": caps[1],
        "lfs": task.checkout.lfs,
    }
    return Step(
        name="commit",
        program="commit",
        request=request,
        inputs={TREE: tree, CLEAN: clean},
        last_use=frozenset({TREE}),
        outputs=(CLEAN, OUT, TREE),
        timeout=GIT_STEP_TIMEOUT,
    )


def push(task: Task, access: Access, clean: Artifact, *, commit: str, tip: str | None, work: Artifact | None = None) -> Step:
    """Push one commit; `work` is a salvaged directory whose bundle holds it."""
    request: dict[str, JsonValue] = {
        **access.request,
        "branch": task.branch,
        "clean": CLEAN,
        "commit": commit,
        "tip": tip,
        "bundle": f"{OUT}/work.bundle" if work else None,
    }
    return Step(
        name="push",
        program="push",
        request=request,
        inputs={CLEAN: clean, **({OUT: work} if work else {})},
        last_use=frozenset({CLEAN}),
        secrets=access.secrets,
        sockets=access.sockets,
        reaches=access.reaches,
        timeout=GIT_STEP_TIMEOUT,
    )


def first_line(prompt: str) -> str:
    """Return the first line of a prompt that says anything."""
    return next((line.strip() for line in prompt.splitlines() if line.strip()), "Work of an agent")


SUMMARY_CAP = 10 * 1024
"""Longest summary in a commit, in characters."""
_TRAILER = re.compile(r"^(?=[A-Za-z][A-Za-z-]*: ?\S)", re.MULTILINE)


def commit_body(summary: str, *, run: RunId, model: str | None) -> str:
    """Return the body. Lines of the agent that look like trailers are indented, so that only ours count as such."""
    text = _TRAILER.sub("  ", sanitise(summary).strip()[:SUMMARY_CAP])
    trailers = [f"Ccterm-Run: {run}", *([f"Ccterm-Model: {model}"] if model else [])]
    return "\n\n".join(part for part in (text, "\n".join(trailers)) if part)
