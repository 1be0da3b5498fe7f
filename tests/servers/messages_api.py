"""A loopback Messages API that plays scripts to the real Claude CLI; each session has its own position in its script."""

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from tests.servers.loopback import Handler, Loopback
from tests.servers.messages_wire import Call, Json, broken_answer, read_call, stream_answer, whole_answer
from tests.servers.model_script import Cut, Part, Refuse, Silence, StreamError, Turn, say, unauthorized


class Document(NamedTuple):
    """What a path is answered with; status 0 = the connection is reset."""

    content: Json | None
    status: int = 200


class MessagesServer(Loopback):
    """Answers sessions from scripts, each from its own position in its script; after the end of a script it says "Done.".

    A session is known by its header, so a resumed one goes on where it was.
    """

    def __init__(self) -> None:
        super().__init__(_MessagesHandler)
        self.calls: list[Call] = []
        self.documents: dict[str, Document] = {}
        """What is answered to GET, by path; anything else is 404."""
        self.redirect = ""
        """Where POST is sent instead; "" = nowhere."""
        self.refused: set[str] = set()
        """Logins, without "Bearer ", that are answered 401 whatever the script says."""
        self.asked: list[tuple[str, Mapping[str, str]]] = []
        """Every GET: its path with the query, and its headers in lower case."""
        self._scripts: list[tuple[str, Sequence[Part]]] = []
        self._places: dict[str, _Place] = {}
        self._lock = threading.Lock()

    def script(self, prompt: str, *parts: Part) -> None:
        """Play these parts to every session whose first request contains `prompt` in a user's text."""
        self._scripts.insert(0, (prompt, parts))

    def take(self, call: Call) -> Part:
        """Record a request and return its part of the script."""
        with self._lock:
            self.calls.append(call)
            if call.headers.get("authorization", "").removeprefix("Bearer ") in self.refused:
                return unauthorized()
            if call.session not in self._places:
                self._places[call.session] = _Place(self._script_for(call))
            return self._places[call.session].advance()

    def _script_for(self, call: Call) -> Sequence[Part]:
        texts = "\n".join(call.user_texts)
        return next((parts for prompt, parts in self._scripts if prompt in texts), ())

    def __exit__(self, *exc: object) -> None:
        for _, parts in self._scripts:
            for part in parts:
                if isinstance(part, Turn | Silence) and part.gate:
                    part.gate.open()
        super().__exit__(*exc)


class _Place:
    """The position of one session in its script."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self._rest = list(parts)
        self._failed = 0

    def advance(self) -> Part:
        if not self._rest:
            return say("Done.")
        part = self._rest[0]
        self._failed += 1
        if isinstance(part, Turn) or self._failed == part.times:
            self._rest.pop(0)
            self._failed = 0
        return part


class _MessagesHandler(Handler):
    server: MessagesServer

    def do_HEAD(self) -> None:
        self.answer(200)

    def do_GET(self) -> None:
        self.server.asked.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
        match self.server.documents.get(self.path.partition("?")[0], Document(None, 404)):
            case Document(_, 0):
                self.hang_up()
            case Document(None, status):
                self.answer(status)
            case Document(content, status):
                self._json(status, content or {})

    def do_POST(self) -> None:
        body = b"".join(self.body())
        if self.server.redirect:
            self.answer(307, headers={"Location": self.server.redirect})
        elif self.path.startswith("/v1/messages/count_tokens"):
            self._json(200, {"input_tokens": 1000})
        elif self.path.startswith("/v1/messages"):
            call = read_call(body, dict(self.headers))
            self._play(self.server.take(call), call)
        else:
            self.answer(404)

    def _play(self, part: Part, call: Call) -> None:
        match part:
            case Turn():
                self._turn(part, call)
            case Refuse():
                error = {"type": "error", "error": {"type": part.kind, "message": part.message}}
                self._json(part.status, error, part.headers)
            case Cut("before"):
                self.hang_up()
            case _ if not call.stream:
                self._without_stream(part)
            case _:
                self._stream(broken_answer(part, call), {})
                if isinstance(part, Silence):
                    part.gate.pass_through()
                self.hang_up()

    def _without_stream(self, part: Part) -> None:
        if isinstance(part, Silence):
            part.gate.pass_through()
        if isinstance(part, StreamError):
            self._json(529, {"type": "error", "error": {"type": part.kind, "message": "Overloaded"}})
        else:
            self.hang_up()

    def _turn(self, turn: Turn, call: Call) -> None:
        if turn.gate:
            turn.gate.pass_through()
        if call.stream:
            self._stream(stream_answer(turn, call), turn.headers)
            self.end()
        else:
            self._json(200, whole_answer(turn, call), turn.headers)

    def _stream(self, events: Iterator[Json], headers: Mapping[str, str]) -> None:
        self.begin(200, {"Content-Type": "text/event-stream", **headers})
        for event in events:
            self.piece(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode())

    def _json(self, status: int, body: Mapping[str, object], headers: Mapping[str, str] | None = None) -> None:
        self.answer(status, json.dumps(body).encode(), {"Content-Type": "application/json", **(headers or {})})
