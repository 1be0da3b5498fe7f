import os
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ccterm.errors import StateError, UnknownRun
from ccterm.models import RunId
from ccterm.state_dir import Reserve, StateDir, make_private_file, private_directory, private_file, write_private
from tests.support.machine import bound_by_permissions

NOBODY = 65534
PLACES = ["", "runs", "salvage", "mirrors", "journal"]


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture(params=[0o000, 0o022, 0o777], ids=["umask-000", "umask-022", "umask-777"])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


@pytest.fixture
def state(tmp_path: Path) -> StateDir:
    return StateDir(tmp_path / "state")


def test_every_directory_is_private_whatever_the_umask(state: StateDir, umask: int) -> None:
    state.prepare()
    assert {mode(path) for path in (state.path, *state.path.iterdir())} == {0o700}


def test_missing_parents_are_made_private(tmp_path: Path, umask: int) -> None:
    StateDir(tmp_path / "a" / "b" / "state").prepare()
    assert [mode(tmp_path / "a"), mode(tmp_path / "a" / "b")] == [0o700, 0o700]


def test_a_file_is_private_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    os.close(private_file(tmp_path / "opened"))
    write_private(tmp_path / "written", b"x")
    make_private_file(tmp_path / "made")
    assert {mode(path) for path in tmp_path.iterdir()} == {0o600}


def test_a_readable_file_of_ours_is_closed_to_others(tmp_path: Path) -> None:
    for name, use in {"a": lambda path: os.close(private_file(path)), "b": make_private_file}.items():
        (tmp_path / name).write_text("old")
        (tmp_path / name).chmod(0o644)
        use(tmp_path / name)
        assert mode(tmp_path / name) == 0o600


def test_preparing_twice_changes_nothing(state: StateDir) -> None:
    write_private(state.prepare().runs / "kept", b"x")
    assert (state.prepare().runs / "kept").read_bytes() == b"x"


def plant_link(path: Path) -> None:
    path.symlink_to(path.parent)


def plant_dangling_link(path: Path) -> None:
    path.symlink_to(path.parent / "nowhere")


def plant_file(path: Path) -> None:
    path.touch()


def plant_open_directory(path: Path) -> None:
    path.mkdir()
    path.chmod(0o770)


def plant_foreign_directory(path: Path) -> None:
    path.mkdir(mode=0o700)
    if os.geteuid() != 0:
        pytest.skip("only root can give a directory away")
    os.chown(path, NOBODY, NOBODY)


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place or "itself")
@pytest.mark.parametrize("plant", [plant_link, plant_dangling_link, plant_file, plant_open_directory, plant_foreign_directory])
def test_a_planted_directory_is_refused_by_name(state: StateDir, place: str, plant: Callable[[Path], None]) -> None:
    path = state.path / place
    if place:
        private_directory(state.path)
    plant(path)
    with pytest.raises(StateError) as caught:
        state.prepare()
    assert str(path) in caught.value.message
    assert caught.value.fix


@pytest.mark.parametrize("plant", [plant_link, plant_dangling_link, os.mkfifo, Path.mkdir, plant_file], ids=lambda plant: plant.__name__)
@pytest.mark.parametrize("use", [private_file, make_private_file], ids=lambda use: use.__name__)
def test_a_planted_file_is_refused_by_name(tmp_path: Path, plant: Callable[[Path], None], use: Callable[[Path], object]) -> None:
    path = tmp_path / "owner.lock"
    plant(path)
    if plant is plant_file:
        plant_foreign_owner(path)
    with pytest.raises(StateError) as caught:
        use(path)
    assert str(path) in caught.value.message


def plant_foreign_owner(path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    os.chown(path, NOBODY, NOBODY)


@pytest.mark.parametrize("held", [[], ["ccterm.log"], ["lost+found"]], ids=["nothing", "our log", "a new volume"])
def test_an_empty_directory_that_others_may_read_is_closed(state: StateDir, held: list[str]) -> None:
    state.path.mkdir(mode=0o755)
    for name in held:
        (state.path / name).touch()
    assert mode(state.prepare().path) == 0o700


def test_a_directory_with_another_purpose_is_left_untouched(state: StateDir) -> None:
    state.path.mkdir(mode=0o755)
    (state.path / "public_html").mkdir()
    with pytest.raises(StateError, match="contains other files"):
        state.prepare()
    assert mode(state.path) == 0o755


def test_a_state_directory_that_was_opened_to_others_is_closed_again(state: StateDir) -> None:
    state.prepare().path.chmod(0o755)
    assert mode(state.prepare().path) == 0o700


def prepared(state: StateDir) -> "subprocess.CompletedProcess[str]":
    """Prepare the directory in a process that permissions bind, be it root's."""
    command = [sys.executable, "-c", "import sys; from ccterm.state_dir import *; StateDir(Path(sys.argv[1])).prepare()", str(state.path)]
    return subprocess.run([*bound_by_permissions(), *command], capture_output=True, text=True, timeout=60, check=False)


def test_a_directory_that_is_not_writable_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0o500)
    done = prepared(StateDir(tmp_path / "closed" / "state"))
    denied = f"StateError: {tmp_path}/closed/state cannot be used: Permission denied; check the permissions of {tmp_path}/closed/state"
    assert f"{denied}, and of the directories above it, or set CCTERM_STATE_DIR" in done.stderr


def test_a_directory_of_ours_that_lost_its_write_permission_gets_it_back(state: StateDir) -> None:
    state.prepare().runs.chmod(0o500)
    assert prepared(state).returncode == 0
    assert mode(state.runs) == 0o700


@pytest.mark.parametrize("run", ["../x", "a/b", "", ".", "a b"])
def test_an_invalid_id_never_becomes_a_path(state: StateDir, run: str) -> None:
    with pytest.raises(UnknownRun):
        state.run(RunId(run))


def test_the_environment_names_the_directory(tmp_path: Path) -> None:
    assert StateDir.from_environment({"CCTERM_STATE_DIR": str(tmp_path)}).path == tmp_path


def test_by_default_it_is_in_the_users_state_directory(isolation: Path) -> None:
    path = StateDir.from_environment({}).path
    assert path.is_relative_to(isolation)
    assert path.name == "ccterm"


def test_a_relative_name_is_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert StateDir(Path("here")).path == tmp_path / "here"


def test_writing_replaces_the_content(tmp_path: Path) -> None:
    write_private(tmp_path / "file", b"old")
    write_private(tmp_path / "file", b"new")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"file": b"new"}


def test_a_write_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "file").mkdir()
    with pytest.raises(StateError, match=f"{tmp_path}/file cannot be written"):
        write_private(tmp_path / "file", b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_reserve_keeps_its_space_until_it_is_released(tmp_path: Path) -> None:
    reserve = Reserve(tmp_path / "reserve", size=1024 * 1024)
    assert reserve.keep()
    assert (tmp_path / "reserve").stat().st_blocks * 512 >= 1024 * 1024
    assert reserve.release()
    assert not (tmp_path / "reserve").exists()


def test_a_reserve_is_released_once(tmp_path: Path) -> None:
    reserve = Reserve(tmp_path / "reserve", size=64 * 1024)
    assert not reserve.release()


def test_a_reserve_without_room_is_not_an_error(tmp_path: Path) -> None:
    assert not Reserve(tmp_path / "missing" / "reserve").keep()
