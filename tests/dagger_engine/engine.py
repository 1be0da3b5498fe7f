"""The engine: a thread that serves sessions on a socket, and that can die and come back."""

import asyncio
import base64
import contextlib
import json
import os
import random
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal

from tests.dagger_engine import trees, wire
from tests.dagger_engine.container import Container
from tests.dagger_engine.graph import Args, Chain, Fault, Refused, Thing, Walk, introspected, introspects
from tests.dagger_engine.images import FakeImage
from tests.dagger_engine.logs import Logs
from tests.dagger_engine.store import Query, Store
from tests.dagger_engine.things import PLATFORM, VERSION, CacheVolume, Host, Secret
from tests.dagger_engine.wire import Request

Ending = Literal["silent", "cut", "error"]
_ENDINGS: tuple[Ending, ...] = ("silent", "cut", "error")
_REALM = 'Basic realm="Access to the Dagger engine session"'


@dataclass(frozen=True)
class Root(Thing):
    """The root of every query."""

    kind: ClassVar[str] = "Query"

    def call_version(self, query: Query, args: Args) -> str:
        return VERSION

    def call_default_platform(self, query: Query, args: Args) -> str:
        return PLATFORM

    def call_container(self, query: Query, args: Args) -> Container:
        return Container(chain=args.chain)

    def call_host(self, query: Query, args: Args) -> Host:
        return Host(chain=args.chain)

    def call_set_secret(self, query: Query, args: Args) -> Secret:
        name = args.text("name")
        query.secrets[name] = args.text("plaintext")
        return Secret(name, chain=Chain().then("setSecret", name))

    def call_cache_volume(self, query: Query, args: Args) -> CacheVolume:
        return CacheVolume(args.text("key"), chain=args.chain)

    def call_node(self, query: Query, args: Args) -> Thing:
        return query.thing(args.text("id"))


@dataclass
class Faults:
    """How an engine misbehaves; may be changed while it runs."""

    deaf: bool = False
    """It accepts connections but opens no session."""
    no_logs: bool = False
    """It has no log route, so nothing is streamed."""
    break_logs: int = 0
    """Each connection of the log stream is cut after so many events; 0 = never."""
    late_logs: float = 0.0
    """Seconds that the output of the next session comes later, as on a busy machine."""
    ending: Ending | None = None
    """How a query ends when its session closes; None = random."""


@dataclass
class Session:
    """One session: its secrets, logs and connections."""

    logs: Logs = field(default_factory=Logs)
    secrets: dict[str, str] = field(default_factory=dict)
    snapshots: dict[str, Thing] = field(default_factory=dict)
    tasks: "set[asyncio.Task[None]]" = field(default_factory=set)
    closing: bool = False
    """The client said goodbye, so pending queries get an answer."""


