"""The images of one session, each made ready once for all runs that need it."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import NamedTuple

import dagger

from ccterm.executors.dagger import image_spec
from ccterm.executors.dagger.image_build import Making, asked
from ccterm.executors.dagger.image_spec import ImageSpec
from ccterm.executors.dagger.image_store import ImageRecord, ImageStore, is_tarball, stamp, tarball
from ccterm.executors.dagger.network import Network
from ccterm.executors.dagger.session import Session, traced
from ccterm.models import ImageChoice, new_id


class Image(NamedTuple):
    """An image that boxes can be made of, on one session. networked: with what its programs must know to get out."""

    container: dagger.Container
    networked: dagger.Container
    record: ImageRecord


class RoundTrip(NamedTuple):
    """How long something small took in a container, in seconds, and the bytes that are free there; None = not known."""

    seconds: float
    free: int | None


class Images:
    """Makes images, or takes them from their tarballs. own: how ccterm's own is made. lib: the programs that run in boxes; reach: how boxes get out."""

    def __init__(self, session: Session, own: ImageSpec, store: ImageStore, lib: Path, reach: Network) -> None:
        self._session, self._own, self._store, self._lib = session, own, store, lib
        self.reach = reach
        self._ready: dict[str, asyncio.Task[Image]] = {}

    async def tool(self) -> Image:
        """Return ccterm's own image. Raises PreflightError when it cannot be had, StepError when the engine went away."""
        return await self._once("", self._tool)

    async def agent(self, choice: ImageChoice) -> Image:
        """Return the image for setup, agent and verify. Raises as `tool` does."""
        if choice == ImageChoice() or choice.reference == self._own.base:
            return await self.tool()
        return await self._once(choice.model_dump_json(), lambda: self._chosen(choice))

    async def _once(self, name: str, make: Callable[[], Awaitable[Image]]) -> Image:
        """Make an image once for all who wait; when that fails, the next who asks tries again."""
        if name not in self._ready or (self._ready[name].done() and self._ready[name].exception()):
            self._ready[name] = asyncio.ensure_future(make())
        return await asyncio.shield(self._ready[name])

    async def close(self) -> None:
        """Stop what is being made."""
        for task in self._ready.values():
            task.cancel()
        await asyncio.gather(*self._ready.values(), return_exceptions=True)

    async def kept(self) -> ImageRecord | None:
        """Return the record of ccterm's own image when it is made already."""
        return await asyncio.to_thread(self._store.get, await self._key(self._own.base))

    async def round_trip(self) -> RoundTrip:
        """Run something small in a container and time it."""
        box = (await self.tool()).container.with_env_variable("CCTERM_STEP", new_id()).with_exec(["df", "-Pk", "/box"])
        begin = time.monotonic()
        with traced():
            words = (await asked(box.stdout(), "a round trip in a container")).split()
        free = words[-3] if len(words) > 3 else ""
        return RoundTrip(time.monotonic() - begin, int(free) * 1024 if free.isdecimal() else None)

    async def _tool(self) -> Image:
        return await self._from(Making(self._session, self._own, self._own.base), self._own.base)

    async def _chosen(self, choice: ImageChoice) -> Image:
        name = choice.dockerfile or choice.reference or ""
        making = Making(self._session, self._own, name, donor=(await self.tool()).container)
        return await self._from(making, name, dockerfile=choice.dockerfile is not None)

    async def _from(self, making: Making, name: str, *, dockerfile: bool = False) -> Image:
        client = self._session.client
        source = making.source(dockerfile=dockerfile)
        key = await self._key(name, dockerfile=dockerfile)
        record = await asyncio.to_thread(self._store.get, key) or await making.make(key, self._store, source)
        container = client.container().import_(client.host().file(str(record.tarball)))
        with traced():  # what an exec prints goes to the query that first needs it: not to a run's
            box = await self._furnished(container, name)
            networked = self.reach.networked(box)
            if networked is not box:
                networked = await asked(networked.sync(), f"preparing the image {name} for the network")
            return Image(box, networked, record)

    async def _key(self, name: str, *, dockerfile: bool = False) -> str:
        platform = await asked(self._session.client.default_platform(), "asking the engine for its platform")
        file = Path(name) if dockerfile else tarball(name) if is_tarball(name) else None
        return self._own.key(name, platform, stamp(file) if file else "")

    async def _furnished(self, container: dagger.Container, name: str) -> dagger.Container:
        lib = self._session.client.host().directory(str(self._lib), no_cache=True)
        box = (
            container.with_user("root")
            .with_directory("/ccterm", lib)
            .with_exec(["sh", "-c", image_spec.FURNISH])
            .with_workdir("/box")
            .with_env_variable("LANG", "C.UTF-8")
            .with_env_variable("OTEL_SDK_DISABLED", "true")  # the engine puts an exporter into every container
            .with_env_variable("OTEL_TRACES_EXPORTER", "none")
        )
        return await asked(box.sync(), f"preparing the image {name}")
