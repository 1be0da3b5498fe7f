"""The steps of a run as values: from a task and what earlier steps reported to what an executor is asked to do. `agent_spec` is the agent's."""

from datetime import timedelta
from typing import Literal, NamedTuple

from pydantic import JsonValue

from ccterm.executors.base import Artifact, Step
from ccterm.git.message import message_body
from ccterm.models import Mode, RunId, Task
from ccterm.output.sanitise import sanitise
from ccterm.pipeline.context import CommandEnvironment, CommitOptions, RemoteAccess
from ccterm.pipeline.continuation import EarlierWork
from ccterm.pipeline.reports import ResolveResult
from ccterm.pipeline.step_network import is_closed, network_request
from ccterm.workspace.work import BUNDLE

CLEAN, TREE, HOME, OUT, SESSION, MIRROR, CONTROL = "clean.git", "work", "home", "out", "session", "mirror", "control.sock"
INCLUDE = "include"
LEFT = "left"
"""The record of what setup left."""
GUARDED, GUARDED_LEFT = "../private/clean.git", "../private/left"
"""Where the agent's box has a copy of the clean git directory: beside the box, for the agent owns the box and could rename what is in it."""
GUARDED_OUT = "../private/committed"
"""What the commit leaves there that is made of the agent's work in its own box."""
OVERLAID = "laid"
"""A tree with the new commit laid over it. Named differently, so that recovery never mistakes it for the agent's tree."""
NEUTRAL = "work"
"""Branch of a checked-out tree until its agent starts, so that one checkout and one setup serve all branches from one base."""
MARK = "ccterm-box"
"""Marks a box's processes where the executor has no better mark; the same in every request, or no request could be answered from a cache."""
GIT_STEP_TIMEOUT = timedelta(minutes=30)
SETUP_TIMEOUT = timedelta(minutes=30)
GRACE = timedelta(minutes=2)
"""How much longer than its own limits a supervised step may take before its executor kills it."""


class Overlay(NamedTuple):
    """A commit that is laid over a tree before a command runs in it. clean: the git directory that holds it."""

    clean: Artifact
    commit: str
    base: str | None


def resolve(task: Task, access: RemoteAccess) -> Step:
    """Ask the remote what the run starts from."""
    request = {**access.request, "branch": task.branch, "base": task.base}
    return Step(name="resolve", program="resolve", request=request, secrets=access.secrets, sockets=access.sockets, reaches=access.reaches)


def checkout(task: Task, access: RemoteAccess, found: ResolveResult, *, base: str | None) -> Step:
    """Make the clean git directory and the working tree. found: what the remote holds now; base: what they are made from."""
    options = task.checkout
    mirrored = bool(access.mirror_key) and options.depth is None and options.filter is None and base is not None
    request: dict[str, JsonValue] = {
        **access.request,
        "branch": NEUTRAL,
        "base": base,
        "ref": found.ref,
        "default_branch": found.default_branch,
        "default_tip": found.default_tip,
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
        sealed=frozenset({CLEAN}),
        secrets=access.secrets,
        sockets=access.sockets,
        reaches=access.reaches,
        reuse=True,
        caches={MIRROR: access.mirror_key} if mirrored else {},
        timeout=GIT_STEP_TIMEOUT,
    )


def checkout_snapshot(clean: Artifact, include: Artifact | None, *, base: str, branch: str) -> Step:
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
        sealed=frozenset({CLEAN}),
        timeout=GIT_STEP_TIMEOUT,
    )


def merge(tree: Artifact, clean: Artifact, *, tip: str | None, kept: Artifact, work: EarlierWork) -> Step:
    """Merge kept work into a tree. tip: what the tree was checked out from. kept: the directory with its bundle."""
    bundle: dict[str, JsonValue] = {"bundle": f"{OUT}/work.bundle", "commit": work.commit, "base": work.base}
    return _merge(bundle, {TREE: tree, CLEAN: clean, OUT: kept}, tip)


def lay_over(tree: Artifact, clean: Artifact, *, tip: str, merged: str) -> Step:
    """Make the files of a tree those of another one in the same git directory."""
    return _merge({"merged": merged}, {TREE: tree, CLEAN: clean}, tip)


def _merge(what: dict[str, JsonValue], inputs: dict[str, Artifact], tip: str | None) -> Step:
    request = {"tree": TREE, "clean": CLEAN, "tip": tip, **what}
    return Step(
        name="merge",
        program="merge",
        request=request,
        inputs=inputs,
        last_use=frozenset({TREE}),
        outputs=(TREE,),
        timeout=GIT_STEP_TIMEOUT,
    )


