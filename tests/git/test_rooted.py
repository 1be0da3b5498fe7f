"""Descents into a directory follow no link and open no special file."""

import socket
from contextlib import chdir
from pathlib import Path

import pytest

from ccterm.git.rooted import Root


@pytest.fixture
def top(tmp_path: Path) -> Path:
    """Return a directory with a file, a link to it, a link out, and a socket."""
    top = tmp_path / "top"
    (top / "inner").mkdir(parents=True)
    (top / "inner" / "file").write_text("text")
    (top / "link").symlink_to("inner/file")
    (top / "out").symlink_to(tmp_path)
    with chdir(top), socket.socket(socket.AF_UNIX) as made:
        made.bind("socket")
    return top


@pytest.mark.parametrize("hostile", [False, True])
def test_a_regular_file_is_read(top: Path, hostile: bool) -> None:
    with Root(top, hostile=hostile) as root:
        assert root.read(b"inner/file", 3) == b"tex"
        assert {name: node.git_mode for name, node in root.list(b"").items()} == {
            b"inner": 0,
            b"link": 0o120000,
            b"out": 0o120000,
            b"socket": 0,
        }


@pytest.mark.parametrize("path", [b"link", b"out/top/inner/file", b"socket", b"inner"])
def test_nothing_else_is_opened(top: Path, path: bytes) -> None:
    with Root(top) as root, pytest.raises(OSError, match=r".+"):
        root.open(path)


def test_a_path_through_a_link_holds_nothing(top: Path) -> None:
    with Root(top) as root:
        assert root.stat(b"out/top") is None
        assert root.stat(b"inner/file/below") is None
        assert root.stat(b"nothing") is None
        assert root.link(b"link") == b"inner/file"


def test_an_agents_tree_must_not_be_a_link(top: Path) -> None:
    with Root(top / "out"):
        pass
    with pytest.raises(OSError, match=r".+"):
        Root(top / "out", hostile=True)


def test_a_moved_directory_is_noticed_after_forget(top: Path) -> None:
    with Root(top) as root:
        assert root.node(b"inner/file").is_file
        (top / "inner").rename(top / "other")
        root.forget()
        assert root.stat(b"inner/file") is None
