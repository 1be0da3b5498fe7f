"""What the step commit writes besides the commit: bundle, patch, changes, added bytes, and copies of what was refused."""

import json
import os
from pathlib import Path

import pytest

from tests.box.gitbox import GitBox, box_on
from tests.conftest import MakeRemote
from tests.support import git as support


@pytest.fixture
def box(tmp_path: Path, make_remote: MakeRemote) -> GitBox:
    """Return a box with a checked-out tree."""
    return box_on(tmp_path)


def test_the_bundle_adds_the_commit_to_a_repository_with_the_base(tmp_path: Path, box: GitBox) -> None:
    (box.tree / "new").write_text("x")
    commit = box.new_commit()
    other = tmp_path / "other"
    support.git(tmp_path, "clone", "--quiet", box.remote, str(other))
    support.git(other, "fetch", "--quiet", str(box.out / "work.bundle"), "refs/ccterm/work")
    assert support.git(other, "rev-parse", "FETCH_HEAD") == commit


def test_the_patch_makes_the_same_tree(tmp_path: Path, box: GitBox) -> None:
    (box.tree / "bin").write_bytes(bytes(range(256)))
    (box.tree / "src/main.py").unlink()
    (box.tree / "README.md").chmod(0o755)
    commit = box.new_commit()
    other = tmp_path / "other"
    support.git(tmp_path, "clone", "--quiet", box.remote, str(other))
    support.git(other, "apply", "--index", str(box.out / "work.patch"))
    assert support.git(other, "write-tree") == support.git(box.clean, "rev-parse", f"{commit}^{{tree}}")


def test_the_list_of_changes(box: GitBox) -> None:
    (box.tree / "README.md").write_text("# Example\nmore\n")
    (box.tree / "bin").write_bytes(b"\0\1\2")
    (box.tree / "src/main.py").unlink()
    box.new_commit()
    told = json.loads((box.out / "changes.json").read_text())
    assert [{name: value for name, value in change.items() if name != "span"} for change in told] == [
        {"path": "README.md", "old_mode": "100644", "new_mode": "100644", "added": 1, "removed": 0, "size": 15, "old_size": 10},
        {"path": "bin", "old_mode": None, "new_mode": "100644", "added": None, "removed": None, "size": 3, "old_size": 0},
        {"path": "src/main.py", "old_mode": "100644", "new_mode": None, "added": 0, "removed": 1, "size": 0, "old_size": 9},
    ]


def test_each_change_says_where_its_added_bytes_are(box: GitBox) -> None:
    (box.tree / "README.md").unlink()
    (box.tree / "README.md").symlink_to("TARGET")
    (box.tree / "bin").write_bytes(b"\0BINARY")
    (box.tree / "src/main.py").write_text("+++ TEXT\n")
    (box.tree / "zero").touch()
    box.new_commit()
    added = (box.out / "added.bin").read_bytes()
    told = json.loads((box.out / "changes.json").read_text())
    assert {change["path"]: added[slice(*change["span"])] for change in told} == {
        "README.md": b"TARGET\n",
        "bin": b"bin\n\0BINARY\n",
        "src/main.py": b"+++ TEXT\n",
        "zero": b"zero\n",
    }


def test_a_renamed_file_names_its_new_path(box: GitBox) -> None:
    (box.tree / "src/main.py").rename(box.tree / "moved.py")
    (box.tree / "README.md").unlink()
    box.new_commit()
    told = json.loads((box.out / "changes.json").read_text())
    assert {change["path"]: change.get("renamed_to") for change in told} == {"README.md": None, "moved.py": None, "src/main.py": "moved.py"}


def test_a_gutted_file_says_how_many_lines_it_had(tmp_path: Path) -> None:
    source = support.make_repository(tmp_path / "source", {"long.txt": "line\n" * 50, "short.txt": "line\n" * 5})
    box = GitBox(tmp_path / "box", source).start()
    for name in ("long.txt", "short.txt"):
        (box.tree / name).write_text("stub\n")
    box.new_commit()
    told = json.loads((box.out / "changes.json").read_text())
    assert {change["path"]: change.get("old_lines") for change in told} == {"long.txt": 50, "short.txt": None}


