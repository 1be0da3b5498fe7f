"""A smart-HTTP git remote over `git http-backend` that can require a token and misbehaves on demand."""

import base64
import subprocess
import tempfile
import threading
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path, PurePosixPath
from typing import IO, Literal
from urllib.parse import parse_qs, unquote, urlsplit

from tests.servers.loopback import Gate, Handler, Loopback
from tests.support.git import git_environment


class Kind(StrEnum):
    """The four requests of smart HTTP, and anything else."""

    DISCOVER_FETCH = "discover-fetch"
    FETCH = "fetch"
    DISCOVER_PUSH = "discover-push"
    PUSH = "push"
    OTHER = "other"


@dataclass(frozen=True)
class Request:
    """One request as it was received."""

    kind: Kind
    method: str
    path: str
    headers: dict[str, str]

    @property
    def authorization(self) -> str | None:
        """Return the header as it was sent."""
        return self.headers.get("Authorization")

    @property
    def login(self) -> tuple[str, str] | None:
        """Return user and password of a Basic authorization."""
        scheme, _, value = (self.authorization or "").partition(" ")
        if scheme != "Basic":
            return None
        user, _, password = base64.b64decode(value).decode().partition(":")
        return user, password


@dataclass(frozen=True)
class Status:
    """Answer with this status instead."""

    code: int
    body: bytes = b"no\n"


@dataclass(frozen=True)
class Drop:
    """Reset the connection: before git sees the request, or after it did the work (the reply is lost)."""

    when: Literal["before", "after"]


@dataclass(frozen=True)
class Hang:
    """Wait at a gate, then continue normally."""

    gate: Gate


@dataclass(frozen=True)
class Redirect:
    """Send the client to another origin, same path."""

    origin: str


CHUNK = 64 * 1024
Fault = Status | Drop | Hang | Redirect


class GitServer(Loopback):
    """Serves every bare repository below `root`.

    token: password that is asked for, with any user name unless `user` is given. public_read: fetching needs no token.
    `fail` installs faults, `requests` records what came in.
    """

    def __init__(self, root: Path, *, token: str | None = None, user: str | None = None, public_read: bool = False) -> None:
        super().__init__(_GitHandler)
        self.root = root
        self.token = token
        self.user = user
        self.public_read = public_read
        self.requests: list[Request] = []
        self._faults: list[_Planned] = []
        self._lock = threading.Lock()

    def url(self, name: str) -> str:
        """Return the URL of the repository at `root`/`name`."""
        return f"{self.origin}/{name}"

    def fail(self, kind: Kind, fault: Fault, *, times: int | None = None) -> None:
        """Answer requests of this kind with a fault: the next `times` ones, or all."""
        with self._lock:
            self._faults.append(_Planned(kind, fault, times))

    def heal(self) -> None:
        """Forget all faults."""
        with self._lock:
            self._faults.clear()

    def take(self, request: Request) -> Fault | None:
        """Record a request and return the fault it gets, if any."""
        with self._lock:
            self.requests.append(request)
            for planned in self._faults:
                if planned.kind == request.kind and planned.use():
                    return planned.fault
        return None

    def admits(self, request: Request) -> bool:
        """Return whether the request has the token, or needs none."""
        if self.token is None or (self.public_read and request.kind in (Kind.DISCOVER_FETCH, Kind.FETCH)):
            return True
        login = request.login
        return login is not None and login[1] == self.token and self.user in (None, login[0])

    def __exit__(self, *exc: object) -> None:
        for planned in self._faults:
            if isinstance(planned.fault, Hang):
                planned.fault.gate.open()
        super().__exit__(*exc)


class _Planned:
    def __init__(self, kind: Kind, fault: Fault, times: int | None) -> None:
        self.kind = kind
        self.fault = fault
        self._left = times

    def use(self) -> bool:
        if self._left is None:
            return True
        self._left -= 1
        return self._left >= 0


class _GitHandler(Handler):
    server: GitServer

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def _serve(self) -> None:
        self.close_connection = True  # one request per connection, or clients might mistake a fault for a stale connection
        with tempfile.TemporaryFile() as body:
            for piece in self.body():
                body.write(piece)
            request = Request(_kind(self.path), self.command, self.path, dict(self.headers))
            self._meet(request, self.server.take(request), body)

    def _meet(self, request: Request, fault: Fault | None, body: IO[bytes]) -> None:
        match fault:
            case Status(code, text):
                self._refuse(code, text)
            case Redirect(origin):
                self.answer(302, headers={"Location": origin + self.path})
            case Drop("before"):
                self.hang_up()
            case Hang(gate):
                gate.pass_through()
                self._meet(request, None, body)
            case _ if not self.server.admits(request):
                self._refuse(401, b"a token, please\n")
            case _:
                self._backend(body, reply_lost=fault is not None)

    def _refuse(self, status: int, body: bytes) -> None:
        challenge = {"WWW-Authenticate": 'Basic realm="git"'} if status == 401 else {}
        self.answer(status, body, {"Content-Type": "text/plain", "Connection": "close"} | challenge)

    def _backend(self, body: IO[bytes], *, reply_lost: bool) -> None:
        size = body.tell()
        body.seek(0)
        command = ["git", "-c", "http.receivepack=true", "-c", "safe.directory=*", "http-backend"]
        with subprocess.Popen(command, env=self._cgi(size), stdin=body, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as backend:
            assert backend.stdout
            if reply_lost:
                backend.stdout.read()
                self.hang_up()
            else:
                self._reply(backend.stdout)

    def _cgi(self, size: int) -> dict[str, str]:
        url = urlsplit(self.path)
        return git_environment() | {
            "GIT_PROJECT_ROOT": str(self.server.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "REQUEST_METHOD": self.command,
            "PATH_INFO": unquote(url.path),
            "QUERY_STRING": url.query,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(size),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "REMOTE_ADDR": "127.0.0.1",
            "REMOTE_USER": "",
        }

    def _reply(self, stdout: IO[bytes]) -> None:
        fields = dict(line.decode().rstrip("\r\n").split(": ", 1) for line in iter(stdout.readline, b"\r\n"))
        self.begin(int(fields.pop("Status", "200").split()[0]), fields)
        while data := stdout.read(CHUNK):
            self.piece(data)
        self.end()


def _kind(path: str) -> Kind:
    url = urlsplit(path)
    service = parse_qs(url.query).get("service", [""])[0] if url.path.endswith("/info/refs") else PurePosixPath(url.path).name
    fetch, push = (Kind.DISCOVER_FETCH, Kind.DISCOVER_PUSH) if url.path.endswith("/info/refs") else (Kind.FETCH, Kind.PUSH)
    return {"git-upload-pack": fetch, "git-receive-pack": push}.get(service, Kind.OTHER)
