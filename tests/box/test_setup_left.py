"""What setup left in the tree is not the agent's work; what the agent changed afterwards is, whole."""

import os
from pathlib import Path
from typing import Any

import pytest

from tests.box.gitbox import GitBox, box_on, checked_out, write, write_all
from tests.support import git as support

LOCK = "package-lock.json"
SETUP = f"""
mkdir -p build deps dist
echo out > build/out.o
echo v2 > {LOCK}
echo bundle > dist/app.js
rm old.txt
chmod +x tool
ln -s tool link
"""


@pytest.fixture
def box(tmp_path: Path) -> GitBox:
    return box_on(tmp_path, files={LOCK: "v1\n", "old.txt": "old\n", "tool": "#!/bin/sh\n", ".gitignore": "dist/\n*.pyc\n"}, grown=True)


def set_up(box: GitBox, command: str = SETUP) -> None:
    """Run a setup command as the first step after the checkout does."""
    request = {"command": command, "cwd": "work", "env": {}, "timeout_seconds": 60.0, "mark": os.urandom(8).hex(), "record": "left"}
    report = box.run("shell", request)
    assert report["ok"], report


def committed(box: GitBox, **fields: object) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Commit; return the report, and what the commit changes: path -> content, b"" for what it removes."""
    report = box.commit(left="left", **fields)
    assert report["ok"], report
    if report["commit"] is None:
        return report, {}
    before, after = (support.files_at(box.clean, revision) for revision in (str(box.base), report["commit"]))
    return report, {path: after.get(path, b"") for path in before | after if before.get(path) != after.get(path)}


def test_only_what_the_agent_changed_is_committed(box: GitBox) -> None:
    set_up(box)
    write(box.tree, "mine.txt")
    report, changes = committed(box)
    assert changes == {"mine.txt": b"x\n"}
    assert support.git(box.clean, "rev-parse", f"{report['commit']}^") == box.base
    assert report["notes"] == [
        f"left out of the commit, because setup left it so: build/out.o, link, old.txt, {LOCK}, tool",
    ]


def test_nothing_is_left_of_an_agent_that_did_nothing_or_committed_what_setup_left(box: GitBox) -> None:
    set_up(box)
    assert committed(box)[0]["commit"] is None
    support.git(box.tree, "add", "--all")
    support.git(box.tree, "add", "--force", "dist/app.js")
    support.git(box.tree, "-c", "user.name=a", "-c", "user.email=a@example.invalid", "commit", "--quiet", "--message", "All of it")
    report, changes = committed(box, out="again")
    assert (report["commit"], changes, report["side"], report["refusals"]) == (None, {}, [], [])


def test_what_the_agent_changed_after_setup_is_the_agents_whole_and_told(box: GitBox) -> None:
    set_up(box)
    write(box.tree, LOCK, "v3\n")
    write(box.tree, "build/out.o", "patched\n")
    (box.tree / "tool").chmod(0o644)
    write(box.tree, "tool", "#!/bin/bash\n")
    write(box.tree, "old.txt", "new\n")
    report, changes = committed(box)
    assert changes == {LOCK: b"v3\n", "build/out.o": b"patched\n", "tool": b"#!/bin/bash\n", "old.txt": b"new\n"}
    assert f"changed by setup as well as by the agent, and in the commit with both: build/out.o, {LOCK}, tool" in report["notes"]


def test_what_the_agent_undid_is_no_change(box: GitBox) -> None:
    set_up(box)
    support.git(box.tree, "checkout", "--quiet", "--", ".")
    support.git(box.tree, "clean", "--quiet", "-d", "--force", "-x")
    assert committed(box)[1] == {}


def test_a_file_that_setup_only_touched_is_not_called_changed_by_it(box: GitBox) -> None:
    set_up(box, f"touch {LOCK}; echo v1 > {LOCK}")
    write(box.tree, LOCK, "v3\n")
    report, changes = committed(box)
    assert (changes, report["notes"]) == ({LOCK: b"v3\n"}, [])


def test_what_a_rule_refuses_is_no_refusal_when_setup_left_it(box: GitBox) -> None:
    set_up(box, "head -c 3000 /dev/zero > big; ln -s /etc/passwd outside; printf x > 'line\nbreak'; printf y > readme.md")
    write(box.tree, "mine.txt")
    report, changes = committed(box, max_file_bytes=2000)
    assert (changes, report["refusals"]) == ({"mine.txt": b"x\n"}, [])


def test_a_setup_that_writes_into_a_submodule_refuses_nothing(tmp_path: Path) -> None:
    library = support.make_remote(tmp_path / "library.git", {"lib.c": "1\n"})
    remote = support.make_remote(tmp_path / "remote.git", {"README.md": "x\n"})
    support.add_submodule(remote, "lib", str(support.tip(library, "main")), "../library.git")
    box = GitBox(tmp_path / "box", remote).start(submodules=True, submodule_paths=[f"{str(tmp_path).strip('/')}/*"])
    set_up(box, "echo built > lib/lib.o")
    write(box.tree, "mine.txt")
    report, changes = committed(box)
    assert (changes, report["refusals"]) == ({"mine.txt": b"x\n"}, [])
    write(box.tree, "lib/lib.o", "patched\n")
    report = committed(box, out="again")[0]
    assert [(refusal["rule"], refusal["path"]) for refusal in report["refusals"]] == [("gitlink", "lib/lib.o")]


def test_what_the_commands_git_directory_says_is_not_asked(box: GitBox, tmp_path: Path) -> None:
    marker = tmp_path / "it-ran"
    set_up(
        box,
        f"git config core.fsmonitor 'touch {marker}'; git config core.excludesFile /dev/null; rm -rf .git/info; echo x > new; mkfifo pipe",
    )
    assert committed(box)[1] == {}
    assert not marker.exists()


@pytest.mark.parametrize("damage", ["", "[]", '{"files": {"a": 1}, "gone": [], "note": ""}'])
def test_a_damaged_record_takes_nothing_from_the_agent_and_is_told(tmp_path: Path, damage: str) -> None:
    box = checked_out(tmp_path, {"a": "1\n"})
    write_all(box.tree, ["a", "b"])
    (box.directory / "left").mkdir()
    (box.directory / "left/setup.json").write_text(damage)
    report, changes = committed(box)
    assert changes.keys() == {"a", "b"}
    assert [note.startswith("what setup left cannot be told from the agent's work: ") for note in report["notes"]] == [True]


def test_a_failing_command_leaves_no_record(box: GitBox) -> None:
    request = {"command": "false", "cwd": "work", "env": {}, "timeout_seconds": 60.0, "mark": os.urandom(8).hex(), "record": "left"}
    assert not box.run("shell", request)["ok"]
    assert not (box.directory / "left").exists()
