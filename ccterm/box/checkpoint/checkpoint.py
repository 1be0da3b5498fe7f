"""Makes one checkpoint of a working agent and prints it: the program that runs beside an agent in a container, where the agent cannot reach.

What changed comes from a child with the agent's user id, see `changed`. The commit is made by the step commit's own code, of a copy that
this program keeps, in a copy of the clean git directory. stdout: lines that the supervisor makes frames of, see `Frame`; one says that the
checkpoint is whole. Nothing new, none of them. The last line is for the supervisor alone: the processor time that all this took.
"""

import base64
import contextlib
import hashlib
import json
import os
import re
import resource
import shutil
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from ccterm.box import CHECKPOINT_BYTES
from ccterm.box.agent.keep import read_first
from ccterm.box.checkpoint.segments import Piece, Segments
from ccterm.box.checkpoint.staging import Staging, read_file, write_file
from ccterm.box.commit.commit import CommitStep
from ccterm.box.commit.walk import TooMany
from ccterm.box.process import child
from ccterm.git.git import Git, GitError
from ccterm.git.names import shown
from ccterm.git.rooted import Root
from ccterm.git.tree import Base, base_of, list_tree

if TYPE_CHECKING:
    from ccterm.box.protocol import CheckpointRequest, CommitReport, CommitRequest, Keep

_BLOCK = 3 << 16
"""Bytes in one line; a multiple of three, so that lines can be joined without decoding them."""
_NICE = 10
_MOST_TOLD = 20
_SHOWN = 4096
_DIFF = re.compile(rb"^diff --git ", re.MULTILINE)


class Line(NamedTuple):
    """A line for the supervisor. what: as in the frame that it becomes."""

    what: str
    data: bytes


class CheckpointStep:
    """One checkpoint."""

    def __init__(self, request: "CheckpointRequest") -> None:
        self._request, self._commit = request, request["commit"]
        self._place = os.path.dirname(os.path.abspath(self._commit["clean"]))
        self._git = Git(self._commit["clean"])
        self._staging = Staging(self._place, CHECKPOINT_BYTES)
        self._known = json.loads(read_file(self._memory(request["last"])) or b"{}")

    def lines(self) -> Iterator[Line]:
        """Yield what is new. Raises GitError, OSError, TooMany, ValueError."""
        base, listing = self._base()
        started = self._path("started")
        changed = self._bring_in(base, listing) or int(read_file(started) or 0) > self._request["last"]  # one that did not go out whole
        talk = ConversationTail(self._request["home"], self._request["keep"], self._known.get("conversation", {}))
        if not (changed or talk.new):
            return
        write_file(started, b"%d" % self._request["number"])
        yield from (Line("restart" if talk.again else "said", line) for line in talk.new)
        report, segments, files = self._made(base)
        yield from (Line("segment", block) for block in _even(segments.blocks()))
        write_file(self._memory(self._request["number"]), json.dumps({"segments": segments.memory, "conversation": talk.memory}).encode())
        about = {"at": round(time.time(), 3), "report": report, "files": files, "seconds": _spent()}
        yield Line("whole", json.dumps(about).encode())
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._memory(self._request["last"] - 1))

    def _base(self) -> tuple[Base, bytes]:
        """Return the base, and git's listing of it, which is asked for once. Raises GitError, OSError."""
        path, commit = self._path("base"), self._commit["base"]
        tree, _, listing = read_file(path).partition(b"\n")
        if not tree:
            known = self._git.text("rev-parse", "--verify", f"{commit}^{{tree}}") if commit else self._git.text("mktree")
            tree, listing = known.encode(), list_tree(self._git, known) if commit else b""
            write_file(f"{path}.new", tree + b"\n" + listing)
            os.rename(f"{path}.new", path)
        return base_of(tree.decode(), listing, commit), listing

    def _bring_in(self, base: Base, listing: bytes) -> bool:
        request, seen = self._request, self._staging.seen
        header = {
            "tree": request["tree"], "began": request["began"], "budget": self._staging.left, "tree_name": base.tree,
            "base": len(listing), "seen": len(seen),
        }  # fmt: skip
        env = child.environment({}, request["mark"])
        walker = child.start(["@box", "changed"], cwd=".", env=env, mark=request["mark"], user=request["user"])
        try:
            walker.stdin.write(json.dumps(header).encode() + b"\n" + listing + seen)
            walker.stdin.close()
            with open(walker.stdout.fileno(), "rb", closefd=False) as source:
                return self._staging.take(source, base)
        except (ValueError, BrokenPipeError) as error:
            walker.process.kill()
            said = walker.stderr.read(_SHOWN).decode("utf-8", "replace").strip().rpartition("\n")[2]
            raise ValueError(f"the agent's tree cannot be read: {said or error}") from error
        finally:
            walker.process.kill()
            walker.process.wait()

    def _made(self, base: Base) -> "tuple[CommitReport, Segments, dict[str, list[Piece]]]":
        """Make the commit and cut its files; begin anew when what was sent before takes too much room with what is new."""
        out = self._path("out")
        shutil.rmtree(out, ignore_errors=True)
        request: CommitRequest = {**self._commit, "tree": self._staging.tree, "out": out, "sparse": self._staging.unchanged}
        with Root(self._staging.tree) as root:
            report = CommitStep(request, root, base).run()
        if left_out := sorted(self._staging.left_out):
            report["notes"] = [
                f"{shown(path)} is not in the checkpoint: it is too large or cannot be read" for path in left_out[:_MOST_TOLD]
            ]
        for known in ("segments", "none"):
            segments = Segments(self._place, self._request["number"], self._known.get(known, {}))
            files = {name: self._cut(segments, out, name) for name in _below(out)}
            if segments.size <= CHECKPOINT_BYTES:
                break
        return report, segments, files

    def _cut(self, segments: Segments, out: str, name: str) -> list[Piece]:
        data = read_file(os.path.join(out, name))
        if name == "work.bundle":
            return segments.bundle(self._git, data)
        cuts: list[int] = []
        if name == "work.patch":
            cuts = [match.start() for match in _DIFF.finditer(data)]
        elif name == "added.bin":
            cuts = sorted({span[0] for change in json.loads(read_file(os.path.join(out, "changes.json"))) if (span := change.get("span"))})
        return segments.file(data, cuts)

    def _memory(self, number: int) -> str:
        return self._path(f"sent-{number}")

    def _path(self, name: str) -> str:
        return os.path.join(self._place, name)


