"""Checkpoints of an agent that works where nothing outlives the host: taken in while it works, and found again after a crash.

A checkpoint is a manifest, which is replaced at once and as a whole, and the segments that it names; its bytes are an agent's, and nothing
here looks into them. The conversation alone is text: it is cleaned before it reaches the disk. The local executor needs none of this, as
its boxes stay on the disk.
"""

import asyncio
import base64
import binascii
import os
import re
import zlib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

from pydantic import Field, JsonValue

from ccterm.box import CHECKPOINT_BYTES
from ccterm.box.protocol import Frame
from ccterm.git.bounded_json import read_json
from ccterm.output.clean import Cleaner, clean_line
from ccterm.storage import Storage
from ccterm.values import Value

MANIFEST = "manifest.json"
_LARGEST = 2 * CHECKPOINT_BYTES
_FILE = re.compile(r"(?:work|side)\.(?:bundle|patch)|changes\.json|added\.bin|refused/(?:index\.json|\d{4,6})")
Count = Annotated[int, Field(ge=0)]


class Checkpoint(Value):
    """What the last line of a checkpoint says. at: unix seconds; files: name -> pieces, each (segment, offset, length)."""

    at: float
    report: dict[str, JsonValue]
    seconds: float = 0.0
    """Processor time that it took in the box."""
    conversation: Count = 0
    """How many bytes of the conversation belong to it."""
    files: dict[Annotated[str, Field(pattern=f"^(?:{_FILE.pattern})$")], tuple[tuple[Count, Count, Count], ...]]

    @property
    def segments(self) -> frozenset[int]:
        """The segments that it needs."""
        return frozenset(segment for pieces in self.files.values() for segment, _, _ in pieces)

    @property
    def moment(self) -> datetime:
        """When it was made."""
        return datetime.fromtimestamp(self.at, UTC)


class CheckpointStore:
    """The checkpoints of one run, in a directory of their own: the last whole one counts."""

    def __init__(self, directory: Path, storage: Storage) -> None:
        self.directory, self.storage = directory, storage

    @property
    def conversation(self) -> Path:
        """The agent's conversation, cleaned."""
        return self.directory / "conversation.jsonl"

    def segment(self, number: int) -> Path:
        """Return the file of a segment: its base64 text, as it came."""
        return self.directory / f"{number}.segment"

    def commit(self, checkpoint: Checkpoint, number: int) -> None:
        """Make a checkpoint the one that counts. Blocks. Raises OSError; the one before counts then. Later segments may be coming already."""
        for path in (*map(self.segment, checkpoint.segments), *([self.conversation] if checkpoint.conversation else [])):
            self.storage.sync_path(path)
        fresh = self.directory / f"{MANIFEST}.new"
        self.storage.create(fresh, checkpoint.model_dump_json().encode())
        self.storage.rename(fresh, self.directory / MANIFEST)
        self.storage.sync_path(self.directory)
        for path in self.directory.glob("*.segment"):
            if int(path.stem) < number and int(path.stem) not in checkpoint.segments:
                path.unlink()

    def read(self) -> Checkpoint | None:
        """Return the checkpoint that counts, or None if there is none. Blocks. Raises OSError, ValueError."""
        try:
            return Checkpoint.model_validate_json((self.directory / MANIFEST).read_bytes())
        except FileNotFoundError:
            return None

    def unpack(self, checkpoint: Checkpoint, to: Path) -> None:
        """Write the files of a checkpoint into the new directory `to`. Blocks. Raises OSError, ValueError when it is damaged."""
        segments = {number: self._unpacked(number) for number in checkpoint.segments}
        self.storage.make_directory(to)
        for name, pieces in checkpoint.files.items():
            data = b"".join(_range(segments[segment], at, length) for segment, at, length in pieces)
            self.storage.make_directory((to / name).parent)
            self.storage.create(to / name, data)

    def file(self, checkpoint: Checkpoint, name: str) -> bytes:
        """Return a file of a checkpoint, nothing if it has none of that name. Blocks. Raises OSError, ValueError when it is damaged."""
        pieces = checkpoint.files.get(name, ())
        segments = {number: self._unpacked(number) for number in {segment for segment, _, _ in pieces}}
        return b"".join(_range(segments[segment], at, length) for segment, at, length in pieces)

    def keep_conversation(self, checkpoint: Checkpoint, to: Path) -> None:
        """Move what belongs to a checkpoint of the conversation to `to`. Blocks. Raises OSError."""
        os.truncate(self.conversation, min(checkpoint.conversation, self.conversation.stat().st_size))
        self.storage.rename(self.conversation, to)

    def _unpacked(self, number: int) -> bytes:
        try:
            unpacker = zlib.decompressobj()
            data = unpacker.decompress(base64.b64decode(self.segment(number).read_bytes(), validate=True), _LARGEST)
        except (binascii.Error, zlib.error) as error:
            raise ValueError(f"{self.segment(number)} is damaged: {error}") from error
        if not unpacker.eof:
            raise ValueError(f"{self.segment(number)} is too large or incomplete")
        return data


