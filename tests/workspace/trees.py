"""Trees for tests of applying changes: their contents, change sets made by hand, disks that fail or kill."""

import os
import signal
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ccterm.git.rooted import Root
from ccterm.models import RunId
from ccterm.workspace.apply.changeset import ChangeSet, FileChange
from ccterm.workspace.content import NOTHING, Content, Owner, content_of
from ccterm.workspace.disk import Disk

RUN = RunId("01ARZ3NDEKTSV4RRFFQ69G5FAV")


@dataclass(frozen=True)
class Link:
    """A symbolic link to be made."""

    target: str


@dataclass(frozen=True)
class Program:
    """An executable file to be made."""

    text: str


Body = str | bytes | Link | Program | None
"""What a path is to hold; None = nothing."""


def put(root: Path, bodies: Mapping[str, Body]) -> Path:
    """Write bodies below a directory, which is made."""
    root.mkdir(parents=True, exist_ok=True)
    for name, body in bodies.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(body, Link):
            path.symlink_to(body.target)
        elif body is not None:
            path.write_bytes(_bytes(body))
            path.chmod(0o755 if isinstance(body, Program) else 0o644)
    return root


def changes(directory: Path, root: Path, bodies: Mapping[str, Body]) -> ChangeSet:
    """Return the change set that makes these paths of a tree hold these bodies; the tree is the snapshot."""
    directory.mkdir(parents=True, exist_ok=True)
    ops = []
    with Root(root) as opened:
        for number, (name, body) in enumerate(sorted(bodies.items(), key=lambda item: os.fsencode(item[0]))):
            path = os.fsencode(name)
            (directory / str(number)).write_bytes(_bytes(body))
            mode = 0o120000 if isinstance(body, Link) else 0o100755 if isinstance(body, Program) else 0o100644
            new = NOTHING if body is None else Content.of(_bytes(body), mode)
            old = content_of(opened, path)
            old = NOTHING if old.kind == "directory" else old
            ops.append(FileChange(name=path.decode("latin-1"), old=old, new=new, file=str(number)))
    return ChangeSet(directory, tuple(ops))


def _bytes(body: Body) -> bytes:
    match body:
        case None:
            return b""
        case Link(target=target):
            return target.encode()
        case Program(text=text):
            return text.encode()
        case bytes():
            return body
        case _:
            return body.encode()


def digest(root: Path) -> dict[bytes, tuple[str, bytes]]:
    """Return each path of a tree with its mode and its content or target."""
    found: dict[bytes, tuple[str, bytes]] = {}
    for directory, directories, files in os.walk(os.fsencode(root)):
        for name in [*directories, *files]:
            path = os.path.join(directory, name)  # noqa: PTH118 - names are bytes here
            mode = os.lstat(path).st_mode
            content = os.readlink(path) if stat.S_ISLNK(mode) else b""  # noqa: PTH115
            if stat.S_ISREG(mode):
                content = Path(os.fsdecode(path)).read_bytes()
            found[os.path.relpath(path, os.fsencode(root))] = (stat.filemode(mode), content)
    return found


class HastyDisk(Disk):
    """Makes nothing durable: no test cuts the power."""

    def sync(self, file: int) -> None:
        """Do nothing."""


class TickingDisk(HastyDisk):
    """Calls `tick` with the number of each write before it is done."""

    def __init__(self, tick: Callable[[int], None]) -> None:
        self.count = 0
        self._on_tick = tick

    def _tick(self) -> None:
        self.count += 1
        self._on_tick(self.count)

    def make_file(self, name: bytes, directory: int, data: bytes, mode: int, *, exact: bool = False, like: Content = NOTHING) -> None:
        self._tick()
        super().make_file(name, directory, data, mode, exact=exact, like=like)

    def give(self, name: bytes, directory: int, owner: Owner | None) -> None:
        self._tick()
        super().give(name, directory, owner)

    def write(self, file: int, data: memoryview) -> int:
        self._tick()
        return super().write(file, data[: max(1, len(data) // 2)])  # a write may be partial

    def make_link(self, target: bytes, name: bytes, directory: int) -> None:
        self._tick()
        super().make_link(target, name, directory)

    def make_directory(self, name: bytes, directory: int, mode: int = 0o777) -> None:
        self._tick()
        super().make_directory(name, directory, mode)

    def set_mode(self, file: int, mode: int) -> None:
        self._tick()
        super().set_mode(file, mode)

    def exchange(self, name: bytes, directory: int, other: bytes, elsewhere: int) -> None:
        self._tick()
        super().exchange(name, directory, other, elsewhere)
        self._tick()

    def move(self, name: bytes, directory: int, other: bytes, elsewhere: int) -> None:
        self._tick()
        super().move(name, directory, other, elsewhere)
        self._tick()

    def link(self, name: bytes, directory: int, other: bytes, target: int) -> None:
        self._tick()
        super().link(name, directory, other, target)

    def overwrite(self, file: int, data: bytes, expected: Callable[[], bool]) -> bool:
        self._tick()
        return super().overwrite(file, data, expected)

    def write_at(self, file: int, data: memoryview, at: int) -> int:
        self._tick()
        return super().write_at(file, data[: max(1, len(data) // 2)], at)

    def truncate(self, file: int, size: int) -> None:
        self._tick()
        super().truncate(file, size)

    def remove(self, name: bytes, directory: int) -> None:
        self._tick()
        super().remove(name, directory)

    def remove_directory(self, name: bytes, directory: int) -> None:
        self._tick()
        super().remove_directory(name, directory)

    def sync(self, file: int) -> None:
        self._tick()
        super().sync(file)


def failing(number: int, code: int) -> TickingDisk:
    """Return a disk whose Nth write fails once."""

    def tick(count: int) -> None:
        if count == number:
            raise OSError(code, os.strerror(code))

    return TickingDisk(tick)


def dying(number: int) -> TickingDisk:
    """Return a disk that kills its process instead of making the Nth write."""

    def tick(count: int) -> None:
        if count == number:
            os.kill(os.getpid(), signal.SIGKILL)

    return TickingDisk(tick)


def in_child(work: Callable[[], object]) -> int:
    """Run something in a child process; return 0, the signal that killed it, or 255 for an exception."""
    child = os.fork()
    if child == 0:
        try:
            work()
            os._exit(0)
        except BaseException:  # noqa: BLE001 - nothing may escape from the child
            os._exit(255)
    _, status = os.waitpid(child, 0)
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