class ConversationTail:
    """What is new in the file that the agent writes its conversation to. known: the `memory` of last time."""

    def __init__(self, home: str, keep: "Sequence[Keep]", known: Mapping[str, Any]) -> None:
        text = read_first(home, keep)
        text = text[: text.rfind(b"\n") + 1]
        begin: int = known.get("length", 0)
        self.again = hashlib.sha256(text[:begin]).hexdigest() != known.get("digest", hashlib.sha256().hexdigest())
        """Whether it is another one than last time, and all of it is new."""
        self.new = text[0 if self.again else begin :].split(b"\n")[:-1]
        self.memory = {"length": len(text), "digest": hashlib.sha256(text).hexdigest()}


def _below(out: str) -> Iterator[str]:
    """Yield the files of a directory and of the one in it that holds copies."""
    for at, _, names in sorted(os.walk(out)):
        yield from (os.path.relpath(os.path.join(at, name), out) for name in sorted(names))


def _even(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Join blocks and cut them again, so that each but the last is of one length."""
    rest = bytearray()
    for block in blocks:
        rest += block
        while len(rest) >= _BLOCK:
            yield bytes(rest[:_BLOCK])
            del rest[:_BLOCK]
    if rest:
        yield bytes(rest)


def _spent() -> float:
    """Return the processor time of this program and its children, in seconds."""
    times = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return round(sum(each.ru_utime + each.ru_stime for each in times), 3)


def main() -> None:
    """Run as a program."""
    os.nice(_NICE)
    request: CheckpointRequest = json.loads(read_file(sys.argv[-1]))
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # a stray print must not come between the lines
    try:
        for line in CheckpointStep(request).lines():
            out.write(line.what.encode() + b" " + base64.b64encode(line.data) + b"\n")
    except TooMany:
        out.write(b"failed " + base64.b64encode(b"the tree holds too many paths") + b"\n")
    except (GitError, OSError, ValueError, child.StartError) as error:
        out.write(b"failed " + base64.b64encode(str(error).encode()) + b"\n")
    out.write(b"spent " + base64.b64encode(b"%.3f" % _spent()) + b"\n")
    out.close()
