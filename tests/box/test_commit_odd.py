"""Valid but odd repositories, and the effect of conversions on files."""

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.box.gitbox import GitBox
from tests.support import git as support

Start = Callable[..., GitBox]


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """Return a box on a repository whose blobs are these bytes, unconverted."""

    def start(files: dict[str, bytes]) -> GitBox:
        remote = support.make_bare(tmp_path / "remote.git")
        support.add_commit(remote, files)
        return GitBox(tmp_path / "box", remote).start()

    return start


def test_files_that_checkout_converts_are_not_changed_by_it(start: Start) -> None:
    files = {".gitattributes": b"*.bat eol=crlf\n*.c ident\n*.txt working-tree-encoding=UTF-16LE-BOM\n"}
    box = start(files | {"a.bat": b"one\ntwo\n", "b.c": b"$Id$\n", "c.txt": "grün\n".encode()})
    assert (box.tree / "a.bat").read_bytes() == b"one\r\ntwo\r\n"
    assert box.commit()["commit"] is None


def test_converted_files_are_converted_back(start: Start) -> None:
    box = start({".gitattributes": b"*.bat eol=crlf\n*.txt working-tree-encoding=UTF-16LE-BOM\n", "a.bat": b"one\n", "c.txt": b"x\n"})
    (box.tree / "a.bat").write_bytes(b"one\r\ntwo\r\n")
    (box.tree / "c.txt").write_bytes("\ufeffgrün\n".encode("utf-16-le"))
    files = box.committed_files()
    assert (files["a.bat"], files["c.txt"]) == (b"one\ntwo\n", "grün\n".encode())


def test_files_that_were_never_normalised_are_left_alone(start: Start) -> None:
    box = start({".gitattributes": b"* text=auto\n*.bat text eol=crlf\n", "dos.txt": b"a\r\nb\r\n", "mixed.bat": b"a\r\nb\n", "x": b"1\n"})
    (box.tree / "x").write_bytes(b"2\n")
    report = box.commit()
    assert (report["files"], report["added"]) == (1, 1)


def test_removing_the_attributes_changes_no_other_file(start: Start) -> None:
    box = start({".gitattributes": b"*.bat eol=crlf\n", "a.bat": b"one\ntwo\n"})
    (box.tree / ".gitattributes").unlink()
    report = box.commit()
    assert (report["files"], report["deleted"]) == (1, 1)


def test_attributes_that_git_cannot_apply_lead_to_a_note(start: Start) -> None:
    box = start({"README.md": b"x\n"})
    (box.tree / ".gitattributes").write_text("*.txt working-tree-encoding=UTF-16\n*.q working-tree-encoding=NO-SUCH\n")
    (box.tree / "plain.txt").write_text("plain\n")
    (box.tree / "q.q").write_text("plain\n")
    report = box.commit()
    files = support.files_at(box.clean, report["commit"])
    assert (files["plain.txt"], files["q.q"]) == (b"plain\n", b"plain\n")
    assert len(report["notes"]) == 2


@pytest.mark.slow
def test_a_large_number_of_such_files_is_committed_too(start: Start) -> None:
    box = start({"README.md": b"x\n"})
    (box.tree / ".gitattributes").write_text("*.txt working-tree-encoding=UTF-16\n")
    for number in range(600):
        (box.tree / f"{number}.txt").write_text("plain\n")
    report = box.commit()
    assert (report["files"], len(report["notes"])) == (601, 21)
    assert support.git_bytes(box.clean, "show", f"{report['commit']}:599.txt") == b"plain\n"


HELLO = b"version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize 6\n" % hashlib.sha256(b"hello\n").hexdigest().encode()


def lfs_repository(start: Start) -> GitBox:
    return start({".gitattributes": b"*.bin filter=lfs diff=lfs merge=lfs -text\n", "a.bin": HELLO, "README.md": b"x\n"})


def test_lfs_pointers_stay_pointers(start: Start) -> None:
    box = lfs_repository(start)
    (box.tree / "README.md").write_text("y\n")
    assert box.committed_files()["a.bin"].startswith(b"version https://git-lfs")


def test_lfs_files_in_place_of_their_pointers_are_no_change(start: Start) -> None:
    box = lfs_repository(start)
    (box.tree / "a.bin").write_text("hello\n")
    assert box.commit(lfs=True)["commit"] is None


@pytest.mark.parametrize("by", ["the base", "the agent"])
def test_raw_files_where_pointers_belong_are_refused_without_git_lfs_too(start: Start, by: str) -> None:
    rules = "*.bin filter=lfs diff=lfs merge=lfs -text\n"
    box = start({".gitattributes": rules.encode() if by == "the base" else b"", "a.bin": HELLO, "README.md": b"x\n"})
    (box.tree / ".gitattributes").write_text(rules)
    (box.tree / "a.bin").write_text("hello\n")
    (box.tree / "new.bin").write_text("new\n" * 1000)
    (box.tree / "pointer.bin").write_bytes(HELLO)
    (box.tree / "empty.bin").touch()
    (box.tree / "link.bin").symlink_to("a.bin")
    report = box.commit()
    assert [(refusal["rule"], refusal["path"]) for refusal in report["refusals"]] == [("lfs", "a.bin"), ("lfs", "new.bin")]
    files = support.files_at(box.clean, report["commit"])
    assert (files["a.bin"], files["pointer.bin"], files["empty.bin"], files["link.bin"]) == (HELLO, HELLO, b"", b"a.bin")


