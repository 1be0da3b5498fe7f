"""The boxes of one run as containers; artifacts are Dagger directories."""

import asyncio
import contextlib
import hashlib
import json
import posixpath
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

import dagger
from dagger import CacheSharingMode, ReturnType
from pydantic import JsonValue

from ccterm.box import HIDDEN
from ccterm.causes import Cause
from ccterm.errors import PreflightError, StepError
from ccterm.executors.base import Artifact, FrameSink, ServiceContainer, Step, StepResult
from ccterm.executors.control import Control
from ccterm.executors.dagger.dagger_private import ExecResult, exec_result, with_cached_id
from ccterm.executors.dagger.errors import RUN_OPEN, closing_forbidden, engine_error, first_line, is_gone, is_missing, service_error
from ccterm.executors.dagger.frame_feed import FrameFeed
from ccterm.executors.dagger.image_build import named_image
from ccterm.executors.dagger.images import Image, Images
from ccterm.executors.dagger.network import NETLESS
from ccterm.executors.dagger.session import Session, traced
from ccterm.executors.frames import FrameError
from ccterm.models import new_id
from ccterm.values import ImageChoice

BOX = "/box"
"""Root of every box. The same everywhere, because the agent stores its conversation under a name made from its directory."""
_RUN = 'python3 -I -S /ccterm/__main__.py "$1" - || echo "exit code $?" >&2'
"""The shell always exits with 0: Dagger keeps nothing of a container that exits with 128-191, not even its files."""
_SHORT = 256 * 1024
"""Length of an output that is read again sooner than its last live records come, in characters."""
_SETTLE = 1.0
"""Seconds to wait for the last live records after the engine's answer; they come within 0.1 s or not at all."""
_CACHED_SECONDS = 0.08
"""No exec is faster than this, so a faster answer came from the cache."""
_FIRST_RECORD_SECONDS = 0.25
"""Seconds within which the first live record of an exec comes, where the machine is not busy."""
_LATEST_RECORD_SECONDS = 1.0
"""The longest that a run waits only to tell whether a step was reused."""
_PACKAGE_CACHES = {"/home/agent/.npm": "npm", "/home/agent/.cache/pip": "pip"}
_USER = "agent"


