"""Preflight checks of the Dagger executor, from the CLI on this machine to a round trip in a container."""

import asyncio
import importlib.metadata
import shutil
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

from ccterm.errors import CctermError, PreflightError
from ccterm.executors.base import Check, CheckResult
from ccterm.executors.dagger.command import SERIES, install_fix, version
from ccterm.executors.dagger.image_spec import ImageSpec
from ccterm.executors.dagger.image_store import ImageStore, is_tarball, tarball
from ccterm.executors.dagger.sdk import SDK, load_sdk
from ccterm.models import RunId, new_id
from ccterm.processes import run_command_async

if TYPE_CHECKING:
    from pathlib import Path

    from ccterm.executors.dagger.images import Images
    from ccterm.executors.dagger.session import Session

ENGINE_SECONDS = 4.5
"""Seconds that one engine of several has to answer: fewer than a check may take."""
MIN_FREE = 2 * 1024**3
"""Bytes of free disk below which the check warns."""
PRUNE = "dagger core engine local-cache prune"
LIVE_FIX = f"use Dagger {'.'.join(map(str, SERIES))}, the series that ccterm is tested with"
Answer = tuple[Literal["pass", "warn", "fail"], str, str]
Ask = Callable[[], Awaitable[Answer]]


class CheckedExecutor(Protocol):
    """What the checks need of the executor."""

    images: ImageStore
    image_spec: ImageSpec
    environ: Mapping[str, str]

    @property
    def runners(self) -> Sequence[str]:
        """The engines that the user named; none = the CLI finds or starts one."""
        ...

    async def cli(self) -> "Path":
        """Find the CLI, or download it. Raises PreflightError."""
        ...

    async def installed_cli(self) -> "Path | None":
        """Find the CLI, or return None if it would have to be downloaded. Raises PreflightError."""
        ...

    @property
    def engines(self) -> Sequence["CheckedEngine"]:
        """The pool, at least one."""
        ...


class CheckedEngine(Protocol):
    """What the checks need of one engine."""

    name: str

    def leased(self, run: RunId) -> "AbstractAsyncContextManager[tuple[Session, Images]]":
        """Connect to it for the duration of the block. Raises PreflightError."""
        ...


class DaggerCheck:
    """One check; `ask` returns status, text and fix, or raises a CctermError that becomes a failure."""

    group = "engine"

    def __init__(self, name: str, ask: Ask) -> None:
        self.name = name
        self._ask = ask

    async def run(self) -> CheckResult:
        """Run the check."""
        started = time.monotonic()
        try:
            status, text, fix = await self._ask()
        except CctermError as error:
            status, text, fix = "fail", error.message, error.fix
        seconds = round(time.monotonic() - started, 3)
        return CheckResult(name=self.name, group=self.group, status=status, text=text, fix=fix, seconds=seconds)


def dagger_checks(executor: "CheckedExecutor") -> Sequence[Check]:
    """Return the checks, in display order."""
    checks = _Checks(executor)
    one = len(executor.engines) == 1
    engines: dict[str, Ask] = {"engine" if one else f"engine {each.name}": partial(checks.engine, each) for each in executor.engines}
    named: dict[str, Ask] = {"sdk": checks.sdk, "cli": checks.cli, "runtime": checks.runtime, **engines, "image": checks.image}
    return [DaggerCheck(name, ask) for name, ask in named.items()]


