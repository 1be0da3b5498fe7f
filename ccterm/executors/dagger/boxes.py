"""The boxes of one run as containers: the same step programs as everywhere, artifacts are Dagger directories."""

import asyncio
import contextlib
import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import dagger
from dagger import CacheSharingMode, ReturnType
from pydantic import JsonValue

from ccterm.causes import Cause
from ccterm.errors import StepError
from ccterm.executors.base import Artifact, FrameSink, Service, Step, StepResult
from ccterm.executors.control import Control
from ccterm.executors.dagger.dagger_private import with_cached_id
from ccterm.executors.dagger.errors import engine_fault, is_gone
from ccterm.executors.dagger.frame_feed import FrameFeed
from ccterm.executors.dagger.image_build import named_image
from ccterm.executors.dagger.images import Image, Images
from ccterm.executors.dagger.network import NETLESS
from ccterm.executors.dagger.session import Session, traced
from ccterm.executors.frames import FrameError
from ccterm.models import ImageChoice, new_id

BOX = "/box"
"""Root of every box; equal everywhere, because the agent's conversation is kept under a name made of its directory."""
_RUN = 'python3 -I /ccterm/__main__.py "$1" request.json || echo "it left with exit code $?" >&2'
"""The shell always leaves with 0: of a container that leaves with 128-191 nothing is kept, not even its files."""
_SETTLE = 1.0
"""Seconds for the last live records after the engine's answer; they come within 0.1 s, or not at all."""
_QUICK = 0.08
"""No exec takes less; an answer that does came from the cache."""
_LATE = 0.25
_PACKAGE_CACHES = {"/home/agent/.npm": "npm", "/home/agent/.cache/pip": "pip"}
_OWNER = "agent"