def setup(command: str, tree: Artifact, environment: CommandEnvironment, *, over: Overlay | None = None, last_use: bool) -> Step:
    """Run the user's setup command in a tree; `over` lays the new commit over it first."""
    return _shell("setup", command, tree, environment, over=over, last_use=last_use)


def verify(command: str, tree: Artifact, environment: CommandEnvironment, *, over: Overlay) -> Step:
    """Run the user's verify command in a tree with the new commit laid over it."""
    return _shell("verify", command, tree, environment, over=over, last_use=True)


def _shell(
    name: Literal["setup", "verify"],
    command: str,
    tree: Artifact,
    environment: CommandEnvironment,
    *,
    over: Overlay | None,
    last_use: bool,
) -> Step:
    mount = OVERLAID if over else TREE
    records = name == "setup" and over is None
    request: dict[str, JsonValue] = {
        "command": command,
        "cwd": mount,
        "env": dict(environment.env),
        "timeout_seconds": SETUP_TIMEOUT.total_seconds(),
        "mark": MARK,
        "overlay": CLEAN if over else None,
        "commit": over.commit if over else None,
        "base": over.base if over else None,
        "record": LEFT if records else None,
    }
    services = environment.services if name == "verify" else ()
    return Step(
        name=name,
        program="shell",
        request=request | network_request(environment.egress, services),
        inputs={mount: tree, **({CLEAN: over.clean} if over else {})},
        last_use=frozenset({mount}) if last_use else frozenset(),
        outputs=(mount, LEFT) if records else (mount,),
        sealed=frozenset({LEFT}) if records else frozenset(),
        secrets=environment.secrets_for(name),
        services=services,
        closed_network=is_closed(environment.egress),
        reuse=records,
        image="agent",
        timeout=SETUP_TIMEOUT + GRACE,
    )


def commit(
    task: Task, tree: Artifact, clean: Artifact, options: CommitOptions, *, base: str | None, body: str, left: Artifact | None = None
) -> Step:
    """Make one commit of the agent's tree. left: what setup left, which is not the agent's work."""
    request = commit_request(task, options, base=base, body=body) | {"left": LEFT if left else None}
    return Step(
        name="commit",
        program="commit",
        request=request,
        inputs={TREE: tree, CLEAN: clean, **({LEFT: left} if left else {})},
        last_use=frozenset({TREE}),
        outputs=(CLEAN, OUT, TREE),
        sealed=frozenset({CLEAN}),
        timeout=GIT_STEP_TIMEOUT,
    )


def commit_request(task: Task, options: CommitOptions, *, base: str | None, body: str) -> dict[str, JsonValue]:
    """Return the request of the step commit, without what setup left."""
    return {
        "tree": TREE,
        "clean": CLEAN,
        "out": OUT,
        "base": base,
        "subject": task.message,
        "fallback": first_line(task.prompt),
        "body": body,
        "author": options.author,
        "max_file_bytes": options.max_file_bytes,
        "max_total_bytes": options.max_total_bytes,
        "lfs": task.checkout.lfs,
        "snapshot": task.mode is Mode.TESTING,
    }


def push(task: Task, access: RemoteAccess, clean: Artifact, *, commit: str, tip: str | None, work: Artifact) -> Step:
    """Push one commit. clean: a git directory that holds its base, and that the commit step did not write. work: holds the bundle with it."""
    request: dict[str, JsonValue] = {
        **access.request,
        "branch": task.branch,
        "clean": CLEAN,
        "commit": commit,
        "tip": tip,
        "bundle": f"{OUT}/{BUNDLE}",
    }
    return Step(
        name="push",
        program="push",
        request=request,
        inputs={CLEAN: clean, OUT: work},
        last_use=frozenset({CLEAN, OUT}),
        secrets=access.secrets,
        sockets=access.sockets,
        reaches=access.reaches,
        timeout=GIT_STEP_TIMEOUT,
    )


def first_line(prompt: str) -> str:
    """Return the first line of a prompt that is not blank."""
    return next((line.strip() for line in prompt.splitlines() if line.strip()), "Work of an agent")


def commit_body(summary: str, *, run: RunId, model: str | None) -> str:
    """Return a commit message's body. What the agent wrote gives no orders to hosts and CI, and only our trailers count as such."""
    trailers = [f"Ccterm-Run: {run}", *([f"Ccterm-Model: {' '.join(sanitise(model).split())}"] if model else [])]
    return message_body(sanitise(summary), "\n".join(trailers))