def test_what_is_text_no_more_says_how_many_lines_it_had_and_attributes_hide_nothing(tmp_path: Path) -> None:
    text = "line\n" * 50
    source = support.make_repository(tmp_path / "source", dict.fromkeys(("was.txt", "is.lock", "gone.lock"), text) | {"image": b"\0a\n"})
    box = GitBox(tmp_path / "box", source).start()
    (box.clean / "info").mkdir(exist_ok=True)
    (box.clean / "info/attributes").write_text("*.lock -diff\n")
    (box.tree / "was.txt").write_bytes(b"\0" + text.encode())
    (box.tree / "is.lock").write_text(text[5:])
    (box.tree / "gone.lock").unlink()
    (box.tree / "image").write_bytes(b"\0b\n")
    box.new_commit()
    told = json.loads((box.out / "changes.json").read_text())
    assert {change["path"]: (change["added"], change["removed"], change.get("old_lines")) for change in told} == {
        "gone.lock": (None, None, 50),
        "image": (None, None, None),
        "is.lock": (0, 1, 50),
        "was.txt": (None, None, 50),
    }


def test_the_added_bytes_are_everything_new_and_nothing_old(box: GitBox) -> None:
    (box.tree / "README.md").write_text("# Example\n++ NEW-LINE\n--- a\n")
    (box.tree / "NEW-NAME").write_bytes(b"\0NEW-BINARY")
    (box.tree / "link").symlink_to("NEW-TARGET")
    (box.tree / "src/main.py").unlink()
    box.new_commit(body="NEW-BODY", subject="NEW-SUBJECT")
    added = (box.out / "added.bin").read_bytes()
    for word in (b"++ NEW-LINE\n", b"--- a\n", b"NEW-NAME", b"\0NEW-BINARY", b"NEW-TARGET", b"NEW-BODY", b"NEW-SUBJECT"):
        assert word in added
    assert b"Example" not in added
    assert b"print" not in added


def test_attributes_cannot_hide_lines_from_the_added_bytes(box: GitBox) -> None:
    (box.tree / ".gitattributes").write_text("* -diff binary\n")
    (box.tree / "hidden").write_text("SECRET-LINE\n")
    box.new_commit()
    assert b"SECRET-LINE" in (box.out / "added.bin").read_bytes()


def test_a_name_that_is_not_utf8_is_written_with_surrogates(tmp_path: Path) -> None:
    source = support.make_repository(tmp_path / "source", {"README.md": "x"})
    (source / os.fsdecode(b"caf\xe9")).write_text("1")
    support.commit_files(source, {})
    box = GitBox(tmp_path / "box", source).start()
    (box.tree / os.fsdecode(b"caf\xe9")).write_text("2")
    box.new_commit()
    assert [change["path"] for change in json.loads((box.out / "changes.json").read_text())] == ["caf\udce9"]


def copies(box: GitBox) -> dict[str, bytes | None]:
    """Return path -> bytes of what lies in refused/."""
    directory = box.out / "refused"
    listed = json.loads((directory / "index.json").read_text())
    return {entry["path"]: (directory / entry["file"]).read_bytes() if entry["file"] else None for entry in listed}


def test_a_refused_file_is_kept_as_data(box: GitBox) -> None:
    (box.tree / "big").write_bytes(b"b" * 2000)
    assert box.refused(max_file_bytes=1000) == [("size", "big")]
    assert copies(box) == {"big": b"b" * 2000}


def test_all_files_of_a_refused_directory_are_kept(box: GitBox) -> None:
    support.make_repository(box.tree / "nested", {"a": "1", "b/c": "2"})
    assert box.refused() == [("nested", "nested")]
    kept = copies(box)
    assert (kept["nested/a"], kept["nested/b/c"]) == (b"1", b"2")


def test_links_and_fifos_are_listed_and_not_opened(box: GitBox) -> None:
    (box.tree / "link").symlink_to("/etc/passwd")
    os.mkfifo(box.tree / "fifo")
    box.commit()
    assert copies(box) == {"link": None, "fifo": None}


def test_without_refusals_there_is_no_directory_for_them(box: GitBox) -> None:
    (box.tree / "new").write_text("x")
    box.new_commit()
    assert not (box.out / "refused").exists()


def test_refused_files_are_copied_even_without_a_commit(box: GitBox) -> None:
    (box.tree / "link").symlink_to("/etc/passwd")
    report = box.commit()
    assert (report["commit"], sorted(path.name for path in box.out.iterdir())) == (None, ["refused"])
