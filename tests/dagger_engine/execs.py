"""Execs: processes of this machine in a private directory, whose output is masked, cut into records and kept whole."""

import asyncio
import contextlib
import os
import re
import secrets
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from ccterm.git.types import MARK
from tests.dagger_engine.logs import Logs, Record
from tests.dagger_engine.masking import Masking
from tests.dagger_engine.trees import place

WIDE, NARROW = 32 * 1024, 4 * 1024
"""Longest record, in bytes: without and with a secret."""
EOF_LATE = 0.04
KEPT = 100 * 1024
_PLACES = re.compile(r"(?<![\w./-])/(box|ccterm|home/agent|provided|work|not/there|etc/ssl/certs/ccterm-host\.pem)(?![\w.-])")
_HOSTILE = re.compile(r"apt-get|useradd|adduser|npm install|compileall")
"""Never run on this machine: a script of ccterm's that the fake engine should have known."""
_BOX = "FAKE_BOX"
"""In the environment of a box: its mark. Step programs get it as the mark of their own tree, as here other boxes' processes are in sight."""
SHIM = """#!/bin/sh
# A box's Python has a user `agent`: whoever runs the tests.
[ "$1" = "-I" ] && [ -e "$2" ] || exec "{python}" "$@"
shift
export {mark}="${{{box}}}"
exec "{python}" -I -c '
import os, pwd, runpy, sys
known = pwd.getpwnam
def agent(name):
    return pwd.struct_passwd(("agent", "x", os.getuid(), os.getgid(), "", os.environ["HOME"], "/bin/sh")) if name == "agent" else known(name)
pwd.getpwnam = agent
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
' "$@"
"""


@dataclass(frozen=True)
class Ran:
    """What an exec left behind."""

    root: Path
    code: int = 0
    stdout: str = ""
    stderr: str = ""


@dataclass(frozen=True)
class Order:
    """What is to run: all that a container says of it."""

    args: Sequence[str] = ()
    workdir: str = "/"
    user: str = ""
    env: Mapping[str, str] = field(default_factory=dict)
    hidden: Mapping[str, str] = field(default_factory=dict)
    """Environment name -> the value of a secret."""
    links: Mapping[str, Path] = field(default_factory=dict)
    """Path -> what is of the host or of the engine there: a socket, a cache."""


class Printer:
    """Puts the output of one exec into the log stream, and keeps it."""

    def __init__(self, logs: Logs, trace: str, hidden: Sequence[str]) -> None:
        self._logs, self._trace, self._span = logs, trace, secrets.token_hex(8)
        self.width = NARROW if hidden else WIDE
        self._maskings = {1: Masking(hidden), 2: Masking(hidden)}
        self._kept: dict[int, list[bytes]] = {1: [], 2: []}

    def take(self, stream: int, data: bytes, *, last: bool = False) -> None:
        """Take a piece of output. One that is no UTF-8 by itself is missing in the log stream, and only there."""
        shown = self._maskings[stream].feed(data) + (self._maskings[stream].rest() if last else b"")
        self._kept[stream].append(shown)
        for begin in range(0, len(shown), self.width):
            with contextlib.suppress(UnicodeDecodeError):
                text = shown[begin : begin + self.width].decode()
                self._logs.add(Record(self._trace, self._span, stream, text))

    def end(self) -> None:
        """Say that no more comes; that is heard after the answer."""
        records = [Record(self._trace, self._span, stream, eof=True) for stream in (1, 2)]
        asyncio.get_running_loop().call_later(EOF_LATE, self._logs.add, *records)

    def kept(self, stream: int) -> str:
        """Return all that was printed."""
        return b"".join(self._kept[stream]).decode("utf-8", "replace")


