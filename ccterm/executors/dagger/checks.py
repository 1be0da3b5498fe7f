"""The preflight questions of the Dagger executor, from the CLI on this machine to a round trip in a container."""

import asyncio
import importlib.metadata
import shutil
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

from ccterm.errors import CctermError
from ccterm.executors.base import Check, CheckResult
from ccterm.executors.dagger.command import SERIES, load_sdk, version
from ccterm.executors.dagger.image_spec import ImageSpec
from ccterm.executors.dagger.image_store import ImageStore, is_tarball, tarball

if TYPE_CHECKING:
    from pathlib import Path

    from ccterm.executors.dagger.images import Images
    from ccterm.executors.dagger.session import Session

ENOUGH = 2 * 1024**3
PRUNE = "dagger core engine local-cache prune"
LIVE_FIX = f"use Dagger {'.'.join(map(str, SERIES))}, the series that ccterm is tested with"
Answer = tuple[Literal["pass", "warn", "fail"], str, str]


class Asked(Protocol):
    """What the checks ask of their executor."""

    images: ImageStore
    recipe: ImageSpec
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
        """Connect; where the image exists already, also run a command in a container. A check builds no image."""
        async with self._executor.connected() as (session, images):
            text = f"Dagger engine {await session.client.version()}"
            if not await session.stream.live():
                return "warn", f"{text} streams no output: agents run, and their output shows when a step ends", LIVE_FIX
            if await images.kept() is None:
                return "pass", f"{text} answers", ""
            trip = await images.round_trip()
        text = f"{text}; round trip in a container {trip.seconds * 1000:.0f} ms"
        if trip.free is None:
            return "pass", text, ""
        tight = trip.free < ENOUGH
        return "warn" if tight else "pass", f"{text}, {trip.free / 1e9:.0f} GB free", PRUNE if tight else ""

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


SECONDS = 8.0
_START = {
    "darwin": "start Docker Desktop, or run colima start",
    "linux": "sudo systemctl start docker, or for rootless podman: systemctl --user start podman.socket",
}


class DockerState(NamedTuple):
    """Whether a container runtime answers, in a sentence, with the fix."""

    ok: bool
    text: str
    fix: str = ""


async def docker_state(environ: Mapping[str, str], platform: str = sys.platform) -> DockerState:
    """Ask Docker, else podman or nerdctl, whether it runs."""
    for name in ("docker", "podman", "nerdctl"):
        if program := shutil.which(name, path=environ.get("PATH")):
            code, words = await _ask(environ, program, "version", "--format", "{{.Server.Version}}")
            context = (await _ask(environ, program, "context", "show"))[1].strip() if name == "docker" else ""
            return judged(name, code, words, context, platform)
    fix = "install Docker, or name an engine in CCTERM_ENGINE; or use --mode local"
    return DockerState(False, "neither Docker nor podman is installed", fix)


def judged(name: str, code: int, words: str, context: str, platform: str) -> DockerState:
    """Return what an answer of `docker version` means. context: what `docker context show` says, or ""."""
    where = f" (context: {context})" if context not in ("", "default") else ""
    if code == 0:
        return DockerState(True, f"{name} {words.strip().splitlines()[-1] if words.strip() else ''}{where}")
    low = words.lower()
    if "permission denied" in low:
        fix = "sudo usermod -aG docker $USER and log in again, or use rootless Docker"
        return DockerState(False, f"permission denied on the socket of {name}{where}", fix)
    start = "colima start" if "colima" in low or context == "colima" else _START.get(platform, _START["linux"])
    if any(word in low for word in ("cannot connect", "is the docker daemon running", "connection refused", "no such file", "dial unix")):
        return DockerState(False, f"{name} is not running{where}", start)
    if code < 0:
        return DockerState(False, f"{name} does not answer{where}", start)
    said = next((line.strip() for line in words.splitlines() if line.strip()), f"exit {code}")
    return DockerState(False, f"{name} cannot be used{where}: {said[:200]}", start)


async def _ask(environ: Mapping[str, str], *command: str) -> tuple[int, str]:
    pipe = asyncio.subprocess.PIPE
    try:
        process = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.DEVNULL, stdout=pipe, stderr=asyncio.subprocess.STDOUT, env=dict(environ)
        )
    except OSError as error:
        return 1, str(error)
    try:
        async with asyncio.timeout(SECONDS):
            words, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        return -1, ""
    return process.returncode or 0, words.decode("utf-8", "replace")
