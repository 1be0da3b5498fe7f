"""What a killed process left in the temporary directory is removed by the next; what a living one has, and what is not ours, stays."""

import subprocess
import sys
from pathlib import Path

import pytest

from ccterm.executors.temporary import make_temporary, sweep, temporary

CHILD = """
import sys
from pathlib import Path
from ccterm.executors.temporary import make_temporary
for parent in sys.argv[1:]:
    made = make_temporary("box", Path(parent))
    (made / "inner").mkdir()
    (made / "inner" / "file").touch()
    (made / "inner").chmod(0)
    print(made, flush=True)
input()
"""


@pytest.fixture
def parents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """A temporary directory and a runtime directory of the test's own, which is short enough."""
    found = [tmp_path / "t", tmp_path / "r"]
    for parent in found:
        parent.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(found[0]))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(found[1]))
    return found if len(str(found[1])) < 40 else found[:1]


def test_what_a_killed_process_left_is_removed(parents: list[Path]) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", CHILD, *map(str, parents)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout
        left = [Path(child.stdout.readline().strip()) for _ in parents]
        sweep()
        assert all(path.is_dir() for path in left)
        child.kill()
    sweep()
    assert not any(path.exists() for path in left)


def test_what_is_alive_or_somebody_else_s_stays(parents: list[Path]) -> None:
    (parents[0] / "ccterm-notes").mkdir()
    (parents[0] / "ccterm-box-1-1-1-x").symlink_to(parents[0] / "ccterm-notes")
    with temporary("git") as mine:
        sweep()
        assert mine.is_dir()
        assert mine.stat().st_mode & 0o777 == 0o700
    assert not mine.exists()
    assert {path.name for path in parents[0].iterdir()} == {"ccterm-notes", "ccterm-box-1-1-1-x"}


def test_the_path_of_a_socket_stays_short() -> None:
    made = make_temporary("s", Path("/tmp"))
    made.rmdir()
    assert len(str(made / "123456789012.sock")) < 103
