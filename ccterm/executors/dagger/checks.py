"""The preflight questions of the Dagger executor, from the CLI on this machine to a round trip in a container."""

import importlib.metadata
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Literal, Protocol

from ccterm.errors import CctermError
from ccterm.executors.base import Check, CheckResult
from ccterm.executors.dagger.command import version
from ccterm.executors.dagger.docker import docker_state
from ccterm.executors.dagger.image_store import ImageStore, is_tarball, tarball
from ccterm.executors.dagger.recipe import Recipe
from ccterm.executors.dagger.sdk import load_sdk

if TYPE_CHECKING:
    from pathlib import Path

    from ccterm.executors.dagger.images import Images
    from ccterm.executors.dagger.session import Session

ENOUGH = 2 * 1024**3
PRUNE = "dagger core engine local-cache prune"
Answer = tuple[Literal["pass", "warn", "fail"], str, str]


class Asked(Protocol):
    """What the checks ask of their executor."""

    images: ImageStore
    recipe: Recipe
    environ: Mapping[str, str]

    @property
    def runners(self) -> Sequence[str]:
        """The engines that are named; none = the CLI finds or starts one."""
        ...

    async def cli(self) -> "Path":
        """Find the CLI. Raises PreflightError."""
        ...

    def connected(self) -> "AbstractAsyncContextManager[tuple[Session, Images]]":
        """Connect to an engine. Raises PreflightError."""
        ...


class DaggerCheck:
    """One question; `ask` gives status, text and fix, or raises the CctermError that says what is wrong."""

    group = "engine"

    def __init__(self, name: str, ask: Callable[[], Awaitable[Answer]]) -> None:
        self.name = name
        self._ask = ask

    async def run(self) -> CheckResult:
        """Answer it."""
        begin = time.monotonic()
        try:
            status, text, fix = await self._ask()
        except CctermError as error:
            status, text, fix = "fail", error.message, error.fix
        seconds = round(time.monotonic() - begin, 3)
        return CheckResult(name=self.name, group=self.group, status=status, text=text, fix=fix, seconds=seconds)


def dagger_checks(executor: "Asked") -> Sequence[Check]:
    """Return the questions."""
    asked = _Questions(executor)
    named = {"sdk": asked.sdk, "cli": asked.cli, "runtime": asked.runtime, "engine": asked.engine, "image": asked.image}
    return [DaggerCheck(name, ask) for name, ask in named.items()]


class _Questions:
    def __init__(self, executor: "Asked") -> None:
        self._executor = executor

    async def sdk(self) -> Answer:
        await load_sdk()
        return "pass", f"Dagger SDK {importlib.metadata.version('dagger-io')}", ""

    async def cli(self) -> Answer:
        place = await self._executor.cli()
        return "pass", f"Dagger CLI {await version(place)} ({place})", ""

    async def runtime(self) -> Answer:
        if self._executor.runners:
            return "pass", f"named: {', '.join(self._executor.runners)}", ""
        state = await docker_state(self._executor.environ)
        return "pass" if state.ok else "fail", state.text, state.fix

    async def engine(self) -> Answer:
        """Connect, and run something in a container where the image is there already: nothing is made for a check."""
        async with self._executor.connected() as (session, images):
            words = f"Dagger engine {await session.client.version()}"
            if await images.kept() is None:
                return "pass", f"{words} answers", ""
            trip = await images.round_trip()
        words = f"{words}; round trip in a container {trip.seconds * 1000:.0f} ms"
        if trip.free is None:
            return "pass", words, ""
        tight = trip.free < ENOUGH
        return "warn" if tight else "pass", f"{words}, {trip.free / 1e9:.0f} GB free", PRUNE if tight else ""

    async def image(self) -> Answer:
        base = self._executor.recipe.base
        if is_tarball(base):
            tarball(base)
        made = [record for record in self._executor.images.all() if record.usable and record.name == base]
        if made:
            return "pass", f"image from {_short(base)}, {made[-1].size / 1e6:.0f} MB, made {made[-1].built:%Y-%m-%d}", ""
        return "warn", f"the image is not made yet, from {_short(base)}; some two minutes, once", "ccterm image build"


def _short(base: str) -> str:
    return base.split("@", 1)[0]
