"""The seam between the pipeline and the places where steps run: an executor only knows how to run a step."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Literal, Protocol

from pydantic import JsonValue, SecretStr

from ccterm.box.protocol import Frame
from ccterm.executors.control import Control
from ccterm.models import CheckResult as CheckResult  # noqa: PLC0414 - whoever asks the question may take the answer from here too
from ccterm.models import ImageChoice, RunId, StepName, Value

FrameSink = Callable[[Frame], None]
"""Takes each frame in order, at once; it must not wait."""


@dataclass(frozen=True)
class Artifact:
    """Opaque handle on a directory that a step left behind; only its executor can read the handle."""

    handle: str


class Service(Value):
    """A fresh helper beside a step, reached by its alias."""

    alias: str
    image: str
    port: int
    env: dict[str, str] = {}
    ready: str | None = None
    """Command that succeeds inside it once it answers; None = its port is open."""


class Step(Value):
    """One boxed piece of a run. Every path in it is relative to the box's root, which is the program's working directory."""

    name: StepName
    program: Literal["resolve", "checkout", "supervise", "commit", "push", "shell"]
    request: Mapping[str, JsonValue]
    inputs: Mapping[str, Artifact] = {}
    """Relative mount -> artifact; the step gets its own copy."""
    last_use: frozenset[str] = frozenset()
    """Mounts whose artifact no later step needs: an executor may hand it over instead of copying it."""
    outputs: Sequence[str] = ()
    secrets: Mapping[str, SecretStr] = {}
    """Environment name -> value, for this step alone."""
    reaches: Sequence[tuple[str, int]] = ()
    reuse: bool = False
    caches: Mapping[str, str] = {}
    """Relative mount -> name of a directory kept between runs."""
    sockets: Mapping[str, Path] = {}
    services: Sequence[Service] = ()
    image: Literal["tool", "agent"] = "tool"
    user: Literal["agent", "root"] = "agent"
    timeout: timedelta = timedelta(minutes=10)
    """A step that is still running after this is killed; the agent's own limits are the supervisor's business."""


@dataclass(frozen=True)
class StepResult:
    """What became of a step.

    report: what the program reported; None when it ended without. outputs: relative path -> artifact, also after a failure,
    for those that exist. detail: why there is no report, or "".
    """

    report: Mapping[str, JsonValue] | None
    outputs: Mapping[str, Artifact] = field(default_factory=dict)
    seconds: float = 0.0
    detail: str = ""
    reused: bool = False


class Check(Protocol):
    """One preflight question."""

    name: str
    group: str

    async def run(self) -> CheckResult:
        """Answer it; never raises for an expected fault."""
        ...


class Boxes(Protocol):
    """The boxes of one run, on one engine, from its first step to its last."""

    image: str | None
    """What identifies the image that the agent's box is made of; None = it has none."""

    async def execute(self, step: Step, on_frame: FrameSink, control: Control | None = None) -> StepResult:
        """Run a step to its end. Raises StepError when the box itself fails (cause engine), TimeoutError never."""
        ...

    async def provide(self, path: Path, *, exclude: Sequence[str] = ()) -> Artifact:
        """Bring a host directory in."""
        ...

    async def collect(self, artifact: Artifact, to: Path) -> None:
        """Bring an artifact to a fresh private host directory `to`, which must not exist yet."""
        ...


class Executor(Protocol):
    """A place where steps run. An async context manager: entering connects, leaving frees everything."""

    async def __aenter__(self) -> "Executor": ...

    async def __aexit__(self, *exc: object) -> None: ...

    async def prepare(self, image: ImageChoice) -> None:
        """Make sure that runs with this image can start here. Raises PreflightError with the fix."""
        ...

    def trouble(self) -> str:
        """Return why no run can start here at the moment, or "". It mends itself: whoever watches is told."""
        ...

    def capacity(self) -> int | None:
        """Return how many runs may be here at once; None = any number."""
        ...

    def watch(self, changed: Callable[[], None]) -> None:
        """Call `changed` whenever `trouble` or `capacity` has changed."""
        ...

    def open_run(self, run_id: RunId, image: ImageChoice) -> AbstractAsyncContextManager[Boxes]:
        """Open the boxes of one run; leaving frees its artifacts."""
        ...

    def orphaned_outputs(self, run_id: RunId) -> Mapping[str, Artifact] | None:
        """Return what the boxes of a run hold whose owner died: relative path -> newest artifact. None when nothing outlives its owner."""
        ...

    def address(self, host: str, port: int) -> tuple[str, int]:
        """Return how a box reaches a service on the host's loopback."""
        ...

    def checks(self) -> Sequence[Check]:
        """Return the preflight questions of this executor."""
        ...
