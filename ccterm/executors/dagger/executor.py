"""The Dagger executor: a pool of engines. Each run stays on one of them from its first step to its last."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ccterm.causes import Cause
from ccterm.errors import PreflightError, StepError
from ccterm.executors.base import Artifact, Boxes, Check, Step
from ccterm.executors.dagger.checks import dagger_checks
from ccterm.executors.dagger.cli_session import cli_session, dial
from ccterm.executors.dagger.command import find_cli, installed_cli
from ccterm.executors.dagger.engine import Engine, Reached
from ccterm.executors.dagger.image_spec import BASE, ImageSpec
from ccterm.executors.dagger.image_store import ImageRecord, ImageStore
from ccterm.executors.dagger.late_boxes import LateBoxes, entered_meanwhile
from ccterm.executors.dagger.sdk import load_sdk
from ccterm.executors.guest_bundle import guest_bundle
from ccterm.models import RunId, new_id
from ccterm.proof import Proof
from ccterm.values import ImageChoice

if TYPE_CHECKING:
    from ccterm.executors.dagger.boxes import DaggerBoxes
    from ccterm.executors.dagger.images import Image, Images
    from ccterm.executors.dagger.session import Session


CLOSED_TRIAL = Step(
    name="setup",
    program="shell",
    request={
        "command": "true",
        "cwd": ".",
        "env": {},
        "timeout_seconds": 60.0,
        "mark": "ccterm-trial",
        "network": {"mode": "list", "hosts": [], "gateway": None, "ca": None, "services": {}},
    },
    closed_network=True,
    image="agent",
    timeout=timedelta(minutes=2),
)
"""A step with a closed network that does nothing else."""


@dataclass(frozen=True)
class EngineChoice:
    """An engine to use. runner: its runner host; None = the one that the Dagger CLI finds or starts. capacity: how many runs it is meant for."""

    runner: str | None = None
    capacity: int | None = None


@dataclass(frozen=True)
class DaggerOptions:
    """The user's choices. cli: the Dagger CLI; None = search for it. base: of ccterm's own image; None = node:20-slim by digest."""

    engines: Sequence[EngineChoice] = (EngineChoice(),)
    cli: Path | None = None
    base: str | None = None
    claude_version: str = ""


class DaggerExecutor:
    """The executor of `--mode dagger`. bundles: where guest bundles are written.

    cache: where images are kept, and the identity by which engines know this user: what comes from another one they store again.
    """

    def __init__(self, options: DaggerOptions, *, cache: Path, bundles: Path, environ: Mapping[str, str] = os.environ) -> None:
        self._options, self._bundles, self.environ = options, bundles, environ
        self.images = ImageStore(cache / "images")
        self._identity = cache / "identity"
        self.image_spec = ImageSpec(options.base or BASE, options.claude_version)
        self._watchers: list[Callable[[], None]] = []
        self._engines = [
            Engine(
                choice.runner or "the one that the Dagger CLI finds",
                partial(self._opened, choice),
                capacity=choice.capacity,
                changed=self._changed,
            )
            for choice in options.engines
        ]

    async def __aenter__(self) -> "DaggerExecutor":
        """Do nothing: engines are connected on first use."""
        return self

    async def __aexit__(self, *exc: object) -> None:
        """End all sessions, and with them everything that runs in containers."""
        await asyncio.gather(*(engine.close() for engine in self._engines))

    @asynccontextmanager
    async def _opened(self, choice: EngineChoice, reached: Reached) -> AsyncIterator["tuple[Session, Images]"]:
        await dial(choice.runner)  # first, so that a dead engine is reported before anything is started
        environ = {**self.environ, "XDG_STATE_HOME": str(self._identity)}  # where the CLI keeps it
        async with cli_session(await self.cli(), environ, choice.runner) as child:
            await reached()
            await load_sdk()
            from ccterm.executors.dagger.images import Images
            from ccterm.executors.dagger.network import Network
            from ccterm.executors.dagger.session import open_session

            bundle = await asyncio.to_thread(guest_bundle, self._bundles)
            async with open_session(child) as session:
                images = Images(session, self.image_spec, self.images, bundle, Network(session.client, self.environ))
                try:
                    yield session, images
                finally:
                    await images.close()

    async def cli(self) -> Path:
        """Find the Dagger CLI, or download it. Raises PreflightError."""
        return await find_cli(self._options.cli, self.environ)

    async def installed_cli(self) -> Path | None:
        """Find the Dagger CLI, or return None if it would have to be downloaded. Raises PreflightError."""
        return await installed_cli(self._options.cli, self.environ)

    @property
    def runners(self) -> Sequence[str]:
        """The engines that the user named."""
        return [choice.runner for choice in self._options.engines if choice.runner]

    @property
    def engines(self) -> Sequence[Engine]:
        """The pool."""
        return self._engines

    @asynccontextmanager
    async def _leased(self, run: RunId) -> AsyncIterator["tuple[Engine, Session, Images]"]:
        """Keep a run on one session of the least loaded engine. One that cannot be connected to is set aside while another may do.

        Raises PreflightError when none can.
        """
        async with AsyncExitStack() as stack:
            while True:
                engine = self._least_loaded()
                try:
                    session, images = await stack.enter_async_context(engine.leased(run))
                    break
                except PreflightError as error:
                    self._set_aside(engine, error)
            yield engine, session, images

    @asynccontextmanager
    async def connected(self) -> AsyncIterator["tuple[Session, Images]"]:
        """Connect to the least loaded engine for the duration of the block. Raises PreflightError."""
        async with self._leased(RunId(new_id())) as (_, session, images):
            yield session, images

    def _changed(self) -> None:
        for changed in self._watchers:
            changed()

    def watch(self, changed: Callable[[], None]) -> None:
        """Call `changed` whenever `trouble` or `capacity` changes."""
        self._watchers.append(changed)

    def trouble(self) -> str:
        """Return why no run can start at the moment, or ""."""
        return "" if any(not engine.trouble for engine in self._engines) else self._engines[0].trouble

    def capacity(self) -> int | None:
        """Return how many runs the engines that can be reached take together; None = one of them takes any number."""
        capacities = [engine.capacity for engine in self._engines if not engine.trouble]
        return None if None in capacities else sum(capacity or 0 for capacity in capacities)

    async def prepare(self, image: ImageChoice, *, closed: bool = False) -> None:
        """Make sure that an engine can be reached, that the images are built, and that boxes can be closed. Raises PreflightError."""
        if self.trouble():  # while an engine is away, runs are held and wait for it
            return
        if closed:
            await self._try_closing(image)
            return
        if await self._kept(image):  # then the run itself connects, while it asks its remote
            await self._reach()
        else:
            await self.build_image(image)

    async def _try_closing(self, image: ImageChoice) -> None:
        """Close a box on the least loaded engine, once a session: one that forbids it is found out before a run starts. Raises PreflightError."""
        try:
            async with self._leased(RunId(new_id())) as (engine, session, images):
                if images.closed_a_box:
                    return
                from ccterm.executors.dagger.boxes import DaggerBoxes

                boxes = DaggerBoxes(session, images, image, await self._usable(images, image), partial(engine.suspect, session))
                await boxes.execute(CLOSED_TRIAL, lambda _: None)
                images.closed_a_box = True
        except StepError as error:
            raise PreflightError(error.message, error.fix) from error

    async def _reach(self) -> None:
        """Reach the least loaded engine. Raises PreflightError when none can be reached."""
        while True:
            engine = self._least_loaded()
            try:
                await engine.reach()
            except PreflightError as error:
                self._set_aside(engine, error)
            else:
                return

    def _set_aside(self, engine: Engine, error: PreflightError) -> None:
        """Set an engine aside that cannot be connected to; raise the error when no other one may do."""
        if all(other.trouble for other in self._engines if other is not engine):
            raise error
        engine.set_aside(error.message)

    async def _kept(self, image: ImageChoice) -> ImageRecord | None:
        """Return the record of an image if it is certain that everything for its boxes was built before, without asking an engine."""
        if image.dockerfile:
            return None
        names = (self.image_spec.base, image.reference or self.image_spec.base)
        _, chosen = records = [await asyncio.to_thread(self.images.kept, self.image_spec, name) for name in names]
        return chosen if all(records) else None

    async def build_image(self, image: ImageChoice) -> ImageRecord:
        """Return the record of an image, building it first if needed. Raises PreflightError."""
        try:
            async with self.connected() as (_, images):
                return (await images.agent(image)).record
        except StepError as error:
            raise PreflightError(error.message, error.fix) from error

    def _least_loaded(self) -> Engine:
        healthy = [engine for engine in self._engines if not engine.trouble] or self._engines
        return min(healthy, key=lambda engine: (engine.full, engine.load))

    @asynccontextmanager
    async def open_run(self, run_id: RunId, image: ImageChoice) -> AsyncIterator[Boxes]:
        """Open the boxes of one run on the least loaded engine. Raises StepError when none can be used.

        With an image that was built before, they are there at once, and their first use raises that error.
        """
        kept = await self._kept(image)
        async with entered_meanwhile(self._boxes(run_id, image)) as opening:
            try:
                yield LateBoxes(kept.digest, opening) if kept else await asyncio.shield(opening)
            except StepError as error:
                if error.cause is Cause.ENGINE and opening.done() and not opening.exception():
                    await opening.result().suspect_engine()
                raise

    @asynccontextmanager
    async def _boxes(self, run_id: RunId, image: ImageChoice) -> AsyncIterator["DaggerBoxes"]:
        try:
            async with self._leased(run_id) as (engine, session, images):
                from ccterm.executors.dagger.boxes import DaggerBoxes

                yield DaggerBoxes(session, images, image, await self._usable(images, image), partial(engine.suspect, session))
        except PreflightError as error:
            raise StepError(Cause.ENGINE, error.message, error.fix) from error

    async def _usable(self, images: "Images", image: ImageChoice) -> "Image":
        try:
            return await images.agent(image)
        except PreflightError as error:
            raise StepError(Cause.ENGINE, error.message, error.fix, reason="image") from error

    async def remove_boxes(self, run_id: RunId, proof: Proof) -> None:
        """Do nothing: containers end with their session."""

    def orphaned_outputs(self, run_id: RunId) -> Mapping[str, Artifact] | None:  # noqa: ARG002 - nothing outlives a run
        """Return None: containers end with their session."""
        return None

    def address(self, host: str, port: int) -> tuple[str, int]:  # noqa: ARG002 - each alias is for the host's loopback
        """Return the alias by which a box reaches the host's loopback."""
        return f"loopback-{port}", port

    def checks(self) -> Sequence[Check]:
        """Return the checks, from the CLI to a container."""
        return dagger_checks(self)
