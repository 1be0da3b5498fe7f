"""Snapshot and apply on a working copy of 10,000 files, against git and cp by hand. Prints ratios; asserts nothing."""

import os
import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from ccterm.models import RunId
from ccterm.state_dir import StateDir
from ccterm.workspace.apply.changeset import ChangeSet, FileChange
from ccterm.workspace.apply.transaction import ApplyTransaction
from ccterm.workspace.content import Content
from ccterm.workspace.repository import find_repository
from ccterm.workspace.snapshot.manifest import RACY_NS
from ccterm.workspace.snapshot.take import Snapshot, take

FILES, TOUCHED, ROUNDS = 10_000, 1_000, 5
RUN = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
GIT = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    **{f"GIT_{who}_{what}": "bench" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
}


def row(name: str, ours: float, peer: float | None, bar: str, what: str = "") -> None:
    """Print one measurement beside its peer's."""
    beside = f"{peer:>10.3f} s  ratio {ours / peer:>5.2f}" if peer else " " * 25
    print(f"{name:<44} {ours:>8.3f} {beside}   bar: {bar:<8} {what}")


def command(*words: str, cwd: Path) -> None:
    """Run a command that must succeed."""
    subprocess.run(words, check=True, capture_output=True, cwd=cwd, env={**os.environ, **GIT})


def repository(root: Path) -> Path:
    """Make a packed repository with one commit of 10,000 files of some 2 KB."""
    for n in range(FILES):
        directory = root / f"d{n % 100}" / f"e{n % 7}"
        directory.mkdir(parents=True, exist_ok=True)
        (directory / f"f{n}.txt").write_text(f"{n}\n" * 400)
    command("git", "init", "-q", "-b", "main", ".", cwd=root)
    command("git", "add", "-A", cwd=root)
    command("git", "-c", "gc.auto=0", "commit", "-qm", "seed", cwd=root)
    command("git", "gc", "--quiet", cwd=root)
    return root


def at_rest(path: Path) -> None:
    """Wait until a file counts as at rest."""
    while time.time_ns() < path.lstat().st_ctime_ns + RACY_NS + 50_000_000:
        time.sleep(0.05)


def snapshot(root: Path, state: StateDir, to: Path) -> tuple[float, Snapshot]:
    """Return the seconds that a snapshot takes, and the snapshot."""
    begin = time.perf_counter()
    taken = take(find_repository(str(root), os.environ, root), state, to, env=os.environ)
    return time.perf_counter() - begin, taken


def by_hand(root: Path, to: Path) -> float:
    """Return the seconds that a bare clone and an index of all files take."""
    begin = time.perf_counter()
    command("git", "clone", "-q", "--bare", "--no-hardlinks", str(root), str(to), cwd=root)
    subprocess.run(
        ["git", f"--git-dir={to}", f"--work-tree={root}", "add", "-A"],
        check=True,
        capture_output=True,
        env={**os.environ, **GIT, "GIT_INDEX_FILE": str(to / "bench-index")},
    )
    return time.perf_counter() - begin


def snapshot_rows(place: Path, root: Path, state: StateDir) -> None:
    """The first snapshot, the next ones, and one of a tree with an edit."""
    at_rest(root / f"d{(FILES - 1) % 100}" / f"e{(FILES - 1) % 7}" / f"f{FILES - 1}.txt")
    peers = [by_hand(root, place / f"hand-{n}") for n in range(ROUNDS)]
    first, _ = snapshot(root, state, place / "first")
    row(f"first snapshot of {FILES:,} files", first, statistics.median(peers), "1.5 s", "peer: git clone --bare, git add")
    again = [snapshot(root, state, place / f"again-{n}")[0] for n in range(ROUNDS)]
    row("  again, nothing changed", statistics.median(again), statistics.median(peers), "0.3 s")
    (root / "new.txt").write_text("new\n")
    edited = [snapshot(root, state, place / f"edited-{n}")[0] for n in range(ROUNDS)]
    row("  again, one file more", statistics.median(edited), statistics.median(peers), "-")
    (root / "new.txt").unlink()


def change_set(root: Path, directory: Path, text: str) -> ChangeSet:
    """Return changes of 1,000 files."""
    directory.mkdir()
    ops = []
    for number, path in enumerate(sorted(root.glob("d*/e*/*.txt"))[:TOUCHED]):
        data = text.encode() * 200
        (directory / str(number)).write_bytes(data)
        old = Content.of(path.read_bytes(), 0o100644, mode=path.stat().st_mode & 0o777)
        name = os.fsencode(path.relative_to(root)).decode("latin-1")
        ops.append(FileChange(name=name, old=old, new=Content.of(data, 0o100644), file=str(number)))
    return ChangeSet(directory, tuple(ops))


def apply_rows(place: Path, root: Path, state: StateDir) -> None:
    """1,000 files in, and out again."""
    ins, outs, peers = [], [], []
    for n in range(ROUNDS):
        changes = change_set(root, place / f"changes-{n}", f"round {n}\n")
        begin = time.perf_counter()
        ApplyTransaction(state).apply(RunId(RUN), root, changes)
        ins.append(time.perf_counter() - begin)
        begin = time.perf_counter()
        ApplyTransaction(state).undo(RunId(RUN))
        outs.append(time.perf_counter() - begin)
        shutil.rmtree(state.journal / RUN)
        begin = time.perf_counter()
        for op in changes.ops:
            shutil.copyfile(changes.directory / op.file, place / "scratch")
        os.sync()
        peers.append(time.perf_counter() - begin)
    row(f"apply {TOUCHED:,} files, journal and all", statistics.median(ins), statistics.median(peers), "2 s", "peer: 1,000 times cp, sync")
    row("  undo", statistics.median(outs), statistics.median(peers), "2 s")


def main() -> None:
    """Print all rows."""
    print(f"{'':<44} {'ccterm':>8} {'peer':>10}")
    with tempfile.TemporaryDirectory(prefix="ccterm-bench-", dir=os.environ.get("CCTERM_BENCH_DIR")) as temporary:
        place = Path(temporary)
        (place / "repository").mkdir()
        root = repository(place / "repository")
        state = StateDir(place / "state").prepare()
        snapshot_rows(place, root, state)
        apply_rows(place, root, state)


if __name__ == "__main__":
    main()