class DaggerBoxes:
    """The boxes of one run on one session. suspect_engine: to be called when its engine failed."""

    def __init__(
        self, session: Session, images: Images, choice: ImageChoice, agent: Image, suspect_engine: Callable[[], Awaitable[None]]
    ) -> None:
        self._session, self._images, self._choice = session, images, choice
        self.suspect_engine = suspect_engine
        self._artifacts: dict[str, dagger.Directory] = {}
        self._collected: dict[Path, Artifact] = {}
        """Where artifacts were copied to for the last time. None of them can change, so that it need not be brought back."""
        self.image: str | None = agent.record.digest
        self.directory: Path | None = None

    async def execute(self, step: Step, on_frame: FrameSink, control: Control | None = None) -> StepResult:
        """Run a step in its own container."""
        if step.closed_network and step.user == "root":
            raise PreflightError(
                "a box with a closed network runs nothing as root", 'run this command as the agent\'s user, or set egress = "open"'
            )
        started = time.monotonic()
        feed = FrameFeed(self._images.network.as_written(step, on_frame), services=bool(step.services), may_repeat=step.reuse)
        try:
            image = await (self._images.tool() if step.image == "tool" else self._images.agent(self._choice))
            with traced() as trace, self._session.stream.listening(trace, feed):
                ran = self._box(image, step, control)
                async with asyncio.timeout(step.timeout.total_seconds()):
                    result = await self._run(step, ran, feed)
        except TimeoutError:
            result = StepResult(None, detail=f"the step did not end within {step.timeout.total_seconds():g} s")
        except dagger.QueryError as error:
            if not_started := service_error(step.services, error, feed.last_output):
                raise not_started from error
            if step.closed_network and (not_closed := closing_forbidden(error)):
                raise not_closed from error
            if not isinstance(error, dagger.ExecError):
                raise engine_error(f"step {step.name} was running", error) from error
            result = StepResult(None, detail=_killed(error))
        except FrameError as error:
            result = StepResult(None, detail=f"the step program failed: {error}; {feed.last_output}")
        except (dagger.DaggerError, OSError) as error:
            raise engine_error(f"step {step.name} was running", error) from error
        if step.closed_network and result.report and result.report.get("reason") == "network":
            raise StepError(Cause.ENGINE, str(result.report.get("detail")), RUN_OPEN, reason="network")
        return StepResult(result.report, result.outputs, time.monotonic() - started, result.detail, result.reused)

    async def _run(self, step: Step, ran: dagger.Container, feed: FrameFeed) -> StepResult:
        """Await the exec once; stop it when the frame sink fails."""
        query = asyncio.ensure_future(self._query(step, ran, feed))
        try:
            await asyncio.wait([query, feed.failed], return_when=asyncio.FIRST_COMPLETED)
        finally:
            if not query.done():
                query.cancel()  # closes the connection, which stops the container
                with contextlib.suppress(asyncio.CancelledError, dagger.DaggerError):
                    await query
        if feed.failed.done():
            feed.failed.result()
        return query.result()

    async def _query(self, step: Step, ran: dagger.Container, feed: FrameFeed) -> StepResult:
        started = time.monotonic()
        answer = await self._answer(step, ran)
        seconds = time.monotonic() - started
        if answer:
            ran, outputs = answer.container, {name: self._keep(answer.outputs[_path(name)]) for name in step.outputs}
            await self._complete(ran, feed, answer.stdout)
        else:
            ran = await ran.sync()  # now it has an id, so later queries do not repeat the whole chain of calls
            found, _ = await asyncio.gather(self._outputs(step, ran), self._complete(ran, feed, None))
            outputs = dict(found)
        reused = step.reuse and await self._was_reused(feed, seconds)
        if not reused:
            feed.deliver_asked()
        report = feed.report["report"] if feed.report else None
        detail = "" if report is not None else f"the step program ended early; {feed.last_output}"
        return StepResult(report, outputs, detail=detail, reused=reused)

    async def _answer(self, step: Step, ran: dagger.Container) -> ExecResult | None:
        """Run the exec and return all of its results at once; None where they have to be asked for one by one."""
        paths = [_path(name) for name in step.outputs]
        try:
            return await exec_result(ran, paths, stdout=not _is_long(step))
        except dagger.ExecError:
            raise
        except dagger.QueryError as error:
            if not is_missing(error, paths):
                raise
            return None  # the exec has ended and is not run again

    async def _complete(self, ran: dagger.Container, feed: FrameFeed, stdout: str | None) -> None:
        """Get all frames. An agent's may be many megabytes; then its stdout is read only when the live stream was incomplete."""
        if stdout is None and feed.length > _SHORT:
            await self._settle(feed)
        if not feed.ended:
            feed.complete(await ran.stdout() if stdout is None else stdout)
        if feed.report is None:
            await self._settle(feed)  # what it said last on stderr comes over the stream alone

    async def _settle(self, feed: FrameFeed) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(feed.over.wait(), _SETTLE)

    async def _was_reused(self, feed: FrameFeed, seconds: float) -> bool:
        """Return whether the answer came from the cache: a cached exec streams no output, and may have taken longer than its answer."""
        if feed.began.is_set() or seconds < max(_CACHED_SECONDS, feed.lasted):
            return not feed.began.is_set()
        patience = max(_FIRST_RECORD_SECONDS, min(seconds, _LATEST_RECORD_SECONDS))  # on a busy machine both come late
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(feed.began.wait(), patience)
        return not feed.began.is_set()

    async def _outputs(self, step: Step, ran: dagger.Container) -> Mapping[str, Artifact]:
        found = await asyncio.gather(*(self._output(ran, name) for name in step.outputs))
        return {name: artifact for name, artifact in zip(step.outputs, found, strict=True) if artifact}

    async def _output(self, ran: dagger.Container, name: str) -> Artifact | None:
        try:
            return self._keep(with_cached_id(await ran.directory(_path(name)).sync()))
        except dagger.QueryError as error:
            if is_gone(error):
                raise
            return None  # the step did not create it

    def _keep(self, directory: dagger.Directory) -> Artifact:
        artifact = Artifact(new_id())
        self._artifacts[artifact.handle] = directory
        return artifact

    def _box(self, image: Image, step: Step, control: Control | None) -> dagger.Container:
        client = self._session.client
        root = step.program == "supervise" or step.user == "root" or step.closed_network
        unique = new_id()
        box = self._images.network.with_host_services(image.container if step.program in NETLESS else image.networked, step)
        for service in step.services:
            box = box.with_service_binding(service.alias, self._service(service, unique))
        for mount, artifact in step.inputs.items():
            box = box.with_mounted_directory(_path(mount), self._artifacts[artifact.handle])
        for path, name in self._caches(step).items():
            box = box.with_mounted_cache(path, self._session.cache_volume(f"ccterm-{name}"), sharing=CacheSharingMode.SHARED, owner=_USER)
        for mount, socket in step.all_sockets(control).items():
            owner = "root" if root and (mount not in step.sockets or mount == _gateway(step)) else _USER
            box = box.with_unix_socket(f"{BOX}/{mount}", client.host().unix_socket(str(socket)), owner=owner)
        for name, value in step.secrets.items():
            plain = value.get_secret_value()
            digest = hashlib.sha256(plain.encode()).hexdigest()[:12]  # per session a name has one value, the last one set
            box = box.with_secret_variable(name, client.set_secret(f"{name}-{digest}", plain))
        box = box.with_user("root" if root else _USER)
        if not step.reuse:
            box = box.with_env_variable("CCTERM_STEP", unique)
        request = json.dumps(self._request(step))
        # a shell waits for all its children, so no init process is needed; as a file, the request would be one more layer
        return box.with_exec(
            ["sh", "-c", _RUN, "ccterm", step.program],
            stdin=request,
            no_init=True,
            expect=ReturnType.ANY,
            insecure_root_capabilities=step.closed_network,  # to close it takes more than a container may; the program gives it all up then
        )

    def _request(self, step: Step) -> Mapping[str, JsonValue]:
        """Return the request. Programs that start as root are told which user to run the agent or the command as."""
        hidden: dict[str, JsonValue] = {HIDDEN: [*sorted(step.secrets)]} if step.secrets else {}
        named = step.program == "supervise" or step.closed_network
        return {**step.request, **hidden, **({"user": step.user} if named else {})}

    def _caches(self, step: Step) -> Mapping[str, str]:
        """Return the cache volumes of a step. Package caches are mounted only where no agent code runs, which could poison them."""
        own = {f"{BOX}/{mount}": f"{mount}-{name}" for mount, name in step.caches.items()}
        return own | _PACKAGE_CACHES if step.program == "shell" and step.reuse else own

    def _service(self, service: ServiceContainer, unique: str) -> dagger.Service:
        box = named_image(self._session.client, service.image).with_env_variable("CCTERM_STEP", unique)
        for name, value in service.env.items():
            box = box.with_env_variable(name, value)
        if service.ready:
            box = box.with_docker_healthcheck([service.ready], shell=True, interval="1s", start_interval="1s", retries=120)
        return box.with_exposed_port(service.port).as_service(use_entrypoint=True)

    async def provide(self, path: Path, *, exclude: Sequence[str] = ()) -> Artifact:
        """Copy a host directory into an artifact."""
        if path in self._collected:
            return self._collected[path]
        client = self._session.client
        try:
            given = client.host().directory(str(path), exclude=list(exclude), no_cache=True)
            box = (await self._images.tool()).container.with_directory("/provided", given, owner=_USER)
            return self._keep(with_cached_id(await box.directory("/provided").sync()))
        except dagger.DaggerError as error:
            raise engine_error(f"{path} was being uploaded", error) from error

    async def live_patch(self, request: Mapping[str, JsonValue], clean: Artifact, left: Artifact | None) -> bytes | None:  # noqa: ARG002
        """Return None: the agent's tree is in its container."""
        return None

    async def collect(self, artifact: Artifact, to: Path, *, last_use: bool = False) -> None:
        """Copy an artifact to a new private directory."""
        if to.exists() or to.is_symlink():
            raise StepError(Cause.ENGINE, f"{to} already exists", "remove it")
        try:
            to.mkdir(mode=0o700, parents=True)
            await self._artifacts[artifact.handle].export(str(to))
            to.chmod(0o700)
            if last_use:
                self._collected[to] = artifact
        except (dagger.DaggerError, OSError) as error:
            raise engine_error("the work was being downloaded", error) from error


def _path(name: str) -> str:
    """Return the absolute path of what a step names relative to its box; it may lie beside the box."""
    return posixpath.normpath(f"{BOX}/{name}")


def _is_long(step: Step) -> bool:
    """Return whether a step prints what an agent prints."""
    return step.program == "supervise"


def _gateway(step: Step) -> JsonValue:
    """Return the mount of the login gateway's socket, which only the box proxy may use."""
    network = step.request.get("network")
    return network.get("gateway") if isinstance(network, dict) else None


def _killed(error: dagger.ExecError) -> str:
    if error.exit_code < 0:  # it did not run at all
        return f"the box cannot start: {first_line(error)}"
    return f"the box was killed (exit {error.exit_code}), possibly for lack of memory"