class _Checks:
    def __init__(self, executor: "CheckedExecutor") -> None:
        self._executor = executor
        self._asked: dict[str, asyncio.Future[Answer | CctermError]] = {}
        self._cli: asyncio.Future[Path | CctermError | None] | None = None
        self._docker: asyncio.Future[DockerState] | None = None

    async def sdk(self) -> Answer:
        await load_sdk([SDK])  # what here needs it can wait for an engine
        return "pass", f"Dagger SDK {importlib.metadata.version('dagger-io')}", ""

    async def cli(self) -> Answer:
        found = await self._found_cli()
        if isinstance(found, CctermError):
            raise found
        if found is None:
            return "warn", "the Dagger CLI is not installed; ccterm downloads it once there is a container runtime", install_fix()
        return "pass", f"Dagger CLI {await version(found)} ({found})", ""

    async def _found_cli(self) -> "Path | CctermError | None":
        """Return the CLI, looked for once for all checks that need it, or why there is none.

        None = it would have to be downloaded, which is of no use before an engine can be started.
        """

        async def look() -> "Path | CctermError | None":
            try:
                if found := await self._executor.installed_cli():
                    return found
                useful = self._executor.runners or (await self._docker_state()).ok
                return await self._executor.cli() if useful else None
            except CctermError as error:
                return error

        self._cli = self._cli or asyncio.ensure_future(look())
        return await asyncio.shield(self._cli)

    async def runtime(self) -> Answer:
        if self._executor.runners:
            return "pass", f"named: {', '.join(self._executor.runners)}", ""
        state = await self._docker_state()
        return "pass" if state.ok else "fail", state.text, state.fix

    async def _docker_state(self) -> "DockerState":
        self._docker = self._docker or asyncio.ensure_future(docker_state(self._executor.environ))
        return await asyncio.shield(self._docker)

    async def _lacking(self) -> str:
        """Return what else an engine needs first and is listed as missing, or ""."""
        if isinstance(found := await self._found_cli(), CctermError):
            return "the Dagger CLI"
        return "" if found and (self._executor.runners or (await self._docker_state()).ok) else "a container runtime"

    async def engine(self, engine: CheckedEngine) -> Answer:
        """Return how one engine is. One of several that cannot be used is a failure only when none can."""
        asked = self._ask_all()
        answer = await asyncio.shield(asked[engine.name])
        if isinstance(answer, CctermError):
            if all(isinstance(other, CctermError) for other in await asyncio.gather(*asked.values())):
                raise answer
            return "warn", f"{answer.message}; runs go to the other engines", answer.fix
        status, text, fix = answer
        return status, text if len(asked) == 1 else f"{engine.name}: {text}", fix

    def _ask_all(self) -> "Mapping[str, asyncio.Future[Answer | CctermError]]":
        """Ask all engines at once, when the first is asked for."""
        if not self._asked:
            self._asked = {engine.name: asyncio.ensure_future(self._ask(engine)) for engine in self._executor.engines}
        return self._asked

    async def _ask(self, engine: CheckedEngine) -> Answer | CctermError:
        try:
            async with asyncio.timeout(ENGINE_SECONDS):
                return await self._state(engine)
        except TimeoutError:
            return PreflightError(
                f"{engine.name} does not answer", "start it, or name another engine in CCTERM_ENGINE; or use --mode local"
            )
        except CctermError as error:
            return error

    async def _state(self, engine: CheckedEngine) -> Answer:
        """Connect; where the image exists already, also run a command in a container. A check builds no image.

        Nothing is listed twice: an engine that lacks what another check reports is not asked.
        """
        if lacking := await self._lacking():
            return "warn", f"not asked for: an engine needs {lacking} first", f"get {lacking}, as said above"
        async with engine.leased(RunId(new_id())) as (session, images):
            text = f"Dagger engine {await session.client.version()}"
            if not await session.stream.live():
                return "warn", f"{text} does not stream output; it appears when a step ends", LIVE_FIX
            if await images.kept() is None:
                return "pass", f"{text} answers", ""
            trip = await images.round_trip()
        text = f"{text}; round trip in a container {trip.seconds * 1000:.0f} ms"
        if trip.free is None:
            return "pass", text, ""
        tight = trip.free < MIN_FREE
        return "warn" if tight else "pass", f"{text}, {trip.free / 1e9:.0f} GB free", PRUNE if tight else ""

    async def image(self) -> Answer:
        base = self._executor.image_spec.base
        if is_tarball(base):
            tarball(base)
        built = [record for record in self._executor.images.all() if record.usable and record.name == base]
        if built:
            return "pass", f"image from {_short(base)}, {built[-1].size / 1e6:.0f} MB, built {built[-1].built:%Y-%m-%d}", ""
        return "warn", f"the image from {_short(base)} is not built yet; building it takes about two minutes, once", "ccterm image build"


def _short(base: str) -> str:
    return base.split("@", 1)[0]


DOCKER_SECONDS = 4.0
_START = {
    "darwin": "start Docker Desktop, or run colima start",
    "linux": "sudo systemctl start docker, or for rootless podman: systemctl --user start podman.socket",
}


class DockerState(NamedTuple):
    """Whether a container runtime works: a sentence, and the fix when it does not."""

    ok: bool
    text: str
    fix: str = ""


async def docker_state(environ: Mapping[str, str], platform: str = sys.platform) -> DockerState:
    """Ask Docker, or else podman or nerdctl, whether it is running."""
    for name in ("docker", "podman", "nerdctl"):
        if program := shutil.which(name, path=environ.get("PATH")):
            field = "Version.Version" if name == "podman" else "ServerVersion"
            asked = _ask(environ, program, "info", "--format", f"{{{{.{field}}}}}")
            context_asked = _ask(environ, program, "context", "show") if name == "docker" else _no_context()
            (code, words), (knows, context) = await asyncio.gather(asked, context_asked)
            if code > 0 and field in words:  # podman by the name of docker, which has no such field
                code, words = (await _ask(environ, program, "info"))[0], ""
            return read_answer(name, code, words, "" if knows else context.strip(), platform)
    fix = "install Docker, or name an engine in CCTERM_ENGINE; or use --mode local"
    return DockerState(False, "neither Docker nor podman is installed", fix)


def read_answer(name: str, code: int, words: str, context: str, platform: str) -> DockerState:
    """Interpret the output of `docker info`. context: the output of `docker context show`, or ""."""
    where = f" (context: {context})" if context not in ("", "default") else ""
    low = words.lower()
    refused = "cannot connect" in low or "permission denied" in low  # which some versions report with exit code 0
    if code == 0 and not refused:
        return DockerState(True, " ".join([name, *words.strip().splitlines()[-1:]]) + where)
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


async def _no_context() -> tuple[int, str]:
    return 1, ""


async def _ask(environ: Mapping[str, str], *command: str) -> tuple[int, str]:
    try:
        answer = await run_command_async(command, env=environ, seconds=DOCKER_SECONDS, stderr=True)
    except TimeoutError:
        return -1, ""
    except OSError as error:
        return 1, str(error)
    return answer.code, answer.output.decode("utf-8", "replace")
