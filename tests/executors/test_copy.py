"""Copying and removing trees of unknown origin."""

import os
import socket
import stat
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccterm.executors.local.copy import copy_tree, remove_tree
from tests.executors.contract import odd_tree, snapshot

LONGEST_PATH = os.pathconf("/", "PC_PATH_MAX") - 1
MODES = [0o644, 0o755, 0o600, 0o444, 0o4755, 0o2755, 0o1777, *([0o000] if os.getuid() == 0 else [])]


def test_a_tree_is_copied_exactly(tmp_path: Path) -> None:
    source = odd_tree(tmp_path / "source")
    assert copy_tree(source, tmp_path / "copy") == []
    assert snapshot(tmp_path / "copy") == snapshot(source)


@pytest.mark.parametrize("mode", MODES, ids=oct)
def test_modes_are_copied(tmp_path: Path, mode: int) -> None:
    (tmp_path / "source").mkdir()
    for name in ("file", "directory"):
        (tmp_path / "source" / name).touch() if name == "file" else (tmp_path / "source" / name).mkdir()
        (tmp_path / "source" / name).chmod(mode)
    copy_tree(tmp_path / "source", tmp_path / "copy")
    modes = {stat.S_IMODE((tmp_path / "copy" / name).lstat().st_mode) for name in ("file", "directory")}
    assert modes == {mode}


def test_times_are_copied(tmp_path: Path) -> None:
    (tmp_path / "source" / "directory").mkdir(parents=True)
    (tmp_path / "source" / "directory" / "file").touch()
    for name in ("directory/file", "directory"):
        os.utime(tmp_path / "source" / name, ns=(1, 1_234_567_890_123_456_789))
    copy_tree(tmp_path / "source", tmp_path / "copy")
    assert {(tmp_path / "copy" / name).stat().st_mtime_ns for name in ("directory/file", "directory")} == {1_234_567_890_123_456_789}


@pytest.mark.parametrize("size", [0, 1, 131_072, 131_073, 3_000_000])
def test_content_of_any_size_is_copied(tmp_path: Path, size: int) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "file").write_bytes(os.urandom(size))
    copy_tree(tmp_path / "source", tmp_path / "copy")
    assert (tmp_path / "copy" / "file").read_bytes() == (tmp_path / "source" / "file").read_bytes()


@given(
    holes=st.lists(st.tuples(st.integers(0, 4_000_000), st.binary(min_size=1, max_size=10_000)), max_size=5), size=st.integers(0, 5_000_000)
)
def test_a_sparse_file_is_copied_correctly(tmp_path_factory: pytest.TempPathFactory, holes: list[tuple[int, bytes]], size: int) -> None:
    root = tmp_path_factory.mktemp("sparse")
    (root / "source").mkdir()
    with (root / "source" / "file").open("wb") as file:
        for place, content in holes:
            file.seek(place)
            file.write(content)
        file.truncate(max(size, file.seek(0, os.SEEK_END)))
    copy_tree(root / "source", root / "copy")
    assert (root / "copy" / "file").read_bytes() == (root / "source" / "file").read_bytes()


def test_a_huge_sparse_file_stays_sparse(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    with (tmp_path / "source" / "file").open("wb") as file:
        file.truncate(50 * 1024**3)
    copy_tree(tmp_path / "source", tmp_path / "copy")
    facts = (tmp_path / "copy" / "file").stat()
    assert (facts.st_size, facts.st_blocks) == (50 * 1024**3, 0)


def test_special_files_are_recreated_and_never_opened(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    os.mkfifo(tmp_path / "source" / "fifo")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "source" / "s"))
        assert copy_tree(tmp_path / "source", tmp_path / "copy") == []
    kinds = {path.name: stat.S_IFMT(path.lstat().st_mode) for path in (tmp_path / "copy").iterdir()}
    assert kinds == {"fifo": stat.S_IFIFO, "s": stat.S_IFSOCK}


def test_links_are_copied_not_followed(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").touch()
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "out").symlink_to(tmp_path / "outside")
    (tmp_path / "source" / "loop").symlink_to(".")
    copy_tree(tmp_path / "source", tmp_path / "copy")
    assert {path.name: str(path.readlink()) for path in (tmp_path / "copy").iterdir()} == {"out": str(tmp_path / "outside"), "loop": "."}


