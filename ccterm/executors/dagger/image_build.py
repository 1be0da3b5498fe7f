"""Makes one image for boxes: looks into its base, adds what is missing where it may, and keeps the result as a tarball."""

import asyncio
from collections.abc import Awaitable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import dagger
from dagger import ReturnType

from ccterm.errors import PreflightError
from ccterm.executors.dagger import image_spec
from ccterm.executors.dagger.build_log import BuildLog
from ccterm.executors.dagger.command import progress
from ccterm.executors.dagger.errors import engine_fault, first_line, is_gone
from ccterm.executors.dagger.image_spec import ImageSpec
from ccterm.executors.dagger.image_store import ImageRecord, ImageStore, file_digest, is_tarball, tarball
from ccterm.executors.dagger.session import Session, traced
from ccterm.models import now

T = TypeVar("T")
Has = Mapping[str, str]
_OFFLINE = "check the network; offline, name the tarball of an image in CCTERM_BASE_IMAGE (docker save makes one)"
_SHOW = "ccterm image build shows all that it says"
_NETWORK_WORDS = ("resolve", "network", "connect", "timed out", "temporary failure", "unreachable", "enotfound", "eai_again")
CLAUDE_PLACE = "/usr/local/bin/claude"


class Making:
    """The making of one image. name: what it is made from, for people. donor: the image whose Claude CLI it gets; None = by npm."""

    def __init__(self, session: Session, own: ImageSpec, name: str, donor: dagger.Container | None = None) -> None:
        self._session, self._own, self._name, self._donor = session, own, name, donor

    def source(self, *, dockerfile: bool = False) -> dagger.Container:
        """Return what it is made from. Raises PreflightError when a file is not there."""
        if not dockerfile:
            return named_image(self._session.client, self._name)
        path = Path(self._name)
        if not path.is_file():
            raise PreflightError(f"the Dockerfile {path} is not there", "mend dockerfile in the settings of the repository")
        return self._session.client.host().directory(str(path.parent), no_cache=True).docker_build(dockerfile=path.name)

    async def make(self, key: str, store: ImageStore, source: dagger.Container) -> ImageRecord:
        """Complete the image, keep it and record it. Raises PreflightError, with its last words, when it cannot be made."""
        async with BuildLog.open(store.log(key), f"the image for boxes, from {self._name}") as log:
            with traced() as trace, self._session.stream.feeding(trace, log):
                has = await self._probed(source)
                whole = await self._completed(source, has) if self._donor is None else await self._given(source, has, self._donor)
                if whole is not source:
                    try:  # under the trace that the log hears
                        whole = await asked(whole.sync(), f"making the image from {self._name}")
                    finally:
                        await log.settled()
                    has = await self._probed(whole)
                image_spec.require(self._name, has)
                digest = await self._base_digest(source)
                kept = tarball(self._name) if whole is source and is_tarball(self._name) else await self._export(whole, store.place(key))
        record = ImageRecord(
            key=key,
            name=self._name,
            base_digest=digest,
            claude_version=has.get("claude-version", ""),
            platform=await asked(self._session.client.default_platform(), "asking for its platform"),
            built=now(),
            tarball=kept,
            size=kept.stat().st_size,
            digest=await asyncio.to_thread(file_digest, kept),
        )
        await asyncio.to_thread(store.put, record)
        return record

    async def _probed(self, container: dagger.Container) -> Has:
        probe = container.with_user("root").with_exec(["sh", "-c", image_spec.PROBE], expect=ReturnType.ANY)
        with traced():  # what it prints is for us, not for the log
            return image_spec.found(await asked(probe.stdout(), f"looking into the image {self._name}"))

    async def _completed(self, source: dagger.Container, has: Has) -> dagger.Container:
        """Install what ccterm's own image lacks."""
        whole, wanted = source, self._own.claude_version
        if image_spec.tools_missing(has):
            if "apt-get" not in has:
                image_spec.require(self._name, has)
            progress.info("installing what boxes need into %s, once; some two minutes", self._name)
            whole = whole.with_user("root").with_exec(["sh", "-c", image_spec.INSTALL])
        if has.get("claude-version") != wanted:
            self._refuse_without_npm(has)
            progress.info("installing the Claude CLI %s, once", wanted)
            whole = whole.with_user("root").with_exec(["sh", "-c", image_spec.NPM.format(version=wanted)])
        return whole

    def _refuse_without_npm(self, has: Has) -> None:
        if "npm" not in has:
            there = f"the Claude CLI {has['claude-version']}" if "claude-version" in has else "no Claude CLI"
            wanted = self._own.claude_version
            fix = f"put the CLI {wanted} or npm into the image" + (
                "; or set claude_version to what it has" if "claude-version" in has else ""
            )
            raise PreflightError(f"the image {self._name} has {there}, and no npm to install {wanted} with", fix)

    async def _given(self, source: dagger.Container, has: Has, donor: dagger.Container) -> dagger.Container:
        """Put the donor's Claude CLI into the user's image, unless it has one that fits."""
        image_spec.require(self._name, has)
        if has.get("claude-version") == self._own.claude_version:
            return source
        place = (await self._probed(donor))["claude-file"]
        return source.with_user("root").with_file(CLAUDE_PLACE, donor.file(place), permissions=0o755)

    async def _base_digest(self, source: dagger.Container) -> str:
        if is_tarball(self._name) or Path(self._name).is_file():
            return await asyncio.to_thread(file_digest, Path(self._name).expanduser())
        with suppress(dagger.QueryError):
            return await source.image_ref()
        return self._name

    async def _export(self, whole: dagger.Container, place: Path) -> Path:
        progress.info("keeping the image in %s, for starts without a network", place)
        fresh = place.with_name(f".{place.name}.new")
        await asked(whole.export(str(fresh)), f"making the image from {self._name}")
        await asyncio.to_thread(fresh.rename, place)
        return place


def named_image(client: dagger.Client, name: str) -> dagger.Container:
    """Return the image of a name: a tarball of this machine, else a reference. Raises PreflightError when the tarball is not there."""
    if is_tarball(name):
        return client.container().import_(client.host().file(str(tarball(name))))
    return client.container().from_(name)


async def asked(query: Awaitable[T], doing: str) -> T:
    """Await a query about an image. Raises PreflightError in one sentence, StepError when the engine went away."""
    try:
        return await query
    except dagger.ExecError as error:
        last = " / ".join(line.strip() for line in (error.stderr or error.stdout).splitlines()[-4:] if line.strip())
        raise PreflightError(f"{doing} failed: {last or f'exit {error.exit_code}'}", _advice(last)) from error
    except dagger.DaggerError as error:
        if is_gone(error):
            raise engine_fault(doing, error) from error
        raise PreflightError(f"{doing} failed: {first_line(error)}", _advice(str(error))) from error


def _advice(words: str) -> str:
    low = words.lower()
    if "no space left" in low:
        return "free some space on the engine's disk (dagger core engine local-cache prune)"
    return _OFFLINE if any(word in low for word in _NETWORK_WORDS) else _SHOW
