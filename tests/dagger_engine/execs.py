"""Execs: processes on this machine in a private directory, whose output is masked, cut into records and kept."""

import asyncio
import contextlib
import os
import re
import secrets
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from ccterm.git.types import MARK
from tests.dagger_engine.logs import Logs, Record
from tests.dagger_engine.masking import Masking
from tests.dagger_engine.trees import place

WIDE, NARROW = 32 * 1024, 4 * 1024
"""Size limit of a record in bytes, without and with secrets in the container."""
EOF_LATE = 0.04
KEPT = 100 * 1024
_PLACES = re.compile(r"(?<![\w./-])/(box|ccterm|home/agent|provided|work|not/there|etc/ssl/certs/ccterm-host\.pem)(?![\w.-])")
_HOSTILE = re.compile(r"apt-get|useradd|adduser|npm install|compileall")
"""Marks of ccterm's own scripts, which must not run on this machine: the fake engine has canned results for them."""
_BOX = "FAKE_BOX"
"""Environment variable with a box's mark. Step programs use it as the mark of their process tree, because here they can see other boxes."""
SHIM = """#!/bin/sh
# The Python of a box has a user `agent`: the user who runs the tests.
[ "$1 $2" = "-I -S" ] && [ -e "$3" ] || exec "{python}" "$@"
shift 2
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
    """What to run: everything that the container specifies."""

    args: Sequence[str] = ()
    stdin: str = ""
    workdir: str = "/"
    user: str = ""
    env: Mapping[str, str] = field(default_factory=dict)
    hidden: Mapping[str, str] = field(default_factory=dict)
    """Environment variable -> value of a secret."""
    links: Mapping[str, Path] = field(default_factory=dict)
    """Path -> a socket of the host or a cache of the engine."""


class Printer:
    """Writes the output of one exec to the log stream, and keeps it."""

    def __init__(self, logs: Logs, trace: str, hidden: Sequence[str]) -> None:
        self._logs, self._trace, self._span = logs, trace, secrets.token_hex(8)
        self.width = NARROW if hidden else WIDE
        self._maskings = {1: Masking(hidden), 2: Masking(hidden)}
        self._kept: dict[int, list[bytes]] = {1: [], 2: []}

    def take(self, stream: int, data: bytes, *, last: bool = False) -> None:
        """Take a piece of output. One that is not valid UTF-8 by itself is missing from the log stream only."""
        shown = self._maskings[stream].feed(data) + (self._maskings[stream].rest() if last else b"")
        self._kept[stream].append(shown)
        for begin in range(0, len(shown), self.width):
            with contextlib.suppress(UnicodeDecodeError):
                text = shown[begin : begin + self.width].decode()
                self._logs.add(Record(self._trace, self._span, stream, text))

    def end(self) -> None:
        """End the output; the log stream reports that after the answer."""
        records = [Record(self._trace, self._span, stream, eof=True) for stream in (1, 2)]
        asyncio.get_running_loop().call_later(EOF_LATE, self._logs.add, *records)

    def kept(self, stream: int) -> str:
        """Return the whole output of a stream."""
        return b"".join(self._kept[stream]).decode("utf-8", "replace")


class Process:
    """One exec that runs as processes."""

    def __init__(self, order: Order, root: Path, shims: str, printer: Printer) -> None:
        self._order, self._root, self._shims, self._printer = order, root, shims, printer
        self._mark = "fake" + secrets.token_hex(12)

    async def run(self) -> int:
        """Run it to its end and return its exit code as a shell reports it. When cancelled, all of its processes are dead first."""
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
            with tempfile.TemporaryFile() as stdin:
                stdin.write(self._order.stdin.encode())
                stdin.seek(0)
                process = await asyncio.create_subprocess_exec(
                    *words, cwd=cwd, env=self._env(), stdin=stdin, stdout=pipe, stderr=pipe, start_new_session=True
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
        """End everything else in the container, as happens when its first process ends."""
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
    """Await a task even when cancelled repeatedly: by the end of the query, then of the engine."""
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
    """Kill every process of a box, including those in other sessions."""
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
    """Make the directory that comes first on the PATH of boxes."""
    directory.mkdir(parents=True)
    _make_program(directory / "python3", SHIM.format(python=sys.executable, mark=MARK, box=_BOX))
    return directory


def make_git(path: Path, hosts: Mapping[tuple[str, int], str]) -> None:
    """Make a git that finds aliases by itself, because it uses no proxy for them. hosts: (alias, port) -> address."""
    found = [f"-c http.curloptResolve={alias}:{port}:{f'[{host}]' if ':' in host else host}" for (alias, port), host in hosts.items()]
    _make_program(path, f'#!/bin/sh\nexec "{shutil.which("git")}" {" ".join(found)} "$@"\n')


def _make_program(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


def trimmed(text: str) -> str:
    """Return output as an error carries it: only the end of long output, without the last newline."""
    data = text.encode()
    if len(data) > KEPT:
        said = f"[omitting {len(data) - KEPT} bytes]..."
        text = said + data[len(said) - KEPT :].decode("utf-8", "ignore")
    return text.removesuffix("\n")
