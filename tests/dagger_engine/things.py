"""The objects of the API except containers: the host, directories, files, secrets, caches, services."""

import asyncio
import platform
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Protocol

from tests.dagger_engine import trees
from tests.dagger_engine.graph import Args, Chain, Fault, Thing
from tests.dagger_engine.store import Query

if TYPE_CHECKING:
    from tests.dagger_engine.container import Container

VERSION = "v0.21.8"
PLATFORM = f"linux/{'arm64' if platform.machine() in ('arm64', 'aarch64') else 'amd64'}"
_NO_DIRECTORY = (
    "failed to get snapshot: failed to snapshot: failed to receive stat message: rpc error: code = NotFound desc = get full root path: "
    "rpc error: code = NotFound desc = eval symlinks: lstat {path}: no such file or directory"
)


class Origin(Protocol):
    """Where a directory or file comes from: a container, or the host."""

    async def root(self, query: Query) -> Path:
        """Return the directory on this machine that is its root."""
        ...


@dataclass(frozen=True)
class Snapshot:
    """A copy of a host directory or file."""

    path: Path

    async def root(self, query: Query) -> Path:
        """Return it."""
        return self.path


@dataclass(frozen=True)
class Directory(Thing):
    """A directory."""

    kind: ClassVar[str] = "Directory"
    origin: Origin = Snapshot(Path("/nowhere"))
    path: str = "/"

    async def place(self, query: Query) -> Path:
        """Return its path on this machine. Raises Fault when it does not exist."""
        found = trees.place(await self.origin.root(query), self.path)
        if not found.is_dir():
            raise Fault(query.traced(f"stat {self.path}: no such file or directory"))
        return found

    def call_id(self, query: Query, args: Args) -> str:
        return query.store.identity(self)

    async def call_sync(self, query: Query, args: Args) -> str:
        await self.place(query)
        return query.store.identity(self)

    async def call_entries(self, query: Query, args: Args) -> list[str]:
        place = await self.place(query)
        return sorted(path.name + ("/" if path.is_dir() and not path.is_symlink() else "") for path in place.iterdir())

    async def call_exists(self, query: Query, args: Args) -> bool:
        return trees.place(await self.place(query), args.text("path")).exists()

    def call_directory(self, query: Query, args: Args) -> "Directory":
        return Directory(self.origin, f"{self.path}/{args.text('path')}", chain=args.chain)

    def call_file(self, query: Query, args: Args) -> "File":
        return File(self.origin, f"{self.path}/{args.text('path')}", chain=args.chain)

    async def call_export(self, query: Query, args: Args) -> str:
        await asyncio.to_thread(trees.copy, await self.place(query), Path(args.text("path")))
        return args.text("path")

    async def call_docker_build(self, query: Query, args: Args) -> "Container":
        from tests.dagger_engine.container import pulled  # circular

        place = trees.place(await self.place(query), args.text("dockerfile") or "Dockerfile")
        if not place.is_file():
            raise Fault(f"failed to read dockerfile: open {place.name}: no such file or directory")
        words = place.read_text().split()
        return pulled(query, words[words.index("FROM") + 1], args.chain.then("content", trees.digest(place.parent)))


@dataclass(frozen=True)
class File(Thing):
    """A file."""

    kind: ClassVar[str] = "File"
    origin: Origin = Snapshot(Path("/nowhere"))
    path: str = "/"

    async def place(self, query: Query) -> Path:
        """Return its path on this machine. Raises Fault when it does not exist."""
        found = trees.place(await self.origin.root(query), self.path)
        if not found.is_file():
            raise Fault(query.traced(f"stat {self.path}: no such file or directory"))
        return found

    def call_id(self, query: Query, args: Args) -> str:
        return query.store.identity(self)

    async def call_contents(self, query: Query, args: Args) -> str:
        return (await self.place(query)).read_text(errors="replace")

    async def call_export(self, query: Query, args: Args) -> str:
        shutil.copy2(await self.place(query), args.text("path"))
        return args.text("path")


@dataclass(frozen=True)
class Named(Thing):
    """An object that only has a name."""

    name: str = ""

    def call_id(self, query: Query, args: Args) -> str:
        return query.store.identity(self)


class Secret(Named):
    """A secret: the last value that the session set for its name."""

    kind = "Secret"

    def value(self, query: Query) -> str:
        """Return it. Raises Fault."""
        if self.name not in query.secrets:
            raise Fault(f"secret {self.name} not found in session")
        return query.secrets[self.name]


class CacheVolume(Named):
    """A directory that many execs write to."""

    kind = "CacheVolume"


class Socket(Named):
    """A socket of the host, by its path."""

    kind = "Socket"


@dataclass(frozen=True)
class Service(Thing):
    """A service: ports of the host, or a container, which is resolved but not started."""

    kind: ClassVar[str] = "Service"
    host: str = ""
    ports: Mapping[int, int] | None = None
    """Port in the box -> port on the host."""
    ready: bool = True
    """Whether a container would become ready; one whose health check is `false` would not."""

    def call_id(self, query: Query, args: Args) -> str:
        return query.store.identity(self)


@dataclass(frozen=True)
class Host(Thing):
    """The client's machine."""

    kind: ClassVar[str] = "Host"

    async def call_directory(self, query: Query, args: Args) -> Directory:
        path = Path(args.text("path"))
        known = query.snapshots.get(str(path))
        if isinstance(known, Directory) and not args.flag("noCache"):
            return known
        if not path.is_dir():
            raise Fault(query.traced(_NO_DIRECTORY.format(path=path)))
        copied = query.store.fresh("snapshots")
        await asyncio.to_thread(trees.copy, path, copied, args.texts("exclude"))
        content = await asyncio.to_thread(trees.digest, copied)
        found = Directory(Snapshot(copied), chain=Chain(args.chain.names).then("content", content))
        query.snapshots[str(path)] = found
        return found

    def call_file(self, query: Query, args: Args) -> File:
        path = Path(args.text("path"))
        if not path.is_file():
            raise Fault(f"stat {path.name}: no such file or directory")
        facts = path.stat()
        said = [str(path), facts.st_size, facts.st_mtime_ns]
        return File(Snapshot(path.parent), path.name, chain=Chain(args.chain.names).then("content", said))

    def call_unix_socket(self, query: Query, args: Args) -> Socket:
        return Socket(args.text("path"), chain=args.chain)

    def call_service(self, query: Query, args: Args) -> Service:
        ports = {_number(each.get("frontend") or each["backend"]): _number(each["backend"]) for each in args.records("ports")}
        return Service(args.text("host"), ports, chain=args.chain)


def _number(value: object) -> int:
    assert isinstance(value, int)
    return value


def known_owner(query: Query, owner: str) -> None:
    """Raise Fault for an owner that no image has."""
    if owner not in ("", "root", "agent") and not owner.split(":", maxsplit=1)[0].isdecimal():
        raise Fault(query.traced(f"failed to resolve ownership for {owner}: find uid: no such user: {owner}"))
