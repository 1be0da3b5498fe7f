"""Whatever write fails after an agent wrote, its work is kept or delivered, and the run ends with cause `disk`."""

import errno
import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from ccterm import AgentService
from ccterm.causes import Cause, advice
from ccterm.daemon.wiring import serving
from ccterm.draft import Draft
from ccterm.models import Run, State
from ccterm.service.protocol import Service
from ccterm.state_dir import StateDir
from tests.support.core import draft, script
from tests.support.faults import FaultyStorage
from tests.support.git import files_at, make_repository, tip

PRECIOUS = script({"write": "precious.txt", "text": "precious\n"}, {"say": "written"})
TASKS = ("branch", "working copy")
ERRORS = (errno.ENOSPC, errno.EIO)


class Place:
    """Everything that one run needs, in a directory of its own."""

    def __init__(self, directory: Path, remote: Path, what: str) -> None:
        directory.mkdir()
        self.path, self.remote, self.branch = directory / "state", remote, directory.name
        self.copy = make_repository(directory / "copy", {"README.md": "hello\n"}) if what == "working copy" else None

    def draft(self) -> Draft:
        """Return the task."""
        if self.copy is None:
            return draft(self.remote, self.branch, PRECIOUS)
        given = {"prompt": PRECIOUS, "repo": str(self.copy), "agent": "scripted", "mode": "local", "yes": True}
        return Draft.model_validate(given)

    def written(self) -> bool:
        """Whether the agent has written."""
        return bool(list(self.path.glob("runs/*/boxes/*/work/precious.txt")))

    def storage(self, code: int, at: int, *, lasting: bool = False) -> FaultyStorage:
        """Return a storage that fails; a full disk has room again once the reserve is released."""
        until = (lambda: code == errno.ENOSPC and not (self.path / "reserve").exists()) if lasting else None
        return FaultyStorage(code, at, armed=self.written, until=until)

    async def run(self, storage: FaultyStorage) -> None:
        """Carry the task out; a storage that stays broken may let the record go without an end."""
        async with serving(StateDir(self.path, storage).prepare(), os.environ) as service:
            await service.submit([self.draft()])

    async def found(self, service: Service, run: Run) -> str:
        """Return where the work is, after looking at all of its bytes; "" when it is lost."""
        if self.copy is None and tip(self.remote, self.branch):
            return "pushed" if files_at(self.remote, self.branch)["precious.txt"] == b"precious\n" else ""
        if self.copy and (self.copy / "precious.txt").exists():
            return "applied" if run.synced and (self.copy / "precious.txt").read_text() == "precious\n" else ""
        return "kept" if b"+precious" in (await service.patch(run.id) or b"") else ""


async def survives(place: Place, storage: FaultyStorage) -> None:
    """Carry out a run on the storage, then look on a good one: the work is there, and the record says why."""
    await place.run(storage)
    async with AgentService.open(place.path) as service:
        [run] = await service.runs()
        assert await place.found(service, run), (storage.failed, run.cause, run.summary)
        [run] = await service.runs()
    if run.state is State.FAILED and run.cause is not Cause.LOST:
        reason = "io" if "output error" in run.summary else "full"
        assert (run.cause, run.reason) == (Cause.DISK, reason), (storage.failed, run.summary)
        assert run.summary.startswith(advice(Cause.DISK, reason).sentence)
    elif run.state is State.FAILED:  # not even its end could be written
        assert len(storage.failed) > 1, storage.failed


@pytest.mark.parametrize(
    ("what", "code", "at", "lasting"),
    [("branch", errno.ENOSPC, 3, True), ("branch", errno.EIO, 9, False), ("working copy", errno.ENOSPC, 6, False)],
)
async def test_a_failing_write_loses_nothing(remote: Path, tmp_path: Path, what: str, code: int, at: int, lasting: bool) -> None:
    place = Place(tmp_path / "place", remote, what)
    storage = place.storage(code, at, lasting=lasting)
    await survives(place, storage)
    assert storage.failed


@pytest.mark.slow
@pytest.mark.timeout(7200)
async def test_any_failing_write_loses_nothing(remote: Path, tmp_path: Path, rounds: Callable[[int], int]) -> None:
    cases = []
    for what in TASKS:
        for code in ERRORS:
            storage = (place := Place(tmp_path / f"count-{what.replace(' ', '-')}-{code}", remote, what)).storage(code, 0)
            await place.run(storage)
            cases += [(what, code, at, lasting) for at in range(1, storage.count + 1) for lasting in (False, True)]
    seed = random.randrange(2**32)
    chosen = random.Random(seed).sample(cases, min(len(cases), rounds(20)))
    print(f"{len(chosen)} of {len(cases)} failing writes, seed {seed}")
    failures = []
    for number, (what, code, at, lasting) in enumerate(chosen):
        place = Place(tmp_path / str(number), remote, what)
        try:
            await survives(place, place.storage(code, at, lasting=lasting))
        except Exception as error:  # noqa: BLE001 - all that fail are shown
            failures.append((what, code, at, lasting, repr(error)))
    assert not failures
