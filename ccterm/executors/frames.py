"""Reads the frames that a step program prints, and checks that none is missing."""

from collections.abc import Iterator

from ccterm.box.protocol import Frame
from ccterm.git.bounded_json import read_json

_KINDS = ("line", "note", "report", "end", "checkpoint")
_SHOWN = 200
_LONGEST = 16 << 20
"""Longest frame, in bytes; a program sends a long line in parts that are a fraction of it."""


class FrameError(Exception):
    """What was read is not a frame, or not the next one."""


class FrameReader:
    """Turns chunks of a program's stdout into frames, in order. Frames of any length cost no more than their bytes."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._held = 0
        self._next = 0
        self.ended = False
        """Whether the last frame was read."""

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Yield the frames that are now complete. Raises FrameError at the first line that is not the next frame."""
        *lines, rest = data.split(b"\n")
        for line in lines:
            self._pieces.append(line)
            whole = b"".join(self._pieces)
            self._pieces, self._held = [], 0
            yield self._read(whole)
        if rest:
            self._pieces.append(rest)
            self._held += len(rest)
            if self._held > _LONGEST:
                raise FrameError(f"a frame of more than {_LONGEST:,} bytes")

    def close(self) -> None:
        """End the input. Raises FrameError when the last line is incomplete."""
        if self._pieces:
            raise FrameError("the last frame is incomplete")

    def _read(self, line: bytes) -> Frame:
        try:
            frame: Frame = read_json(line)
            number, kind = frame["n"], frame["k"]
        except (ValueError, TypeError, KeyError) as error:
            raise FrameError(f"not a frame: {line[:_SHOWN]!r}") from error
        if "z" in frame and not _is_whole(line, f',"z":{frame["z"]}'.encode(), frame["z"]):
            raise FrameError(f"a piece is missing in {line[:_SHOWN]!r}")
        if number != self._next or kind not in _KINDS or self.ended:
            raise FrameError(f"frame {self._next} was expected, not {line[:_SHOWN]!r}")
        self._next += 1
        self.ended = kind == "end"
        return frame


def _is_whole(line: bytes, mark: bytes, length: object) -> bool:
    """Return whether the number of bytes after the mark is what it says."""
    return length == len(line) - line.find(mark) - len(mark)