def test_files_that_no_longer_belong_in_lfs_are_taken_raw(start: Start) -> None:
    box = lfs_repository(start)
    (box.tree / ".gitattributes").write_text("")
    (box.tree / "a.bin").write_text("hello\n")
    assert box.committed_files()["a.bin"] == b"hello\n"


def test_changed_and_new_lfs_files_are_refused(start: Start) -> None:
    box = lfs_repository(start)
    (box.tree / "a.bin").write_text("other\n")
    (box.tree / "new.bin").write_text("new\n")
    assert box.refused(lfs=True) == [("lfs", "a.bin"), ("lfs", "new.bin")]


def test_a_new_pointer_is_committed_unchanged(start: Start) -> None:
    box = lfs_repository(start)
    (box.tree / "new.bin").write_bytes(HELLO)
    assert box.committed_files(lfs=True)["new.bin"] == HELLO


def literal(remote: Path, kind: str, content: bytes) -> str:
    return support.git(remote, "hash-object", "-t", kind, "-w", "--literally", "--stdin", stdin=content)


def raw_tree(*entries: tuple[bytes, str]) -> bytes:
    return b"".join(about + b"\0" + bytes.fromhex(sha) for about, sha in entries)


BAD_TREES: dict[str, tuple[bytes, ...]] = {
    "zero-padded": (b"100644 a", b"040000 d"),
    "dotgit": (b"40000 .git", b"100644 a"),
    "dotdot": (b"100644 ..", b"100644 a"),
    "unsorted": (b"100644 b", b"100644 a"),
    "twice": (b"100644 a", b"100644 a"),
}


@pytest.mark.first_is_fast
@pytest.mark.parametrize("kind", BAD_TREES)
def test_bad_trees_in_old_history_are_not_checked(tmp_path: Path, kind: str) -> None:
    remote = support.make_bare(tmp_path / "remote.git")
    good = support.add_commit(remote, {"a": "1\n"})
    blob = support.git(remote, "hash-object", "-w", "--stdin", stdin=b"x\n")
    tree = support.git(remote, "rev-parse", f"{good}^{{tree}}")
    bad = support.git(
        remote,
        "commit-tree",
        literal(remote, "tree", raw_tree(*((about, tree if b"40000" in about else blob) for about in BAD_TREES[kind]))),
        "-m",
        "bad",
    )
    support.git(remote, "update-ref", "refs/heads/main", bad)
    support.git(remote, "update-ref", "refs/heads/main", support.git(remote, "commit-tree", tree, "-p", bad, "-m", "good"))
    box = GitBox(tmp_path / "box", remote).start()
    (box.tree / "new").write_text("x")
    commit = box.new_commit()
    assert box.push(commit)["verified"]


def test_outdated_modes_and_padding_in_the_base_are_accepted(tmp_path: Path) -> None:
    remote = support.make_bare(tmp_path / "remote.git")
    support.add_commit(remote, {"a": "1\n"})
    blob = support.git(remote, "hash-object", "-w", "--stdin", stdin=b"x\n")
    inner = literal(remote, "tree", raw_tree((b"100664 group-writable", blob)))
    tree = literal(remote, "tree", raw_tree((b"100664 a", blob), (b"040000 d", inner)))
    support.git(remote, "update-ref", "refs/heads/main", support.git(remote, "commit-tree", tree, "-m", "odd"))
    box = GitBox(tmp_path / "box", remote).start()
    assert box.commit()["commit"] is None
    (box.tree / "d/new").write_text("x")
    assert box.commit()["files"] == 1


@pytest.mark.first_is_fast
@pytest.mark.parametrize(
    "author",
    [b"author nobody 1 +0000", b"author A <a@b> 99999999999999999999 +0000", b"author  <a@b> 1 +0000"],
    ids=["no-mail", "date", "no-name"],
)
def test_bad_commits_in_the_history_are_not_checked(tmp_path: Path, author: bytes) -> None:
    remote = support.make_bare(tmp_path / "remote.git")
    good = support.add_commit(remote, {"a": "1\n"})
    tree = support.git(remote, "rev-parse", f"{good}^{{tree}}").encode()
    bad = literal(remote, "commit", b"tree %s\n%s\n%s\n\nbad\n" % (tree, author, author.replace(b"author", b"committer")))
    support.git(remote, "update-ref", "refs/heads/main", bad)
    box = GitBox(tmp_path / "box", remote).start()
    (box.tree / "new").write_text("x")
    assert box.push(box.new_commit())["verified"]


def test_a_replaced_git_directory_is_ignored(start: Start) -> None:
    box = start({"README.md": b"x\n"})
    shutil.rmtree(box.tree / ".git")
    (box.tree / ".git").write_text("gitdir: /etc\n")
    (box.tree / "new").write_text("x")
    assert box.committed_files().keys() == {"README.md", "new"}
