"""The images of one session, each prepared once for all runs that need it."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import NamedTuple

import dagger

from ccterm.executors.dagger import image_spec
from ccterm.executors.dagger.errors import image_query
from ccterm.executors.dagger.image_build import ImageBuild
from ccterm.executors.dagger.image_spec import ImageSpec
from ccterm.executors.dagger.image_store import ImageRecord, ImageStore, is_tarball, stamp, tarball
from ccterm.executors.dagger.network import Network
from ccterm.executors.dagger.session import Session, traced
from ccterm.models import new_id
from ccterm.values import ImageChoice


class Image(NamedTuple):
    """An image that boxes can be made of, on one session. networked: the same with the user's proxies and certificates."""

    container: dagger.Container
    networked: dagger.Container
    record: ImageRecord


class RoundTrip(NamedTuple):
    """Seconds that a small command took in a container, and free bytes on its disk; None = unknown."""

    seconds: float
    free: int | None


class Images:
    """Builds images, or imports them from their tarballs.

    spec: of ccterm's own image. bundle: the guest bundle. network: how boxes get out.
    """

    def __init__(self, session: Session, spec: ImageSpec, store: ImageStore, bundle: Path, network: Network) -> None:
        self._session, self._spec, self._store, self._bundle = session, spec, store, bundle
        self.network = network
        self._ready: dict[str, asyncio.Task[Image]] = {}
        self.closed_a_box = False
        """Whether the engine let a box close its network."""

    async def tool(self) -> Image:
        """Return ccterm's own image. Raises PreflightError when it cannot be built, StepError when the engine went away."""
        return await self._once("", self._tool)

    async def agent(self, choice: ImageChoice) -> Image:
        """Return the image for setup, agent and verify. Raises as `tool` does."""
        if choice == ImageChoice() or choice.reference == self._spec.base:
            return await self.tool()
        return await self._once(choice.model_dump_json(), lambda: self._chosen(choice))

    async def _once(self, name: str, make: Callable[[], Awaitable[Image]]) -> Image:
        """Make an image once for all callers; after a failure, the next caller tries again."""
        if name not in self._ready or (self._ready[name].done() and self._ready[name].exception()):
            self._ready[name] = asyncio.ensure_future(make())
        return await asyncio.shield(self._ready[name])

    async def close(self) -> None:
        """Cancel builds in progress."""
        for task in self._ready.values():
            task.cancel()
        await asyncio.gather(*self._ready.values(), return_exceptions=True)

    async def kept(self) -> ImageRecord | None:
        """Return the record of ccterm's own image, or None when it is not built yet."""
        return await asyncio.to_thread(self._store.get, await self._key(self._spec.base))

    async def round_trip(self) -> RoundTrip:
        """Run a small command in a container and time it."""
        box = (await self.tool()).container.with_env_variable("CCTERM_STEP", new_id()).with_exec(["df", "-Pk", "/box"])
        started = time.monotonic()
        with traced():
            words = (await image_query(box.stdout(), "a round trip in a container")).split()
        free = words[-3] if len(words) > 3 else ""
        return RoundTrip(time.monotonic() - started, int(free) * 1024 if free.isdecimal() else None)

    async def _tool(self) -> Image:
        return await self._from(ImageBuild(self._session, self._spec, self._spec.base), self._spec.base)

    async def _chosen(self, choice: ImageChoice) -> Image:
        name = choice.dockerfile or choice.reference or ""
        build = ImageBuild(self._session, self._spec, name, donor=(await self.tool()).container)
        return await self._from(build, name, dockerfile=choice.dockerfile is not None)

    async def _from(self, build: ImageBuild, name: str, *, dockerfile: bool = False) -> Image:
        client = self._session.client
        source = build.source(dockerfile=dockerfile)
        key = await self._key(name, dockerfile=dockerfile)
        record = await asyncio.to_thread(self._store.get, key) or await build.run(key, self._store, source)
        container = client.container().import_(client.host().file(str(record.tarball)))
        with traced():  # an exec's output belongs to the first query that needs it, which must not be a run's
            box = await self._furnish(container, name)
            networked = self.network.with_settings(box)
            if networked is not box:
                networked = await image_query(networked.sync(), f"preparing the image {name} for the network")
            return Image(box, networked, record)

    async def _key(self, name: str, *, dockerfile: bool = False) -> str:
        platform = await image_query(self._session.client.default_platform(), "asking the engine for its platform")
        file = Path(name) if dockerfile else tarball(name) if is_tarball(name) else None
        return self._spec.key(name, platform, stamp(file) if file else "")

    async def _furnish(self, container: dagger.Container, name: str) -> dagger.Container:
        bundle = self._session.client.host().directory(str(self._bundle), no_cache=True)
        box = (
            container.with_user("root")
            .with_directory("/ccterm", bundle)
            .with_exec(["sh", "-c", image_spec.FURNISH])
            .with_workdir("/box")
            .with_env_variable("LANG", "C.UTF-8")
            .with_env_variable("OTEL_SDK_DISABLED", "true")  # the engine sets an exporter in every container
            .with_env_variable("OTEL_TRACES_EXPORTER", "none")
        )
        return await image_query(box.sync(), f"preparing the image {name}")
