"""How the scripted agent misbehaves: it ends without a result, hangs, floods, prints garbage, leaves processes behind."""

import os
import resource
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ccterm.box.scripted.stdin import StdinReader
from ccterm.box.scripted.stream import Stream

Action = Mapping[str, Any]
_BATCH = 200


class Misbehaviour:
    """The actions that no well-behaved agent takes."""

    def __init__(self, stream: Stream, stdin: StdinReader) -> None:
        self._stream, self._stdin = stream, stdin
        self.verbs: dict[str, Callable[[Action], None]] = {
            "no_result": lambda action: sys.exit(int(action["no_result"])),
            "exit": self._exit,
            "cut": self._cut,
            "crash": lambda action: _crash(str(action["crash"])),
            "hang": self._hang,
            "flood": self._flood,
            "long_line": lambda action: stream.text("x" * int(float(action["long_line"]) * 1_000_000)),
            "garbage": self._garbage,
            "fork": lambda action: _fork(str(action["fork"])),
        }

    def _exit(self, action: Action) -> None:
        self._stream.success("")
        sys.exit(int(action["exit"]))

    def _cut(self, _: Action) -> None:
        self._stream.raw(b'{"type":"assistant","message":{"id":"msg_cut","type":"message","role":"assi')
        sys.exit(0)

    def _hang(self, action: Action) -> None:
        deaf = action["hang"] if isinstance(action["hang"], Sequence) else []
        for name in deaf:
            signal.signal(getattr(signal, name), signal.SIG_IGN)
        while "SIGINT" in deaf:
            signal.pause()
        self._stdin.sleep(1e9)

    def _flood(self, action: Action) -> None:
        count, size = int(action["flood"]), int(action.get("bytes", 80))
        if not action.get("raw"):
            for number in range(count):
                self._stream.text(f"{number} ".ljust(size, "x"))
            return
        line = b"x" * (size - 1) + b"\n"
        for start in range(0, count, _BATCH):
            self._stream.raw(line * min(_BATCH, count - start))

    def _garbage(self, action: Action) -> None:
        for number in range(int(action["garbage"])):
            self._stream.raw(f"garbage {number} {{not json\n".encode())
            self._stream.raw(f"complaint {number}\n".encode(), stream=2)


def _crash(name: str) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    number = getattr(signal, name)
    if number not in (signal.SIGKILL, signal.SIGSTOP):
        signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    signal.pause()


def _fork(kind: str) -> None:
    """Leave a grandchild behind: "holder" keeps our stdout open, "daemon" runs in a session of its own without our environment."""
    if os.fork():
        os.wait()
        return
    if os.fork():
        os._exit(0)
    if kind == "daemon":
        os.setsid()
        null = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(null, descriptor)
        os.execve("/bin/sh", ["sh", "-c", "sleep 300"], {})
    os.execv("/bin/sh", ["sh", "-c", "sleep 300"])
