"""The private parts of the Dagger SDK that ccterm uses, all in one place. Where one is missing, the public way does the same at a higher cost.

They are looked up when they are used, so an SDK without one of them still loads.
"""

import asyncio
import contextlib
import dataclasses
import importlib.util
import os
import sys
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import dagger
import gql
import graphql
from dagger import Retry, Timeout

if TYPE_CHECKING:
    from dagger.client._session import BaseConnection

CLOSE_SECONDS = 2.0
_TIMEOUT = Timeout(None, connect=10)
_RETRY = Retry(execute=False)  # a second try would run an agent twice
_SCHEMA = Path(__file__).parent / "schema.graphqls"
_one_at_a_time = asyncio.Lock()


@asynccontextmanager
async def connected(port: int, token: str) -> AsyncIterator[dagger.Client]:
    """Connect to a session that listens on a port of the loopback. Raises DaggerError when it does not answer."""
    _agree_on_httpx()
    _spare_searches()
    connection = _connection(port, token)
    if connection is None:
        async with _one_at_a_time:
            with _announced(port, token):
                public = dagger.Connection(dagger.Config(timeout=_TIMEOUT, retry=_RETRY))
                client = await public.__aenter__()
        close = public.close
    else:
        client, close = _lean_client(await connection.connect()), connection.close
    try:
        yield client
    finally:
        with contextlib.suppress(dagger.DaggerError, TimeoutError, OSError):
            async with asyncio.timeout(CLOSE_SECONDS):  # a query in flight must not delay the exit
                await close()  # type: ignore[no-untyped-call] # the SDK's own


def _agree_on_httpx() -> None:
    """Let gql use the library that the SDK uses: it prefers httpx2 where that is installed, and then refuses what the SDK hands it."""
    with contextlib.suppress(ImportError, AttributeError):
        import httpx
        from gql.transport import httpx as transport

        setattr(transport, "httpx", httpx)  # noqa: B010 - as mypy sees it, the name is not exported


def _spare_searches() -> None:
    """Record that there is no sniffio if there is none: httpcore would search for it at each of its locks, fifty times a run."""
    if importlib.util.find_spec("sniffio") is None:
        sys.modules["sniffio"] = None  # type: ignore[assignment]  # as Python itself marks what cannot be imported


def _connection(port: int, token: str) -> "BaseConnection | None":
    """Return a connection that is not open yet. The public way finds its session through this process's environment."""
    try:
        from dagger.client._config import ConnectConfig
        from dagger.client._session import ConnectParams, SingleConnection

        connection = SingleConnection(ConnectParams(port=port, session_token=token), ConnectConfig(timeout=_TIMEOUT, retry=None))
    except (ImportError, TypeError):
        return None
    _give_schema(connection)
    return connection


def _give_schema(connection: "BaseConnection") -> None:
    """Give a connection the part of the schema that ccterm uses; else it would ask for all of it, which takes up to half a second."""
    client = getattr(connection.session, "client", None)
    if isinstance(client, gql.Client):
        client.schema, client.fetch_schema_from_transport = own_schema(), False


@cache
def own_schema() -> graphql.GraphQLSchema:
    """Return the part of the engine's schema that ccterm uses."""
    return graphql.build_schema(_SCHEMA.read_text(encoding="utf-8"), assume_valid=True)


@contextmanager
def _announced(port: int, token: str) -> Iterator[None]:
    """Name a session in the environment, where the SDK's public way looks for it."""
    os.environ.update(DAGGER_SESSION_PORT=str(port), DAGGER_SESSION_TOKEN=token)
    try:
        yield
    finally:
        for name in ("DAGGER_SESSION_PORT", "DAGGER_SESSION_TOKEN"):
            os.environ.pop(name, None)


def _lean_client(connection: "BaseConnection") -> dagger.Client:
    """Return a client whose queries share one converter.

    The SDK makes a converter for each call of a query (0.8 ms, and a box has twenty calls). The shared one cannot read
    objects that come in lists, which ccterm never asks for.
    """
    try:
        from dagger.client._core import Context, make_converter

        shared = make_converter(Context.__new__(Context))

        class LeanContext(Context):
            __slots__ = ()

            def __post_init__(self) -> None:
                self.converter = shared

        return dagger.Client(LeanContext(connection))
    except (ImportError, AttributeError, TypeError):
        client: dagger.Client = dagger.Client.from_connection(connection)
        return client


def with_cached_id(synced: dagger.Directory) -> dagger.Directory:
    """Return a directory, as `sync` returned it, that knows its id; the SDK asks for the id in every query that names a directory."""
    try:
        return _CachedDirectory(synced)
    except (AttributeError, LookupError, TypeError):
        return synced


