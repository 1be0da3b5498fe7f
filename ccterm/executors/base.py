"""The interface between the pipeline and the places where steps run: all that an executor knows is how to run a step."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Literal, Protocol

from pydantic import JsonValue, SecretStr

from ccterm.box.protocol import Frame
from ccterm.executors.control import Control
from ccterm.models import CheckResult as CheckResult  # noqa: PLC0414 - re-exported beside Check, whose answer it is
from ccterm.models import RunId
from ccterm.proof import Proof
from ccterm.values import ImageChoice, StepName, Value

FrameSink = Callable[[Frame], None]
"""Takes each frame in order, and must return at once."""


@dataclass(frozen=True)
class Artifact:
    """Opaque handle on a directory that a step produced; only its executor can read the handle."""

    handle: str


class ServiceContainer(Value):
    """A container that runs beside a step, such as a database; the step reaches it by its alias."""

    alias: str
    image: str
    port: int
    env: dict[str, str] = {}
    ready: str | None = None
    """Command that succeeds in it once it is ready; None = ready when its port is open."""


class Step(Value):
    """One part of a run, carried out in its own box. Paths are relative to the box's root, the program's working directory."""

    name: StepName
    program: Literal["resolve", "checkout", "merge", "supervise", "commit", "push", "shell"]
    request: Mapping[str, JsonValue]
    inputs: Mapping[str, Artifact] = {}
    """Relative mount -> artifact, of which the step gets its own copy."""
    last_use: frozenset[str] = frozenset()
    """Mounts whose artifact no later step needs: an executor may move it instead of copying it."""
    outputs: Sequence[str] = ()
    sealed: frozenset[str] = frozenset()
    """Outputs that nothing but a later step may change: where something else could, an executor notices it before they are used again."""
    secrets: Mapping[str, SecretStr] = {}
    """Environment name -> value, for this step alone."""
    reaches: Sequence[tuple[str, int]] = ()
    """Loopback services of the host that the step may use: host, port."""
    reuse: bool = False
    """Whether the answer may come from a cache: same request and inputs, same outputs."""
    caches: Mapping[str, str] = {}
    """Relative mount -> name of a directory that is kept between runs."""
    sockets: Mapping[str, Path] = {}
    """Relative mount -> socket of the host."""
    services: Sequence[ServiceContainer] = ()
    closed_network: bool = False
    """Whether the step's programs reach nothing but what its request's `network` allows. An executor that cannot close the network refuses the step."""
    image: Literal["tool", "agent"] = "tool"
    user: Literal["agent", "root"] = "agent"
    timeout: timedelta = timedelta(minutes=10)
    """A step still running after this is killed. The supervisor enforces the agent's own limits."""

    def all_sockets(self, control: Control | None) -> Mapping[str, Path]:
        """Return the sockets to mount, with the control socket where the request names one."""
        name = self.request.get("control")
        return {**self.sockets, **({name: control.path} if control and isinstance(name, str) else {})}


@dataclass(frozen=True)
class StepResult:
    """The result of a step.

    report: what the program reported; None when it ended without one. outputs: relative path -> artifact, for those that
    exist, also after a failure. detail: why there is no report, or "". reused: whether it came from a cache.
    """

    report: Mapping[str, JsonValue] | None
    outputs: Mapping[str, Artifact] = field(default_factory=dict)
    seconds: float = 0.0
    detail: str = ""
    reused: bool = False


class Check(Protocol):
    """One preflight check."""

    name: str
    group: str

    async def run(self) -> CheckResult:
        """Run the check; expected problems are results, not exceptions."""
        ...


class Boxes(Protocol):
    """The boxes of one run, on one engine, from its first step to its last."""

    image: str | None
    """Digest of the image that the agent's box is made from; None = no image."""
    directory: Path | None
    """Where its boxes stay until they are removed; None = they vanish when the run's boxes are closed."""

    async def execute(self, step: Step, on_frame: FrameSink, control: Control | None = None) -> StepResult:
        """Run a step to its end. Raises StepError (cause engine) when the box itself fails; a timeout is a result."""
        ...

    async def provide(self, path: Path, *, exclude: Sequence[str] = ()) -> Artifact:
        """Copy a host directory into an artifact. exclude: globs on paths relative to it, which are not needed.

        An artifact that was copied to that directory for its last use may be taken again in its place.
        """
        ...

    async def collect(self, artifact: Artifact, to: Path, *, last_use: bool = False) -> None:
        """Copy an artifact to a new private host directory `to`, which must not exist yet. last_use: it may be moved instead."""
        ...

    async def live_patch(self, request: Mapping[str, JsonValue], clean: Artifact, left: Artifact | None) -> bytes | None:
        """Return the patch of what the agent that works now has changed, as far as it is of a sensible size.

        request: that of the step commit. None where its tree cannot be read from here: there a checkpoint tells it. Raises StepError.
        """
        ...


class Executor(Protocol):
    """A place where steps run. An async context manager: entering connects, leaving releases everything."""

    async def __aenter__(self) -> "Executor": ...

    async def __aexit__(self, *exc: object) -> None: ...

    async def prepare(self, image: ImageChoice, *, closed: bool = False) -> None:
        """Make sure that runs with this image can start. closed: in boxes with a closed network. Raises PreflightError with the fix."""
        ...

    def trouble(self) -> str:
        """Return why no run can start at the moment, or "". The executor recovers by itself and notifies watchers."""
        ...

    def capacity(self) -> int | None:
        """Return how many runs may be here at once; None = any number."""
        ...

    def watch(self, changed: Callable[[], None]) -> None:
        """Call `changed` whenever `trouble` or `capacity` changes."""
        ...

    def open_run(self, run_id: RunId, image: ImageChoice) -> AbstractAsyncContextManager[Boxes]:
        """Open the boxes of one run. Leaving removes nothing that can be kept: see `remove_boxes`."""
        ...

    async def remove_boxes(self, run_id: RunId, proof: Proof) -> None:
        """Remove what the boxes of a run left on this machine. The only way to do so. proof: why nothing is lost by it."""
        ...

    def orphaned_outputs(self, run_id: RunId) -> Mapping[str, Artifact] | None:
        """Return what the boxes of a run still hold after its daemon died: relative path -> newest artifact.

        None where nothing outlives the daemon.
        """
        ...

    def address(self, host: str, port: int) -> tuple[str, int]:
        """Return how a box reaches a service on the host's loopback."""
        ...

    def checks(self) -> Sequence[Check]:
        """Return the preflight checks of this executor."""
        ...