class FakeEngine:
    """An engine in a thread, from `start` to `stop`. images: in its registry, by reference. seed: of its random choices."""

    def __init__(self, images: Mapping[str, FakeImage] | None = None, *, seed: int = 0) -> None:
        self.faults = Faults()
        self._images, self._random = dict(images or {}), random.Random(seed)
        self._directory = Path(
            tempfile.mkdtemp(prefix="fake-", dir=os.environ.get("PYTEST_DEBUG_TEMPROOT", "/tmp"))
        )  # sockets need short paths
        self.socket = self._directory / "engine.sock"
        self._sessions: dict[str, Session] = {}
        self._lives = 0
        self.answering = 0
        """How many queries it is answering."""
        self._defects: list[Exception] = []
        self._thread: threading.Thread | None = None

    @property
    def runner(self) -> str:
        """Its address for clients."""
        return f"unix://{self.socket}"

    @property
    def executed(self) -> list[tuple[str, ...]]:
        """The arguments of all execs that ran since it started."""
        return self._store.executed

    @property
    def sessions(self) -> int:
        """Number of open sessions."""
        return len(self._sessions)

    def __enter__(self) -> "FakeEngine":
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()
        trees.remove(self._directory)
        if self._defects:
            raise ExceptionGroup("the fake engine is broken", self._defects)

    def start(self) -> None:
        """Start serving. Only the registry survives from before."""
        self._lives += 1
        place = self._directory / f"life-{self._lives}"
        place.mkdir()
        self._store = Store(place, self._images)
        ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve(ready)), daemon=True)
        self._thread.start()
        ready.wait()

    def forget(self, reference: str) -> None:
        """Remove an image from its registry, as if the network were down."""
        del self._images[reference]

    def stop(self) -> None:
        """Die at once: connections break and processes end."""
        if self._thread:
            self._loop.call_soon_threadsafe(self._over.set)
            self._thread.join()
            self._thread = None

    async def _serve(self, ready: threading.Event) -> None:
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        server = await asyncio.start_unix_server(self._client, self.socket)
        ready.set()
        await self._over.wait()
        server.close()
        self.socket.unlink(missing_ok=True)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._store.stop()
        self._sessions.clear()

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._tasks.add(task)
        try:
            while request := await wire.read_request(reader):
                if not await self._answered(request, reader, writer):
                    break
        except (OSError, asyncio.CancelledError):
            pass  # the client is gone, or the session or the engine ends
        except Exception as error:  # noqa: BLE001 - a bug in the stand-in: raised at the end of the test
            self._defects.append(error)
        finally:
            self._tasks.discard(task)
            writer.transport.abort() if self._over.is_set() else writer.close()

    async def _answered(self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request. Returns whether the connection stays open."""
        if self.faults.deaf:
            await self._over.wait()
        token = _token(request)
        if request.path == "/session":
            await self._hold(token, reader, writer)
            return False
        session = self._sessions.get(token)
        if session is None:
            writer.write(wire.answer(401, www_authenticate=_REALM))
            return True
        task = asyncio.current_task()
        assert task
        session.tasks.add(task)
        try:
            if request.path == "/v1/logs" and not self.faults.no_logs:
                return await self._stream(session, request, reader, writer)
            if request.path == "/query":
                return await self._queried(session, request, reader, writer)
            writer.write(wire.answer(404, b"404 page not found\n", content_type="text/plain; charset=utf-8"))
            return True
        finally:
            session.tasks.discard(task)

    async def _hold(self, token: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Keep a session open while its client is connected."""
        session = self._sessions[token] = Session(Logs(self.faults.late_logs))
        writer.write(wire.answer(200))
        try:
            with contextlib.suppress(OSError):
                session.closing = await reader.read() != b""
        finally:
            self._sessions.pop(token, None)
            for task in list(session.tasks):
                task.cancel()

    async def _stream(self, session: Session, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        writer.write(wire.begin_stream())
        left = self.faults.break_logs
        gone = asyncio.ensure_future(reader.read(1))
        gone.add_done_callback(lambda _: sending.cancel())

        async def send() -> None:
            nonlocal left
            async for event in session.logs.events(request.headers.get("x-last-event-id", "")):
                writer.write(wire.piece(event))
                await writer.drain()
                left -= 1
                if not left:
                    writer.transport.abort()
                    return
            writer.write(wire.LAST_PIECE)

        sending = asyncio.ensure_future(send())
        try:
            await asyncio.wait([sending])
        finally:
            sending.cancel()
            gone.cancel()
            if session.closing:
                writer.write(wire.LAST_PIECE)
        return False

    async def _queried(self, session: Session, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer a query; cancel it when its client disconnects."""
        self.answering += 1
        query = asyncio.ensure_future(self._result(session, request))
        gone = asyncio.ensure_future(reader.read(1))
        try:
            await asyncio.wait([query, gone], return_when=asyncio.FIRST_COMPLETED)
            if query.done():
                writer.write(query.result())
            return query.done() and not gone.done()
        except asyncio.CancelledError:
            if session.closing:
                self._end(writer)
            raise
        finally:
            gone.cancel()
            query.cancel()
            await asyncio.gather(query, gone, return_exceptions=True)
            self.answering -= 1

    def _end(self, writer: asyncio.StreamWriter) -> None:
        """End a query whose session closes, in one of the three ways that were observed."""
        said = wire.document(200, Fault("session is closing").document)
        match self.faults.ending or self._random.choice(_ENDINGS):
            case "error":
                writer.write(said)
            case "cut":
                writer.write(said[: said.index(b"\r\n\r\n") + 4])
            case _:
                pass

    async def _result(self, session: Session, request: Request) -> bytes:
        if request.method == "POST" and not request.headers.get("content-type", "").startswith("application/json"):
            return wire.document(400, Refused(400, "transport not supported").document)
        try:
            asked = json.loads(request.body) if request.body else {}
        except ValueError as error:
            return wire.document(400, Refused(400, f"json request body could not be decoded: {error}").document)
        text = asked.get("query") if isinstance(asked, dict) else None
        if not isinstance(text, str) or not text:
            return wire.document(422, Refused(422, "no operation provided", extensions={"code": "GRAPHQL_VALIDATION_FAILED"}).document)
        trace, span = _traced(request)
        query = Query(self._store, session.logs, session.secrets, trace, span, session.snapshots)
        try:
            if introspects(text):
                return wire.answer(200, introspected(text), content_type="application/json")
            return wire.document(200, {"data": await Walk(query, text, asked.get("variables") or {}).answer(Root())})
        except Refused as refused:
            return wire.document(refused.status, refused.document)
        except Fault as fault:
            return wire.document(200, fault.document)


def _token(request: Request) -> str:
    """Return the user name of a Basic authorization with an empty password, or ""."""
    kind, _, value = request.headers.get("authorization", "").partition(" ")
    with contextlib.suppress(ValueError):
        user, _, password = base64.b64decode(value).decode().partition(":")
        return user if kind == "Basic" and not password else ""
    return ""


def _traced(request: Request) -> tuple[str, str]:
    parts = request.headers.get("traceparent", "").split("-")
    return (parts[1], parts[2]) if len(parts) == 4 else ("0" * 32, "0" * 16)