class ExecResult(NamedTuple):
    """What one query told of an exec that has ended. stdout: None = not asked for."""

    container: dagger.Container
    outputs: Mapping[str, dagger.Directory]
    """By path."""
    stdout: str | None


async def exec_result(ran: dagger.Container, paths: Sequence[str], *, stdout: bool) -> ExecResult | None:
    """Run an exec and ask for all of its results in one query. Raises as any query, also when one of the paths does not exist.

    Returns None, without having run anything, where the SDK does not allow it.
    """
    try:
        context, fields = _joined(ran, paths, stdout=stdout)
    except (ImportError, AttributeError, TypeError):
        return None
    found: dict[str, Any] = await context.execute(fields)
    container = dagger.Container(context.select_id("Container", found["sync"]))
    directories = [dagger.Directory(context.select_id("Directory", found[f"path{n}"]["sync"])) for n in range(len(paths))]
    outputs = {path: with_cached_id(directory) for path, directory in zip(paths, directories, strict=True)}
    return ExecResult(container, outputs, found.get("stdout"))


def _joined(ran: dagger.Container, paths: Sequence[str], *, stdout: bool) -> tuple[Any, Any]:
    """Return the query of an exec with several fields of its result, and the type of the answer."""
    from dagger.client._core import Field

    fields = {"sync": Field("Container", "sync", {}), **({"stdout": Field("Container", "stdout", {})} if stdout else {})}
    for n, path in enumerate(paths):
        fields[f"path{n}"] = Field("Container", "directory", {"path": path}, children={"sync": Field("Directory", "sync", {})})
    context = ran._ctx
    context.select_id, context.execute  # noqa: B018 - looked up here, before anything runs
    *before, last = context.selections
    return dataclasses.replace(context, selections=deque([*before, dataclasses.replace(last, children=fields)])), dict[str, Any]


def asking_id_once(service: dagger.Service) -> dagger.Service:
    """Return a service that asks for its id when it is first named, and remembers it."""
    try:
        return _CachedService(service)
    except (AttributeError, TypeError):
        return service


def volume_asking_id_once(volume: dagger.CacheVolume) -> dagger.CacheVolume:
    """Return a cache volume that does the same."""
    try:
        return _CachedVolume(volume)
    except (AttributeError, TypeError):
        return volume


class _CachedDirectory(dagger.Directory):
    def __init__(self, synced: dagger.Directory) -> None:
        super().__init__(synced._ctx)
        _require_names(synced)
        self._id = str(synced._ctx.selections[0].args["id"])  # `sync` returns a query `node(id:)` made of the engine's answer

    async def id(self) -> str:
        return self._id

    @classmethod
    def _graphql_name(cls) -> str:
        return "Directory"


class _Once:
    """Asks once, however many wait for the answer, and again only after a failure."""

    def __init__(self, ask: Callable[[], Awaitable[str]]) -> None:
        self._ask = ask
        self._asked: asyncio.Future[str] | None = None

    async def __call__(self) -> str:
        if self._asked is None or (self._asked.done() and (self._asked.cancelled() or self._asked.exception())):
            self._asked = asyncio.ensure_future(self._ask())
        return await asyncio.shield(self._asked)


class _CachedService(dagger.Service):
    def __init__(self, service: dagger.Service) -> None:
        super().__init__(service._ctx)
        _require_names(service)
        self._once = _Once(super().id)

    async def id(self) -> str:
        return await self._once()

    @classmethod
    def _graphql_name(cls) -> str:
        return "Service"


class _CachedVolume(dagger.CacheVolume):
    def __init__(self, volume: dagger.CacheVolume) -> None:
        super().__init__(volume._ctx)
        _require_names(volume)
        self._once = _Once(super().id)

    async def id(self) -> str:
        return await self._once()

    @classmethod
    def _graphql_name(cls) -> str:
        return "CacheVolume"


def _require_names(made: dagger.Directory | dagger.Service | dagger.CacheVolume) -> None:
    """Raise AttributeError where the SDK does not ask a class for its name in the schema: a class of ours would be unknown to the engine."""
    made._graphql_name  # noqa: B018 - looked up, not used


async def downloaded_cli(announce: Callable[[str], None]) -> Path | None:
    """Return the SDK's own copy of the CLI, downloaded when it is not there yet: `announce` is then called with its version.

    Returns None where the SDK offers no download.
    """
    try:
        from dagger.provisioning._download import Downloader

        downloader = Downloader()
        kept = downloader.cache_dir / f"{downloader.CLI_BIN_PREFIX}{downloader.version}"
        get = downloader.get
    except (ImportError, AttributeError):
        return None
    if not kept.exists():
        announce(downloader.version)
    return Path(await get())
