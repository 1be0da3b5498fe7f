"""Containers: described by calls, and built when a result is requested."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar

from ccterm.executors.dagger.image_build import CLAUDE_PATH
from tests.dagger_engine import trees
from tests.dagger_engine.execs import Order, Printer, Process, Ran, make_git, trimmed
from tests.dagger_engine.forward import Forward
from tests.dagger_engine.graph import Args, Chain, Fault, Thing
from tests.dagger_engine.images import FakeImage, Known, known
from tests.dagger_engine.logs import REPEATED, Record
from tests.dagger_engine.store import Query
from tests.dagger_engine.things import PLATFORM, CacheVolume, Directory, File, Secret, Service, Socket, known_owner

Change = Callable[[Query, Path], Awaitable[None]]
"""Changes files below a root."""
_LEAST = 0.1
"""Minimum seconds of an exec; a faster answer comes from the cache."""
_FULL = "failed to write: write /var/lib/dagger/tmp/image.tar: no space left on device"
_USERS = ("", "root", "agent", "0", "1001")
_HOME = ("box", "work", "home/agent/.npm", "home/agent/.cache/pip")


@dataclass(frozen=True)
class Exec:
    """One exec in a container."""

    before: "Container"
    args: tuple[str, ...]
    stdin: str
    expect: str
    chain: Chain

    async def ran(self, query: Query) -> Ran:
        """Return its result, running it if it has not run yet. Raises Fault when it failed."""
        return await query.store.once(self.chain.digest, lambda: self._carried_out(query))

    async def _carried_out(self, query: Query) -> Ran:
        order = self.before.order
        hidden = {name: secret.value(query) for name, secret in self.before.secrets}
        if order.user not in _USERS:
            raise self._fault(query, -1, f"get user: unable to find user {order.user}: no matching entries in passwd file")
        for alias, service in self.before.services:
            if not service.ready:
                raise self._fault(query, -1, f"start {secrets.token_hex(6)} (aliased as {alias}): service exited before healthcheck")
        root = query.store.fresh("roots")
        await self.before.build(query, root)
        printer = Printer(query.logs, query.trace, list(hidden.values()))
        query.store.executed.append(self.args)
        answer = known(self.args, self.before.image)
        if answer is None:
            code = await self._process(query, replace(order, args=self.args, stdin=self.stdin, hidden=hidden), root, printer)
        else:
            code = _answered(answer, root, printer)
        printer.end()
        ran = Ran(root, code, printer.kept(1), printer.kept(2))
        if code in range(128, 192) or (code and self.expect == "SUCCESS") or (not code and self.expect == "FAILURE"):
            raise self._fault(query, code, f"exit code: {code}", ran)
        return ran

    def _fault(self, query: Query, code: int, message: str, ran: Ran | None = None) -> Fault:
        said = {"stdout": trimmed(ran.stdout) if ran else "", "stderr": trimmed(ran.stderr) if ran else ""}
        return Fault(query.traced(message), _type="EXEC_ERROR", cmd=self.args, exitCode=code, **said)

    async def _process(self, query: Query, order: Order, root: Path, printer: Printer) -> int:
        async with AsyncExitStack() as stack:
            targets = {
                (alias, seen): (service.host, port)
                for alias, service in self.before.services
                for seen, port in (service.ports or {}).items()
            }
            path = str(query.store.shims)
            if targets:
                order = replace(order, env={"http_proxy": await stack.enter_async_context(Forward(targets)), **order.env})
                here = stack.enter_context(TemporaryDirectory())
                make_git(Path(here, "git"), {target: host for target, (host, _) in targets.items()})
                path = f"{here}:{path}"
            code, _ = await asyncio.gather(Process(order, root, path, printer).run(), asyncio.sleep(_LEAST))
            return code


def _answered(answer: Known, root: Path, printer: Printer) -> int:
    for stream, text in ((1, answer.stdout), (2, answer.stderr)):
        if text:
            printer.take(stream, text.encode(), last=True)
    if "agent" in answer.image.has:
        for name in _HOME:
            (root / name).mkdir(parents=True, exist_ok=True)
    return answer.code


@dataclass(frozen=True)
class Container(Thing):
    """A container as described by calls. last: the exec that its files come from. changes: made to its files since then."""

    kind: ClassVar[str] = "Container"
    image: FakeImage = field(default_factory=FakeImage)
    reference: str = ""
    last: Exec | None = None
    changes: tuple[Change, ...] = ()
    order: Order = field(default_factory=Order)
    secrets: tuple[tuple[str, Secret], ...] = ()
    services: tuple[tuple[str, Service], ...] = ()
    healthy: bool = True

    async def root(self, query: Query) -> Path:
        """Return its root directory, which no longer changes."""
        if self.last and not self.changes:
            return (await self.last.ran(query)).root

        async def made() -> Ran:
            fresh = query.store.fresh("roots")
            await self.build(query, fresh)
            return Ran(fresh)

        return (await query.store.once(f"files of {self.chain.digest}", made)).root

    async def build(self, query: Query, root: Path) -> None:
        """Build its files in an unused directory."""
        if self.last:
            await asyncio.to_thread(trees.copy_root, (await self.last.ran(query)).root, root)
        else:
            root.mkdir(parents=True)
        for change in self.changes:
            await change(query, root)

    def _changed(self, args: Args, change: Change) -> "Container":
        return replace(self, chain=args.chain, changes=(*self.changes, change))

    def _ordered(self, args: Args, order: Order) -> "Container":
        return replace(self, chain=args.chain, order=order)

    async def _ran(self, query: Query) -> Ran:
        if self.last is None:
            raise Fault("no command has been set")
        return await self.last.ran(query)

    # origin

    def call_from(self, query: Query, args: Args) -> "Container":
        return pulled(query, args.text("address"), args.chain)

    async def call_import(self, query: Query, args: Args) -> "Container":
        path = await args.thing("source", File).place(query)
        try:
            image = FakeImage.read(path)
        except ValueError:

            async def broken(query: Query, root: Path) -> None:
                raise Fault(query.traced("image archive import: unexpected EOF"))

            return self._changed(args, broken)
        return replace(self, chain=args.chain, image=image)

    def call_image_ref(self, query: Query, args: Args) -> str:
        if not self.reference or self.last or self.changes:
            raise Fault("Image reference can only be retrieved immediately after the 'Container.From' call.")
        return f"{self.reference.split('@')[0]}@sha256:{self.chain.digest}"

    # description

    def call_with_user(self, query: Query, args: Args) -> "Container":
        return self._ordered(args, replace(self.order, user=args.text("name")))

    def call_with_workdir(self, query: Query, args: Args) -> "Container":
        return self._ordered(args, replace(self.order, workdir=args.text("path")))

    def call_with_env_variable(self, query: Query, args: Args) -> "Container":
        return self._ordered(args, replace(self.order, env={**self.order.env, args.text("name"): args.text("value")}))

    def call_with_secret_variable(self, query: Query, args: Args) -> "Container":
        return replace(self, chain=args.chain, secrets=(*self.secrets, (args.text("name"), args.thing("secret", Secret))))

    def call_with_service_binding(self, query: Query, args: Args) -> "Container":
        return replace(self, chain=args.chain, services=(*self.services, (args.text("alias"), args.thing("service", Service))))

    def call_with_unix_socket(self, query: Query, args: Args) -> "Container":
        known_owner(query, args.text("owner"))
        return self._linked(args, Path(args.thing("source", Socket).name))

    def call_with_mounted_cache(self, query: Query, args: Args) -> "Container":
        return self._linked(args, query.store.cache(args.thing("cache", CacheVolume).name))

    def _linked(self, args: Args, target: Path) -> "Container":
        return self._ordered(args, replace(self.order, links={**self.order.links, args.text("path"): target}))

    def call_with_exposed_port(self, query: Query, args: Args) -> "Container":
        return replace(self, chain=args.chain)

    def call_with_docker_healthcheck(self, query: Query, args: Args) -> "Container":
        return replace(self, chain=args.chain, healthy=list(args.texts("args")) != ["false"])

    def call_as_service(self, query: Query, args: Args) -> Service:
        return Service(chain=args.chain, ready=self.healthy)

    # files and execs

    def call_with_new_file(self, query: Query, args: Args) -> "Container":
        known_owner(query, args.text("owner"))

        async def written(query: Query, root: Path) -> None:
            place = trees.place(root, args.text("path"))
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(args.text("contents"))
            place.chmod(args.number("permissions") or 0o644)

        return self._changed(args, written)

    def call_with_directory(self, query: Query, args: Args) -> "Container":
        known_owner(query, args.text("owner"))
        source = args.thing("source", Directory)

        async def copied(query: Query, root: Path) -> None:
            await asyncio.to_thread(trees.copy, await source.place(query), trees.place(root, args.text("path")))

        return self._changed(args, copied)

    def call_with_mounted_directory(self, query: Query, args: Args) -> "Container":
        return self.call_with_directory(query, args)

    def call_with_file(self, query: Query, args: Args) -> "Container":
        source = args.thing("source", File)
        if args.text("path") == CLAUDE_PATH and isinstance(source.origin, Container):
            version = source.origin.image.has.get("claude-version", "")
            return replace(self, chain=args.chain, image=self.image.with_claude(version))

        async def copied(query: Query, root: Path) -> None:
            place = trees.place(root, args.text("path"))
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes((await source.place(query)).read_bytes())

        return self._changed(args, copied)

    def call_with_exec(self, query: Query, args: Args) -> "Container":
        if args.flag("experimentalPrivilegedNesting"):
            raise Fault("the fake engine grants no privileges")
        if args.flag("insecureRootCapabilities"):  # as an engine says that is configured so
            raise Fault("security.insecure is not allowed")
        words = tuple(args.texts("args"))
        answer = known(words, self.image)
        last = Exec(self, words, args.text("stdin"), args.text("expect") or "SUCCESS", args.chain)
        return replace(self, chain=args.chain, last=last, changes=(), image=answer.image if answer else self.image)

    # results

    def call_id(self, query: Query, args: Args) -> str:
        return query.store.identity(self)

    async def call_sync(self, query: Query, args: Args) -> str:
        if self.last or self.changes:
            await self.root(query)
        return query.store.identity(self)

    async def call_exit_code(self, query: Query, args: Args) -> int:
        return (await self._ran(query)).code

    async def call_stdout(self, query: Query, args: Args) -> str:
        return _repeated(query, (await self._ran(query)).stdout)

    async def call_stderr(self, query: Query, args: Args) -> str:
        return _repeated(query, (await self._ran(query)).stderr)

    def call_platform(self, query: Query, args: Args) -> str:
        return PLATFORM

    def call_directory(self, query: Query, args: Args) -> Directory:
        return Directory(self, args.text("path"), chain=args.chain)

    def call_file(self, query: Query, args: Args) -> File:
        return File(self, args.text("path"), chain=args.chain)

    async def call_exists(self, query: Query, args: Args) -> bool:
        return trees.place(await self.root(query), args.text("path")).exists()

    async def call_export(self, query: Query, args: Args) -> str:
        await self.root(query)
        if self.image.full:
            raise Fault(_FULL)
        self.image.tarball(Path(args.text("path")))
        return args.text("path")


def _repeated(query: Query, text: str) -> str:
    """Put a result into the log stream, as the engine does with all: marked, and with ends of its own."""
    span = secrets.token_hex(8)
    query.logs.add(
        Record(query.trace, span, 1, text, scope=REPEATED),
        Record(query.trace, span, 1, eof=True, scope=REPEATED),
        Record(query.trace, span, 2, eof=True, scope=REPEATED),
    )
    return text


def pulled(query: Query, address: str, chain: Chain) -> Container:
    """Return a container of an image that the registry has. Raises Fault."""
    if address not in query.store.images:
        host, _, name = address.split("@", maxsplit=1)[0].partition("/")
        raise Fault(
            f'failed to resolve image "{address}" (platform: "{PLATFORM}"): failed to do request: '
            f'Head "https://{host}/v2/{name}/manifests/latest": dial tcp: lookup {host}: no such host'
        )
    return Container(query.store.images[address], address, chain=chain)
