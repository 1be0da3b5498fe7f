"""Builds one image for boxes: inspects its base, adds what is missing where it may, and keeps the result as a tarball."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import dagger
from dagger import ReturnType

from ccterm.errors import PreflightError
from ccterm.executors.dagger import image_spec
from ccterm.executors.dagger.build_log import BuildLog
from ccterm.executors.dagger.command import progress
from ccterm.executors.dagger.errors import image_query
from ccterm.executors.dagger.image_spec import ImageSpec
from ccterm.executors.dagger.image_store import ImageRecord, ImageStore, file_digest, is_tarball, tarball
from ccterm.executors.dagger.session import Session, traced
from ccterm.models import now

Has = Mapping[str, str]
"""What an image has: tool -> path, and versions."""
CLAUDE_PATH = "/usr/local/bin/claude"


class ImageBuild:
    """The build of one image.

    name: its base, for messages. donor: the image whose Claude CLI is copied; None = installed with npm.
    """

    def __init__(self, session: Session, spec: ImageSpec, name: str, donor: dagger.Container | None = None) -> None:
        self._session, self._spec, self._name, self._donor = session, spec, name, donor

    def source(self, *, dockerfile: bool = False) -> dagger.Container:
        """Return the base. Raises PreflightError when its file does not exist."""
        if not dockerfile:
            return named_image(self._session.client, self._name)
        path = Path(self._name)
        if not path.is_file():
            raise PreflightError(f"the Dockerfile {path} does not exist", "fix dockerfile in the settings of the repository")
        return self._session.client.host().directory(str(path.parent), no_cache=True).docker_build(dockerfile=path.name)

    async def run(self, key: str, store: ImageStore, source: dagger.Container) -> ImageRecord:
        """Complete the image, keep it and record it. Raises PreflightError, with the last lines of output, when that fails."""
        async with BuildLog.open(store.log(key), f"the image for boxes, from {self._name}") as log:
            with traced() as trace, self._session.stream.listening(trace, log):
                has = await self._probe(source)
                whole = await self._complete(source, has) if self._donor is None else await self._add_claude(source, has, self._donor)
                if whole is not source:
                    try:  # under the trace that the log listens to
                        whole = await image_query(whole.sync(), f"building the image from {self._name}")
                    finally:
                        await log.settle()
                    has = await self._probe(whole)
                image_spec.require(self._name, has)
                digest = await self._base_digest(source)
                kept = (
                    tarball(self._name)
                    if whole is source and is_tarball(self._name)
                    else await self._export(whole, store.tarball_path(key))
                )
        record = ImageRecord(
            key=key,
            name=self._name,
            base_digest=digest,
            claude_version=has.get("claude-version", ""),
            platform=await image_query(self._session.client.default_platform(), "asking the engine for its platform"),
            built=now(),
            tarball=kept,
            size=kept.stat().st_size,
            digest=await asyncio.to_thread(file_digest, kept),
        )
        await asyncio.to_thread(store.put, record)
        return record

    async def _probe(self, container: dagger.Container) -> Has:
        probe = container.with_user("root").with_exec(["sh", "-c", image_spec.PROBE], expect=ReturnType.ANY)
        with traced():  # its output is not for the log
            return image_spec.parse_probe(await image_query(probe.stdout(), f"inspecting the image {self._name}"))

    async def _complete(self, source: dagger.Container, has: Has) -> dagger.Container:
        """Install what ccterm's own image lacks."""
        whole, wanted = source, self._spec.claude_version
        if image_spec.tools_missing(has):
            if "apt-get" not in has:
                image_spec.require(self._name, has)
            progress.info("installing what boxes need into %s, once; about two minutes", self._name)
            whole = whole.with_user("root").with_exec(["sh", "-c", image_spec.INSTALL])
        if has.get("claude-version") != wanted:
            self._refuse_without_npm(has)
            progress.info("installing the Claude CLI %s, once", wanted)
            whole = whole.with_user("root").with_exec(["sh", "-c", image_spec.NPM.format(version=wanted)])
        return whole

    def _refuse_without_npm(self, has: Has) -> None:
        if "npm" not in has:
            there = f"the Claude CLI {has['claude-version']}" if "claude-version" in has else "no Claude CLI"
            wanted = self._spec.claude_version
            fix = f"put the CLI {wanted} or npm into the image" + (
                "; or set claude_version to what it has" if "claude-version" in has else ""
            )
            raise PreflightError(f"the image {self._name} has {there}, and no npm to install {wanted} with", fix)

    async def _add_claude(self, source: dagger.Container, has: Has, donor: dagger.Container) -> dagger.Container:
        """Copy the donor's Claude CLI into the user's image, unless it already has that version."""
        image_spec.require(self._name, has)
        if has.get("claude-version") == self._spec.claude_version:
            return source
        path = (await self._probe(donor))["claude-file"]
        return source.with_user("root").with_file(CLAUDE_PATH, donor.file(path), permissions=0o755)

    async def _base_digest(self, source: dagger.Container) -> str:
        if is_tarball(self._name) or Path(self._name).is_file():
            return await asyncio.to_thread(file_digest, Path(self._name).expanduser())
        with suppress(dagger.QueryError):
            return await source.image_ref()
        return self._name

    async def _export(self, whole: dagger.Container, path: Path) -> Path:
        progress.info("keeping the image in %s, for starts without a network", path)
        fresh = path.with_name(f".{path.name}.new")
        await image_query(whole.export(str(fresh)), f"building the image from {self._name}")
        await asyncio.to_thread(fresh.rename, path)
        return path


def named_image(client: dagger.Client, name: str) -> dagger.Container:
    """Return the image that a name stands for: a tarball on this machine, or a reference. Raises PreflightError when the tarball does not exist."""
    if is_tarball(name):
        return client.container().import_(client.host().file(str(tarball(name))))
    return client.container().from_(name)
