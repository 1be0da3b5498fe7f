"""Starts step programs as an executor does, and listens to their frames: for tests of the programs themselves."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ccterm.box import PARENT_WATCH
from ccterm.box.protocol import Frame
from ccterm.git.types import MARK
from tests.support.waiting import LIMIT, wait_until

RESULT = """echo '{"type":"result"}'; cat > /dev/null"""
"""An agent that is up at once, however busy the machine."""
HANG = [{"say": "hanging"}, {"hang": True}]
DEAF = [{"say": "hanging"}, {"hang": ["SIGINT", "SIGTERM"]}]
ENDED_WELL = {"ok": True, "exit": 0, "signal": None, "stopped_by": ""}


class Running:
    """A running step program. Leaving the block closes the pipe by which it watches its parent, and waits for its end."""

    def __init__(self, lib: Path, box: Path, program: str, request: Mapping[str, object], *, listen: bool = True, **env: str) -> None:
        (box / "request.json").write_text(json.dumps(request))
        self.frames: list[Frame] = []
        self._host: socket.socket | None = None
        self._listener = self._listen(box, request.get("control")) if listen else None
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(lib), program, "request.json"],
            cwd=box,
            env={"PATH": os.environ["PATH"], PARENT_WATCH: "stdin", **env},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self._readers = [threading.Thread(target=self._read), threading.Thread(target=self._complain)]
        self.complaints = b""
        self.reading = threading.Event()
        self.reading.set()
        for reader in self._readers:
            reader.start()

    def __enter__(self) -> "Running":
        return self

    def __exit__(self, *exc: object) -> None:
        self.cut_parent_watch()
        self.reading.set()
        self.process.wait(LIMIT)
        for reader in self._readers:
            reader.join(LIMIT)
        if self._host:
            self._host.close()

    def _listen(self, box: Path, name: object) -> socket.socket | None:
        if not isinstance(name, str):
            return None
        listener = socket.socket(socket.AF_UNIX)
        with contextlib.chdir(box):
            listener.bind(name)
        listener.listen(1)
        return listener

    def _read(self) -> None:
        assert self.process.stdout
        rest = b""
        while self.reading.wait() and (data := os.read(self.process.stdout.fileno(), 1 << 18)):
            *lines, rest = (rest + data).split(b"\n")
            self.frames.extend(json.loads(line) for line in lines)

    def _complain(self) -> None:
        assert self.process.stderr
        self.complaints = self.process.stderr.read()

    def cut_parent_watch(self) -> None:
        """Do what happens when the host dies."""
        assert self.process.stdin
        self.process.stdin.close()

    def order(self, do: str, text: str = "") -> None:
        """Send an order over the control socket."""
        if self._host is None:
            assert self._listener
            self._listener.settimeout(LIMIT)
            self._host, _ = self._listener.accept()
        self._host.sendall(json.dumps({"do": do, "text": text}).encode() + b"\n")

    def until(self, fits: Callable[[Frame], object], limit: float = LIMIT) -> Frame:
        """Wait for a frame that fits."""
        wait_until(lambda: any(fits(frame) for frame in self.frames) or self.process.poll() is not None, limit)
        for reader in self._readers if self.process.poll() is not None else []:
            reader.join(LIMIT)
        return next(frame for frame in self.frames if fits(frame))

    def until_said(self, text: str) -> Frame:
        """Wait for a line of the agent that holds a text."""
        return self.until(lambda frame: frame["k"] == "line" and text in frame.get("d", ""))

    def report(self, limit: float = LIMIT) -> dict[str, Any]:
        """Wait for the end; return the report."""
        self.process.wait(limit)
        self._readers[0].join(LIMIT)
        assert [frame["n"] for frame in self.frames] == list(range(len(self.frames)))
        assert self.frames[-1]["k"] == "end", self.complaints
        return dict(next(frame["report"] for frame in self.frames if frame["k"] == "report"))

    def lines(self, stream: int = 1) -> list[str]:
        """Return the lines of a stream so far, joined from their parts."""
        pieces = [frame.get("d", "") + ("" if frame.get("part") else "\n") for frame in self.frames if frame.get("s") == stream]
        return "".join(pieces).split("\n")[:-1]

    def messages(self, kind: str) -> list[dict[str, Any]]:
        """Return the agent's messages of a type so far."""
        found = [json.loads(line) for line in self.lines() if line.startswith("{")]
        return [message for message in found if message["type"] == kind]

    def notes(self, what: str) -> list[Frame]:
        """Return the notes of a kind so far."""
        return [frame for frame in self.frames if frame["k"] == "note" and frame.get("what") == what]


def supervise_request(prompt: object, **fields: object) -> dict[str, object]:
    """Return a request for the scripted agent with generous limits; `prompt` may be a script."""
    return {
        "argv": ["@box", "scripted"],
        "cwd": "tree",
        "env": {},
        "home": "home",
        "prompt": prompt if isinstance(prompt, str) else json.dumps(prompt),
        "hold": False,
        "hold_seconds": 60.0,
        "wall_seconds": 60.0,
        "silence_seconds": 60.0,
        "mark": "m" + os.urandom(8).hex(),
        "control": "control.sock",
        "user": None,
        "keep": [],
    } | fields


def alive(mark: str) -> list[int]:
    """Return the processes that carry a mark."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if f"{MARK}={mark}".encode() in (process / "environ").read_bytes().split(b"\0"):
                found.append(int(process.name))
    return found


def without_seconds(report: dict[str, object]) -> dict[str, object]:
    """Return a report of the supervisor without the time that it took."""
    return {name: value for name, value in report.items() if name != "seconds"}
