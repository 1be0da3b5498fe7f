"""Checkpoints on the host: the last whole one counts, whatever breaks off, fails or is damaged after it."""

import base64
import json
import stat
import zlib
from collections.abc import Sequence
from pathlib import Path

import pytest

from ccterm.box.protocol import Frame
from ccterm.output.clean import Cleaner
from ccterm.output.mask import Masker
from ccterm.pipeline.checkpoints import CheckpointReceiver, CheckpointStore
from ccterm.storage import Storage

SECRET = "tok-9f8e7d6c5b4a39281706f5e4d3c2b1a0"
REPORT = {"ok": True, "commit": None}


class Failing(Storage):
    """A disk that is full from some moment on."""

    def __init__(self) -> None:
        super().__init__()
        self.full = False

    def create(self, path: Path, data: bytes) -> None:
        if self.full:
            raise OSError(28, "No space left on device")
        super().create(path, data)


def frame(number: int, what: str, data: bytes, *, part: bool = False) -> Frame:
    made = Frame(n=0, t=0.0, k="checkpoint", number=number, what=what, d=base64.b64encode(data).decode())
    return {**made, "part": True} if part else made


def frames(number: int, files: dict[str, list[tuple[int, int, int]]], segment: bytes, said: Sequence[bytes] = ()) -> list[Frame]:
    about = {"at": float(number), "report": REPORT, "files": files, "seconds": 0.1}
    packed = zlib.compress(segment)
    begin = [frame(number, "said", line) for line in said]
    return [
        *begin,
        frame(number, "segment", packed[:6]),
        frame(number, "segment", packed[6:]),
        frame(number, "whole", json.dumps(about).encode()),
    ]


@pytest.fixture
def storage() -> Failing:
    return Failing()


@pytest.fixture
def store(tmp_path: Path, storage: Failing) -> CheckpointStore:
    return CheckpointStore(tmp_path / "checkpoint", storage)


async def received(store: CheckpointStore, given: Sequence[Frame]) -> list[str]:
    """Let a store receive frames; return the complaints."""
    complaints: list[str] = []
    receiver = CheckpointReceiver(store, Cleaner(Masker([("TOKEN", SECRET)])), complaints.append)
    for each in given:
        receiver.frame(each)
    await receiver.close()
    return complaints


FIRST = frames(1, {"work.patch": [(1, 0, 4)], "refused/0001": [(1, 4, 2)]}, b"onetwo"[:6], [b'{"a":1}', f'{{"b":"{SECRET}"}}'.encode()])


async def test_the_last_whole_one_counts(store: CheckpointStore, tmp_path: Path) -> None:
    second = frames(2, {"work.patch": [(1, 0, 3), (2, 0, 5)]}, b"three", [b'{"c":3}'])
    broken_off = [frame(3, "said", b'{"d":4}'), frame(3, "segment", b"xxx")]
    assert await received(store, [*FIRST, *second, *broken_off]) == []
    checkpoint = store.read()
    assert checkpoint is not None
    assert checkpoint.moment.timestamp() == 2
    store.unpack(checkpoint, tmp_path / "out")
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == {"work.patch": b"onethree"}
    store.keep_conversation(checkpoint, tmp_path / "session.jsonl")
    assert [json.loads(line).keys() for line in (tmp_path / "session.jsonl").read_text().splitlines()] == [{"a"}, {"b"}, {"c"}]
    assert SECRET not in (tmp_path / "session.jsonl").read_text()


async def test_what_no_checkpoint_needs_any_more_is_removed_and_all_is_private(store: CheckpointStore) -> None:
    await received(store, [*FIRST, *frames(2, {"work.patch": [(2, 0, 5)]}, b"three")])
    assert {path.name for path in store.directory.iterdir()} == {"manifest.json", "2.segment", "conversation.jsonl"}
    assert {stat.S_IMODE(path.stat().st_mode) for path in store.directory.iterdir()} == {0o600}
    assert stat.S_IMODE(store.directory.stat().st_mode) == 0o700


async def test_on_a_full_disk_the_one_before_counts_and_it_is_told_once(store: CheckpointStore, storage: Failing, tmp_path: Path) -> None:
    complaints: list[str] = []
    receiver = CheckpointReceiver(store, Cleaner(Masker([])), complaints.append)
    for each in FIRST:
        receiver.frame(each)
    await receiver.settled()
    storage.full = True
    for each in [*frames(2, {"work.patch": [(2, 0, 5)]}, b"three"), *frames(3, {"work.patch": [(3, 0, 4)]}, b"four")]:
        receiver.frame(each)
    await receiver.close()
    storage.full = False
    assert complaints == ["checkpoints of the agent's work cannot be kept: No space left on device"]
    checkpoint = store.read()
    assert checkpoint is not None
    store.unpack(checkpoint, tmp_path / "out")
    assert (tmp_path / "out" / "work.patch").read_bytes() == b"onet"


async def test_parts_of_a_line_are_joined(store: CheckpointStore) -> None:
    text = base64.b64encode(b'{"a":"bcd"}').decode()
    line = [
        Frame(n=0, t=0.0, k="checkpoint", number=1, what="said", d=text[:5], part=True),
        Frame(n=0, t=0.0, k="checkpoint", number=1, what="said", d=text[5:]),
    ]
    await received(store, [*line, *frames(1, {}, b"")])
    assert store.conversation.read_text() == '{"a":"bcd"}\n'


@pytest.mark.parametrize(
    "files", [{"../x": [(1, 0, 1)]}, {"work.patch/x": []}, {"refused/x": []}, {"work.patch": [(1, -1, 1)]}, {"work.patch": [(9, 0, 1)]}]
)
async def test_what_names_something_else_is_not_taken(store: CheckpointStore, files: dict[str, list[tuple[int, int, int]]]) -> None:
    assert len(await received(store, [*FIRST, *frames(2, files, b"three")])) == 1
    checkpoint = store.read()
    assert checkpoint is not None
    assert checkpoint.moment.timestamp() == 1


@pytest.mark.parametrize("damage", [b"", b"!!!", base64.b64encode(b"no zlib"), base64.b64encode(zlib.compress(b"onetwo")[:-3])])
async def test_a_damaged_segment_is_an_error_and_no_work(store: CheckpointStore, tmp_path: Path, damage: bytes) -> None:
    await received(store, FIRST)
    store.segment(1).write_bytes(damage)
    checkpoint = store.read()
    assert checkpoint is not None
    with pytest.raises(ValueError, match=r"1\.segment"):
        store.unpack(checkpoint, tmp_path / "out")
    assert not (tmp_path / "out").exists()