def _range(data: bytes, at: int, length: int) -> bytes:
    if at + length > len(data):
        raise ValueError("a checkpoint names more than its segment holds")
    return data[at : at + length]


class _OutFile:
    """A file that is written at its end."""

    def __init__(self, path: Path, storage: Storage) -> None:
        self._path, self._storage = path, storage
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        self.length = 0

    def cut(self, length: int) -> None:
        """Keep the first bytes alone."""
        os.ftruncate(self._descriptor, length)
        self.length = length

    def write(self, data: bytes) -> None:
        """Write. Raises OSError."""
        view = memoryview(data)
        while view:
            written = self._storage.append(self._descriptor, view, self.length, self._path)
            view, self.length = view[written:], self.length + written

    def close(self) -> None:
        """Close it."""
        os.close(self._descriptor)


class CheckpointReceiver:
    """Takes the frames of checkpoints while an agent works; never waits, and keeps no more of them in memory than a line.

    complain: told, once, why no more checkpoints are kept.
    """

    def __init__(self, store: CheckpointStore, cleaner: Cleaner, complain: Callable[[str], None]) -> None:
        self._store, self._storage, self._cleaner, self._complain = store, store.storage, cleaner, complain
        self._number = self._told = 0
        self._segment: _OutFile | None = None
        self._conversation: _OutFile | None = None
        self._parts: list[str] = []
        self._restarted = False
        self._saving: asyncio.Future[None] | None = None
        self._closed = False

    def frame(self, frame: Frame) -> None:
        """Take the next frame."""
        if self._closed:
            return
        try:
            self._take(frame, frame.get("number", 0))
        except (OSError, ValueError) as error:
            self._give_up(error)

    def _take(self, frame: Frame, number: int) -> None:
        segment, conversation = self._opened(number)
        what, text = frame.get("what"), frame.get("d", "")
        if what == "segment":
            segment.write(text.encode("ascii"))
            if segment.length > _LARGEST:
                raise ValueError("it is too large")
            return
        self._parts.append(text)
        if frame.get("part"):
            return
        data = base64.b64decode("".join(self._parts))
        self._parts = []
        if what == "restart" and not self._restarted:
            self._restarted = True
            conversation.cut(0)
        if what in ("said", "restart"):
            conversation.write(clean_line(self._cleaner, data.decode("utf-8", "replace")).encode("utf-8", "replace") + b"\n")
        elif what == "whole":
            self._told = conversation.length
            self._save(Checkpoint.model_validate({**read_json(data), "conversation": self._told}))

    def _opened(self, number: int) -> tuple[_OutFile, _OutFile]:
        """Return the files to write to. What came of a checkpoint that broke off is dropped when the next one begins."""
        if self._conversation is None:
            self._storage.make_directory(self._store.directory)
            self._conversation = _OutFile(self._store.conversation, self._storage)
        if self._segment is None or number != self._number:
            if self._segment:
                self._segment.close()
            self._segment = _OutFile(self._store.segment(number), self._storage)
            self._conversation.cut(self._told)
            self._number, self._parts, self._restarted = number, [], False
        return self._segment, self._conversation

    def _save(self, checkpoint: Checkpoint) -> None:
        before, number, loop = self._saving, self._number, asyncio.get_running_loop()

        async def saved() -> None:
            if before:
                await asyncio.wait([before])
            try:
                await loop.run_in_executor(None, self._store.commit, checkpoint, number)
            except OSError as error:
                self._give_up(error)

        self._saving = asyncio.ensure_future(saved())

    def _give_up(self, error: Exception) -> None:
        if not self._closed:
            self._closed = True
            why = error.strerror if isinstance(error, OSError) else str(error).split("\n", 1)[0]
            self._complain(f"checkpoints of the agent's work cannot be kept: {why}")

    async def settled(self) -> None:
        """Wait until everything that came is on the disk, or could not be brought there."""
        if self._saving:
            await asyncio.wait([self._saving])

    async def close(self) -> None:
        """Take no more frames, and wait until everything that came is on the disk."""
        await self.settled()
        self._closed = True
        for file in filter(None, (self._segment, self._conversation)):
            file.close()