class DaggerBoxes:
    """The boxes of one run on one session."""

    def __init__(self, session: Session, images: Images, choice: ImageChoice, agent: Image) -> None:
        self._session, self._images, self._choice = session, images, choice
        self._artifacts: dict[str, dagger.Directory] = {}
        self.image: str | None = agent.record.digest

    async def execute(self, step: Step, on_frame: FrameSink, control: Control | None = None) -> StepResult:
        """Run a step in a container of its own."""
        begin = time.monotonic()
        feed = FrameFeed(on_frame, beside=bool(step.services))
        try:
            image = await (self._images.tool() if step.image == "tool" else self._images.agent(self._choice))
            with traced() as trace, self._session.stream.feeding(trace, feed):
                ran = self._box(image, step, control)
                async with asyncio.timeout(step.timeout.total_seconds()):
                    result = await self._carried_out(step, ran, feed)
        except TimeoutError:
            result = StepResult(None, detail=f"the step did not end within {step.timeout.total_seconds():g} s")
        except dagger.ExecError as error:
            result = StepResult(None, detail=f"the box was killed (exit {error.exit_code}); perhaps it had too little memory")
        except FrameError as error:
            result = StepResult(None, detail=f"the step program broke off: {error}; {feed.last_words.strip()[-500:]}")
        except (dagger.DaggerError, OSError) as error:
            raise engine_fault(f"step {step.name} ran", error) from error
        return StepResult(result.report, result.outputs, time.monotonic() - begin, result.detail, result.reused)

    async def _carried_out(self, step: Step, ran: dagger.Container, feed: FrameFeed) -> StepResult:
        """Await the exec, once; end it when its frames cannot be taken any more."""
        query = asyncio.ensure_future(self._asked(step, ran, feed))
        try:
            await asyncio.wait([query, feed.failed], return_when=asyncio.FIRST_COMPLETED)
        finally:
            if not query.done():
                query.cancel()  # closes its connection, which ends the container
                with contextlib.suppress(asyncio.CancelledError, dagger.DaggerError):
                    await query
        if feed.failed.done():
            feed.failed.result()
        return query.result()

    async def _asked(self, step: Step, ran: dagger.Container, feed: FrameFeed) -> StepResult:
        begin = time.monotonic()
        ran = await ran.sync()  # from here on it is named by its id: the engine need not walk through all of its making again
        reused = step.reuse and await self._was_reused(feed, time.monotonic() - begin)
        outputs, _ = await asyncio.gather(self._outputs(step, ran), self._completed(step, ran, feed))
        report = feed.report["report"] if feed.report else None
        detail = "" if report is not None else f"the step program ended too soon; {feed.last_words.strip()[-500:]}"
        return StepResult(report, outputs, detail=detail, reused=reused)

    async def _completed(self, step: Step, ran: dagger.Container, feed: FrameFeed) -> None:
        """Have all frames. An agent's may be many megabytes: what comes live is waited for, and its stdout read only when that breaks."""
        if step.program == "supervise":
            await self._settled(feed)
        if not feed.ended:
            feed.complete(await ran.stdout())

    async def _settled(self, feed: FrameFeed) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(feed.over.wait(), _SETTLE)

    async def _was_reused(self, feed: FrameFeed, seconds: float) -> bool:
        """Return whether the answer came from the cache: nothing of it is printed again then."""
        if feed.began.is_set() or seconds < _QUICK:
            return not feed.began.is_set()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(feed.began.wait(), _LATE)
        return not feed.began.is_set()

    async def _outputs(self, step: Step, ran: dagger.Container) -> Mapping[str, Artifact]:
        found = await asyncio.gather(*(self._output(ran, name) for name in step.outputs))
        return {name: artifact for name, artifact in zip(step.outputs, found, strict=True) if artifact}

    async def _output(self, ran: dagger.Container, name: str) -> Artifact | None:
        try:
            return self._kept(with_cached_id(await ran.directory(f"{BOX}/{name}").sync()))
        except dagger.QueryError as error:
            if is_gone(error):
                raise
            return None  # the step did not make it

    def _kept(self, directory: dagger.Directory) -> Artifact:
        artifact = Artifact(new_id())
        self._artifacts[artifact.handle] = directory
        return artifact

    def _box(self, image: Image, step: Step, control: Control | None) -> dagger.Container:
        client = self._session.client
        root = step.program == "supervise" or step.user == "root"
        unique = new_id()
        box = self._images.reach.opened(image.container if step.program in NETLESS else image.networked, step)
        for service in step.services:
            box = box.with_service_binding(service.alias, self._service(service, unique))
        for mount, artifact in step.inputs.items():
            box = box.with_mounted_directory(f"{BOX}/{mount}", self._artifacts[artifact.handle])
        for place, name in self._caches(step).items():
            box = box.with_mounted_cache(place, client.cache_volume(f"ccterm-{name}"), sharing=CacheSharingMode.SHARED, owner=_OWNER)
        for mount, path in self._sockets(step, control).items():
            owner = "root" if root else _OWNER
            box = box.with_unix_socket(f"{BOX}/{mount}", client.host().unix_socket(str(path)), owner=owner)
        for name, value in step.secrets.items():
            plain = value.get_secret_value()
            digest = hashlib.sha256(plain.encode()).hexdigest()[:12]  # the last value of a name holds for the whole session
            box = box.with_secret_variable(name, client.set_secret(f"{name}-{digest}", plain))
        box = box.with_new_file(f"{BOX}/request.json", json.dumps(self._request(step)), owner=_OWNER)
        box = box.with_user("root" if root else _OWNER)
        if not step.reuse:
            box = box.with_env_variable("CCTERM_STEP", unique)
        return box.with_exec(["sh", "-c", _RUN, "ccterm", step.program], expect=ReturnType.ANY)

    def _request(self, step: Step) -> Mapping[str, JsonValue]:
        """Return the request; who an agent is dropped to is the container's business."""
        return {**step.request, "user": step.user} if step.program == "supervise" else step.request

    def _caches(self, step: Step) -> Mapping[str, str]:
        """Return the volumes of a step. Package caches only where none but the base's own code runs: an agent's could poison them."""
        own = {f"{BOX}/{mount}": f"{mount}-{name}" for mount, name in step.caches.items()}
        return own | _PACKAGE_CACHES if step.program == "shell" and step.reuse else own

    def _sockets(self, step: Step, control: Control | None) -> Mapping[str, Path]:
        name = step.request.get("control")
        return {**step.sockets, **({name: control.path} if control and isinstance(name, str) else {})}

    def _service(self, service: Service, unique: str) -> dagger.Service:
        box = named_image(self._session.client, service.image).with_env_variable("CCTERM_STEP", unique)
        for name, value in service.env.items():
            box = box.with_env_variable(name, value)
        if service.ready:
            box = box.with_docker_healthcheck([service.ready], shell=True, interval="1s", start_interval="1s", retries=120)
        return box.with_exposed_port(service.port).as_service(use_entrypoint=True)

    async def provide(self, path: Path, *, exclude: Sequence[str] = ()) -> Artifact:
        """Bring a host directory in."""
        client = self._session.client
        try:
            given = client.host().directory(str(path), exclude=list(exclude), no_cache=True)
            box = (await self._images.tool()).container.with_directory("/provided", given, owner=_OWNER)
            return self._kept(with_cached_id(await box.directory("/provided").sync()))
        except dagger.DaggerError as error:
            raise engine_fault(f"{path} was brought in", error) from error

    async def collect(self, artifact: Artifact, to: Path) -> None:
        """Bring an artifact to a fresh private directory."""
        if to.exists() or to.is_symlink():
            raise StepError(Cause.ENGINE, f"{to} is there already", "remove it")
        try:
            to.mkdir(mode=0o700, parents=True)
            await self._artifacts[artifact.handle].export(str(to))
            to.chmod(0o700)
        except OSError as error:
            raise StepError(Cause.ENGINE, f"the work cannot be brought to {to}: {error.strerror}", "free some space") from error
        except dagger.DaggerError as error:
            raise engine_fault("the work was collected", error) from error