class Process:
    """One exec that really runs."""

    def __init__(self, order: Order, root: Path, shims: Path, printer: Printer) -> None:
        self._order, self._root, self._shims, self._printer = order, root, shims, printer
        self._mark = "fake" + secrets.token_hex(12)

    async def run(self) -> int:
        """Run it to its end, its exit code as a shell tells it. Cancelled, nothing of it is alive when this returns."""
        if any(_HOSTILE.search(word) for word in self._order.args):
            self._printer.take(2, b"the fake engine does not know this script, and does not run it\n", last=True)
            return 1
        for path, target in self._order.links.items():
            _link(place(self._root, path), target)
        try:
            return await self._ran()
        finally:
            for path in self._order.links:
                place(self._root, path).unlink(missing_ok=True)

    async def _ran(self) -> int:
        cwd = place(self._root, self._order.workdir)
        cwd.mkdir(parents=True, exist_ok=True)
        pipe = asyncio.subprocess.PIPE
        words = [self._here(word) for word in self._order.args]
        try:
            process = await asyncio.create_subprocess_exec(
                *words, cwd=cwd, env=self._env(), stdin=asyncio.subprocess.DEVNULL, stdout=pipe, stderr=pipe, start_new_session=True
            )
        except OSError as error:
            self._printer.take(2, f"exec: {self._order.args[0]}: {error.strerror}\n".encode(), last=True)
            return 1
        assert process.stdout
        assert process.stderr
        reading = [asyncio.ensure_future(self._read(number, stream)) for number, stream in ((1, process.stdout), (2, process.stderr))]
        try:
            code = await process.wait()
        finally:
            await _to_its_end(asyncio.ensure_future(self._cleared(process, reading)))
        return code if code >= 0 else 128 - code

    async def _read(self, number: int, stream: asyncio.StreamReader) -> None:
        while data := await stream.read(self._printer.width):
            self._printer.take(number, data)
        self._printer.take(number, b"", last=True)

    async def _cleared(self, process: asyncio.subprocess.Process, reading: Sequence["asyncio.Task[None]"]) -> None:
        """A container is gone with its first process: whatever else lives in it ends."""
        await asyncio.to_thread(kill_marked, self._mark)
        await process.wait()
        await asyncio.wait(reading)

    def _here(self, word: str) -> str:
        return _PLACES.sub(lambda match: f"{self._root}/{match[1]}", word)

    def _env(self) -> dict[str, str]:
        home = place(self._root, "/home/agent" if self._order.user == "agent" else "/root")
        tmp = place(self._root, "/tmp")
        for directory in (home, tmp):
            directory.mkdir(parents=True, exist_ok=True)
        given = {name: self._here(value) for name, value in self._order.env.items()}
        outer = {"PATH": f"{self._shims}:{os.environ['PATH']}", "HOME": str(home), "TMPDIR": str(tmp), _BOX: self._mark}
        return outer | given | dict(self._order.hidden)


async def _to_its_end(task: "asyncio.Task[None]") -> None:
    """Await a task however often we are cancelled meanwhile: by the query's end, then by the engine's."""
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            cancelled = error
    task.result()
    if cancelled:
        raise cancelled


def _link(path: Path, target: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    path.symlink_to(target)


def kill_marked(mark: str) -> None:
    """End every process of a box, also those that left its session."""
    for _ in range(20):
        found = [process for process in psutil.process_iter() if _has(process, mark)]
        if not found:
            return
        for process in found:
            with contextlib.suppress(psutil.Error):
                process.kill()
        psutil.wait_procs(found, timeout=0.5)


def _has(process: psutil.Process, mark: str) -> bool:
    try:
        env = process.environ()
        return process.status() != psutil.STATUS_ZOMBIE and mark in (env.get(_BOX), env.get(MARK))
    except (psutil.Error, OSError):
        return False


def make_shims(directory: Path) -> Path:
    """Make the directory that stands first on the PATH of boxes."""
    directory.mkdir(parents=True)
    (directory / "python3").write_text(SHIM.format(python=sys.executable, mark=MARK, box=_BOX))
    (directory / "python3").chmod(0o755)
    return directory


def trimmed(text: str) -> str:
    """Return output as an error carries it: of much only the end, without the last line break."""
    data = text.encode()
    if len(data) > KEPT:
        said = f"[omitting {len(data) - KEPT} bytes]..."
        text = said + data[len(said) - KEPT :].decode("utf-8", "ignore")
    return text.removesuffix("\n")
