"""All that is taken from uvicorn's insides: bounds on a connection that its settings do not have, and refusals in our own words."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle
from uvicorn.server import ServerState

from ccterm.api.limits import CONNECTIONS, HEADER_BYTES, HEADER_SECONDS, SLOW_SECONDS
from ccterm.api.problems import MEDIA_TYPE, HttpProblem


class Server(uvicorn.Server):
    """Serves an application until `should_exit` is set; signals are the command's."""

    def __init__(self, app: ASGIApp) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=_Connection,
                ws="none",
                lifespan="off",
                loop="none",
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                timeout_keep_alive=int(HEADER_SECONDS),
                timeout_graceful_shutdown=2,
                h11_max_incomplete_event_size=2 * HEADER_BYTES,  # the gate refuses more than one in its own words
            )
        )

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone."""
        yield


class _Timer:
    """Calls something after a while, unless it is cancelled."""

    def __init__(self) -> None:
        self._due: asyncio.TimerHandle | None = None

    def start(self, seconds: float, then: Callable[[], object]) -> None:
        """Start it; one that runs already goes on."""
        if self._due is None:
            self._due = asyncio.get_running_loop().call_later(seconds, then)

    def cancel(self) -> None:
        """Stop it."""
        if self._due:
            self._due.cancel()
        self._due = None


class _Connection(H11Protocol):
    """A connection that is closed when its request does not come in time, or when what is sent to it stays unread."""

    def __init__(
        self, config: uvicorn.Config, server_state: ServerState, app_state: dict[str, Any], _loop: asyncio.AbstractEventLoop | None = None
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._headers_due, self._read_due = _Timer(), _Timer()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        if len(self.connections) > CONNECTIONS:
            problem = HttpProblem(429, "too-many-connections", f"{CONNECTIONS} connections are open already", "close one")
            transport.write(_raw(429, "Too Many Requests", problem))
            transport.close()
            return
        self._expect_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        self._headers_due.cancel()
        self._read_due.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        before = self.cycle
        super().data_received(data)
        if self.cycle is not before:
            self._headers_due.cancel()
        elif _answered(before):
            self._expect_headers()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._read_due.start(SLOW_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        self._read_due.cancel()
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP."""
        self.transport.write(
            _raw(400, "Bad Request", HttpProblem(400, "not-http", msg.rstrip(".").lower(), "send HTTP/1.1, with headers of at most 16 KiB"))
        )
        self.transport.close()

    def _expect_headers(self) -> None:
        self._headers_due.start(HEADER_SECONDS, self.transport.abort)


def _answered(cycle: RequestResponseCycle | None) -> bool:
    """Whether no request is under way."""
    return cycle is None or cycle.response_complete


def _raw(status: int, phrase: str, problem: HttpProblem) -> bytes:
    headers: dict[str, Any] = {"content-type": MEDIA_TYPE, "content-length": len(problem.body), "connection": "close", "retry-after": 5}
    lines = [f"HTTP/1.1 {status} {phrase}", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode() + problem.body
