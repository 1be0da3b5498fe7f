"""Runs steps on this machine, without isolation: a box is a private directory, an artifact is a path."""

import asyncio
import errno
import logging
import os
import re
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from copy import copy
from pathlib import Path

from pydantic import JsonValue

from ccterm.causes import Cause
from ccterm.errors import PreflightError, StepError
from ccterm.executors.base import Artifact, Check, FrameSink, Step, StepResult
from ccterm.executors.control import Control
from ccterm.executors.guest_bundle import LazyBundle
from ccterm.executors.local.agent_tree import print_live_patch
from ccterm.executors.local.box import Box, box_error, make_box, make_root
from ccterm.executors.local.checks import local_checks
from ccterm.executors.local.copy import copy_tree, remove_tree
from ccterm.executors.local.program import run_program, uninterrupted
from ccterm.executors.local.records import BoxRecord, reap
from ccterm.executors.local.seal import seal
from ccterm.models import RunId
from ccterm.proof import Proof
from ccterm.storage import STORAGE, Storage
from ccterm.values import ImageChoice

_log = logging.getLogger(__name__)


class LocalExecutor:
    """The executor of `--mode local`. environ: the user's environment, filtered per step. withheld: variables that no step sees."""

    def __init__(
        self, state_dir: Path, *, environ: Mapping[str, str] = os.environ, withheld: Collection[str] = (), storage: Storage = STORAGE
    ) -> None:
        self._state_dir, self._environ, self._withheld, self._storage = state_dir, environ, withheld, storage
        self._bundle = LazyBundle(state_dir / "lib")

    def seen_with(self, environ: Mapping[str, str], withheld: Collection[str]) -> "LocalExecutor":
        """Return the same executor for runs with another environment."""
        other = copy(self)
        other._environ, other._withheld = environ, withheld
        return other

    async def __aenter__(self) -> "LocalExecutor":
        """Kill processes left by dead daemons."""
        await asyncio.to_thread(reap, list((self._state_dir / "runs").glob("*/boxes/*.json")))
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Do nothing: the executor holds no resources between runs."""

    async def prepare(self, image: ImageChoice, *, closed: bool = False) -> None:  # noqa: ARG002 - boxes here have no image
        """Make sure that the programs for boxes are there. Raises StateError when they cannot be written, PreflightError for a closed network."""
        if closed:
            raise _not_closed()
        await asyncio.to_thread(self._bundle.path)

    def trouble(self) -> str:
        """Return "": runs can always start here."""
        return ""

    def capacity(self) -> int | None:
        """Return None: the scheduler alone limits how many runs go at once."""
        return None

    def watch(self, changed: Callable[[], None]) -> None:
        """Do nothing: `trouble` never changes."""

    @asynccontextmanager
    async def open_run(self, run_id: RunId, image: ImageChoice) -> AsyncIterator["LocalBoxes"]:  # noqa: ARG002 - boxes here have no image
        """Open the boxes of one run; they stay until `remove_boxes`. Raises StepError."""
        root = self._boxes(run_id)
        try:
            await asyncio.to_thread(self._storage.make_directory, root)
        except OSError as error:
            raise box_error("the directory of the boxes cannot be made", error) from error
        yield LocalBoxes(root, self._state_dir, await asyncio.to_thread(self._bundle.path), self._visible_environ(), self._storage)

    async def remove_boxes(self, run_id: RunId, proof: Proof) -> None:  # noqa: ARG002 - to have one is the point
        """Remove the boxes of a run."""
        await uninterrupted(asyncio.to_thread(remove_tree, self._boxes(run_id)))

    def _visible_environ(self) -> Mapping[str, str]:
        return {name: value for name, value in self._environ.items() if name not in self._withheld}

    def orphaned_outputs(self, run_id: RunId) -> Mapping[str, Artifact]:
        """Return the newest directory of each name in the boxes of a run whose daemon died."""
        found: dict[str, Artifact] = {}
        for path in sorted(self._boxes(run_id).glob("*.json")):
            record, box = BoxRecord.read(path), path.with_suffix("")
            mounts = record.mounts if record else ()
            found |= {mount: Artifact(str(box / mount)) for mount in mounts if (box / mount).is_dir()}
        return found

    def address(self, host: str, port: int) -> tuple[str, int]:
        """Return the same address: boxes are on the host."""
        return host, port

    def checks(self) -> Sequence[Check]:
        """Return the checks of this machine."""
        return local_checks(self._environ)

    def _boxes(self, run_id: RunId) -> Path:
        return self._state_dir / "runs" / run_id / "boxes"


class LocalBoxes:
    """The boxes of one run: directories named NN-step with a record beside each."""

    image: str | None = None

    def __init__(self, root: Path, state_dir: Path, bundle: Path, environ: Mapping[str, str], storage: Storage) -> None:
        self._root, self._state_dir, self._bundle, self._environ, self._storage = root, state_dir, bundle, environ, storage
        self.directory: Path | None = root
        numbers = [int(match[1]) for path in root.iterdir() if (match := re.match(r"(\d+)-", path.name))]
        self._count = max(numbers, default=0)
        self._seals: dict[str, str] = {}
        self._agent: Path | None = None
        """The box of the agent, once there is one."""
        """Handle -> seal of the artifacts that nothing else may change."""

    async def execute(self, step: Step, on_frame: FrameSink, control: Control | None = None) -> StepResult:
        """Run a step in a box of its own."""
        if step.services:
            raise PreflightError("services need a container engine", "use --mode dagger, or remove [services] from the settings")
        if step.closed_network:
            raise _not_closed()
        await self._check_seals(step)
        async with self._box(step, control) as box:
            if step.name == "agent":
                self._agent = box.root
            ended = await run_program(step, box, self._bundle, self._environ, on_frame)
            outputs = box.outputs(step)
            for name in step.sealed & outputs.keys():
                self._seals[outputs[name].handle] = await _sealed(outputs[name])
            return StepResult(ended.report, outputs, ended.seconds, ended.detail)

    async def _check_seals(self, step: Step) -> None:
        """Raise StepError if something changed an input: no step may use it, and none with a credential come after it."""
        for artifact in step.inputs.values():
            if artifact.handle in self._seals and await _sealed(artifact) != self._seals[artifact.handle]:
                message = (
                    f"something else than ccterm changed {artifact.handle} while the agent worked, so step {step.name} does not use it"
                )
                raise StepError(Cause.AGENT, message, f"look at it; the agent's work is kept in {self._root}", reason="changed")

    @asynccontextmanager
    async def _box(self, step: Step, control: Control | None) -> AsyncIterator[Box]:
        """Make the step's box. Its TMPDIR is removed after the step, the rest when the run ends."""
        root = self._next(step.name)
        try:
            tmp = self._storage.bulk(root, lambda: make_root(root, step))
        except OSError as error:
            raise box_error(f"the box of step {step.name} cannot be made", error) from error
        try:
            yield await self._filled(root, tmp, step, control)
        finally:
            await uninterrupted(asyncio.to_thread(remove_tree, tmp))

    async def _filled(self, root: Path, tmp: Path, step: Step, control: Control | None) -> Box:
        try:
            box = await uninterrupted(asyncio.to_thread(make_box, root, tmp, step, self._state_dir, control, self._storage))
        except OSError as error:
            raise box_error(f"the box of step {step.name} cannot be made", error) from error
        if box.left_out:
            _log.warning("step %s: %d files could not be copied: %s", step.name, len(box.left_out), box.left_out[:10])
        return box

    async def live_patch(self, request: Mapping[str, JsonValue], clean: Artifact, left: Artifact | None) -> bytes | None:
        """Return the patch of what the agent that works now has changed: a program of ours reads its tree."""
        if self._agent is None:
            return b""
        commit = {**request, "tree": str(self._agent / str(request["tree"])), "clean": clean.handle, "left": left.handle if left else None}
        return await print_live_patch(commit, self._bundle, self._environ)

    async def provide(self, path: Path, *, exclude: Sequence[str] = ()) -> Artifact:
        """Copy a host directory into an artifact."""
        target = self._next("provided")
        try:
            await uninterrupted(asyncio.to_thread(self._storage.bulk, target, lambda: copy_tree(path, target, exclude=exclude)))
        except OSError as error:
            raise box_error(f"{path} cannot be copied", error) from error
        return Artifact(str(target))

    async def collect(self, artifact: Artifact, to: Path, *, last_use: bool = False) -> None:
        """Copy or move an artifact to a new private directory."""
        try:
            await uninterrupted(asyncio.to_thread(self._collect, Path(artifact.handle), to, last_use=last_use))
            to.chmod(0o700)
        except OSError as error:
            raise box_error(f"the work cannot be copied to {to}", error) from error

    def _collect(self, source: Path, to: Path, *, last_use: bool) -> None:
        """Copy a directory, or rename it, which needs no space, where that can be."""
        if to.exists() or to.is_symlink():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(to))
        if last_use:
            with suppress(OSError):  # as between two file systems
                self._storage.rename(source, to)
                return
        self._storage.bulk(to, lambda: copy_tree(source, to))

    def _next(self, name: str) -> Path:
        self._count += 1
        return self._root / f"{self._count:02}-{name}"


def _not_closed() -> PreflightError:
    return PreflightError("the network can only be closed in a container", 'use --mode dagger, or egress = "open"')


async def _sealed(artifact: Artifact) -> str:
    try:
        return await asyncio.to_thread(seal, Path(artifact.handle))
    except OSError as error:
        raise box_error(f"{artifact.handle} cannot be read", error) from error