def test_an_existing_target_is_refused(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    with pytest.raises(FileExistsError):
        copy_tree(tmp_path / "source", tmp_path / "source")


def test_a_path_that_is_too_long_is_left_out_and_reported(tmp_path: Path) -> None:
    make_nested(tmp_path / "source", ["d" * 200] * 30)
    left_out = copy_tree(tmp_path / "source", tmp_path / "copy")
    assert len(left_out) == 1
    assert "too long" in left_out[0]
    remove_tree(tmp_path / "copy")
    remove_tree(tmp_path / "source")
    assert not (tmp_path / "source").exists()


def test_a_path_that_is_too_long_only_in_the_source_is_reported_once(tmp_path: Path) -> None:
    source, copy = tmp_path / "source", tmp_path / "copy"
    inner = names_filling(LONGEST_PATH + 1 - len(f"{source}/"))
    assert len(str(source.joinpath(*inner))) > LONGEST_PATH >= len(str(copy.joinpath(*inner)))
    make_nested(source, inner)
    assert copy_tree(source, copy) == [f"{'/'.join(inner)}: File name too long"]


def names_filling(length: int) -> list[str]:
    """Return names that make a relative path of exactly so many characters."""
    whole, rest = divmod(length, 101)
    return ["d" * 100] * (whole - 1) + ["e" * (101 + rest)]


def make_nested(root: Path, names: Sequence[str]) -> None:
    """Make nested directories, deeper than the longest path."""
    root.mkdir()
    here = os.open(root, os.O_RDONLY)
    for name in names:
        os.mkdir(name, dir_fd=here)
        below = os.open(name, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
def test_an_unreadable_directory_is_left_out_and_reported() -> None:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        root.chmod(0o777)
        (root / "source" / "closed").mkdir(parents=True)
        (root / "source" / "closed" / "file").touch()
        (root / "source" / "closed").chmod(0o700)
        (root / "source" / "open").touch()
        assert as_somebody_else(lambda: copy_tree(root / "source", root / "copy") == ["closed: Permission denied"])
        assert set(snapshot(root / "copy")) == {b"closed", b"open"}


def as_somebody_else(check: Callable[[], bool]) -> bool:
    child = os.fork()
    if not child:
        os.setuid(65534)
        os._exit(not check())
    return os.waitpid(child, 0)[1] == 0


def test_directories_without_permissions_are_removed(tmp_path: Path) -> None:
    (tmp_path / "tree" / "closed" / "inner").mkdir(parents=True)
    (tmp_path / "tree" / "closed" / "inner" / "file").touch()
    for name in ("tree/closed/inner", "tree/closed"):
        (tmp_path / name).chmod(0)
    remove_tree(tmp_path / "tree")
    assert not (tmp_path / "tree").exists()


@pytest.mark.parametrize("mode", [0o755, 0o000], ids=oct)
def test_a_tree_deeper_than_any_path_is_removed(tmp_path: Path, mode: int) -> None:
    (tmp_path / "tree").mkdir()
    here = os.open(tmp_path / "tree", os.O_RDONLY)
    for _ in range(1200):
        os.mkdir("deeper", dir_fd=here)
        below = os.open("deeper", os.O_RDONLY, dir_fd=here)
        os.close(os.open("file", os.O_CREAT, dir_fd=below))
        os.close(here)
        here = below
    os.fchmod(here, mode)
    os.close(here)
    remove_tree(tmp_path / "tree")
    assert list(tmp_path.iterdir()) == []


def test_leftovers_of_an_interrupted_removal_are_removed(tmp_path: Path) -> None:
    for name in ("01-resolve", ".removing-0", ".removing-1"):
        (tmp_path / "tree" / name / "inner").mkdir(parents=True)
        (tmp_path / "tree" / name / "inner" / "file").touch()
    remove_tree(tmp_path / "tree")
    assert not (tmp_path / "tree").exists()


def test_removing_never_follows_a_link(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "precious").touch()
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "link").symlink_to(tmp_path / "outside")
    (tmp_path / "top").symlink_to(tmp_path / "outside")
    for name in ("tree", "top", "never-there"):
        remove_tree(tmp_path / name)
    assert [path.name for path in tmp_path.rglob("*")] == ["outside", "precious"]
