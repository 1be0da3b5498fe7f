"""One checkpoint of a tree: it holds what the commit step would take at that moment, and reads nothing that the agent's links lead to."""

import base64
import json
import os
import subprocess
import sys
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ccterm.box.agent.checkpoints import unbroken
from tests.box.boxed import Running, supervise_request
from tests.box.gitbox import AUTHOR, GitBox, box_on, write, write_all
from tests.box.programs import guest_bundle
from tests.support import git as support

CAPS = {"max_file_bytes": 50 << 20, "max_total_bytes": 200 << 20}


@dataclass
class Checkpoints:
    """Makes checkpoints of a box as its supervisor does, and keeps the last whole one as a host does."""

    box: GitBox
    began: float
    number: int = 0
    last: int = 0
    segments: dict[int, bytes] = field(default_factory=dict)
    whole: dict[str, Any] = field(default_factory=dict)
    said: list[bytes] = field(default_factory=list)

    def make(self, *, lost: bool = False) -> list[str]:
        """Make one; return the kinds of its lines. lost: the host gets none of them."""
        place = self.box.directory / "private"
        if not place.exists():
            place.mkdir()
            support.git(self.box.directory, "clone", "--quiet", "--bare", str(self.box.clean), "private/clean.git")
        self.number += 1
        commit = {
            "clean": "private/clean.git",
            "base": self.box.base,
            "subject": None,
            "fallback": "Do the task",
            "body": "Ccterm-Run: 1",
            "author": AUTHOR,
        }
        request = {
            "commit": {**commit, "author": AUTHOR, "tree": "", "out": "", **CAPS},
            "seconds": 1.0, "tree": "work", "home": "home", "keep": [{"glob": "*.jsonl", "to": ""}], "user": None, "mark": "m-test",
            "began": self.began, "number": self.number, "last": self.last,
        }  # fmt: skip
        (place / "request.json").write_text(json.dumps(request))
        lib = guest_bundle(self.box.directory.parent)
        command = [sys.executable, "-I", "-S", str(lib), "checkpoint", "private/request.json"]
        done = subprocess.run(command, cwd=self.box.directory, capture_output=True, check=True, env={"PATH": os.environ["PATH"]})
        assert done.stderr == b""
        lines = [(what.decode(), base64.b64decode(text)) for what, text in (line.split(b" ") for line in done.stdout.splitlines())]
        assert lines[-1][0] == "spent"
        lines.pop()
        if not lost:
            self._take(lines)
        return [what for what, _ in lines]

    def _take(self, lines: list[tuple[str, bytes]]) -> None:
        for what, data in lines:
            if what == "segment":
                self.segments[self.number] = self.segments.get(self.number, b"") + data
            elif what == "whole":
                self.whole, self.last = json.loads(data), self.number
            elif what in ("said", "restart"):
                self.said = [*(self.said if what == "said" else []), data]
            else:
                raise AssertionError((what, data))

    def file(self, name: str) -> bytes:
        """Return a file of the last whole checkpoint."""
        return b"".join(zlib.decompress(self.segments[number])[at : at + length] for number, at, length in self.whole["files"][name])

    @property
    def report(self) -> dict[str, Any]:
        """The report of its commit."""
        report: dict[str, Any] = self.whole["report"]
        return report

    def files(self) -> dict[str, bytes]:
        """Fetch the bundle into a clone of the remote; return the files of its commit."""
        clone = self.box.directory / f"clone-{self.number}"
        support.git(self.box.directory, "clone", "--quiet", self.box.remote, str(clone))
        (clone / "work.bundle").write_bytes(self.file("work.bundle"))
        support.git(clone, "fetch", "--quiet", "work.bundle", "+refs/ccterm/work:refs/work")
        return support.files_at(clone, "refs/work")


@pytest.fixture
def checkpoints(tmp_path: Path) -> Checkpoints:
    """A box whose files are older than its agent."""
    box = box_on(tmp_path, files={".gitignore": "dist/\n", "lib/a.py": "a\n", "lib/b.py": "b\n", "gone.txt": "x\n"})
    return Checkpoints(box, began=later(tmp_path))


def later(directory: Path) -> float:
    """Wait until the file system's clock has moved on; return its time."""
    first = directory / "first"
    first.touch()
    begin = first.stat().st_ctime_ns
    while True:
        (directory / "next").touch()
        if (now := (directory / "next").stat().st_ctime_ns) > begin:
            return now / 1e9 - 1e-6  # a float is not exact to the nanosecond


def edit(tree: Path) -> None:
    write(tree, "src/main.py", "print(2)\n")
    write_all(tree, ["new.txt", "dist/ignored", "dist/forced"])
    (tree / "gone.txt").unlink()
    (tree / "lib/a.py").chmod(0o755)
    (tree / "link").symlink_to("README.md")
    support.git(tree, "add", "--force", "dist/forced")


def move(tree: Path) -> None:
    (tree / "lib").rename(tree / "moved")
    (tree / "src").rename(tree / "lib")


def replace(tree: Path) -> None:
    (tree / "lib/a.py").unlink()
    (tree / "lib/b.py").unlink()
    (tree / "lib").rmdir()
    write(tree, "lib", "a file\n")
    (tree / "gone.txt").unlink()
    write(tree, "gone.txt/inner", "x\n")


def commit(tree: Path) -> None:
    edit(tree)
    support.git(tree, "add", "--all")
    support.git(tree, "commit", "--quiet", "-m", "The agent's own words")


def work_beside(tree: Path) -> None:
    support.git(tree, "switch", "--quiet", "-c", "side")
    write(tree, "on-the-side.txt")
    support.git(tree, "add", "--all")
    support.git(tree, "commit", "--quiet", "-m", "Side")
    support.git(tree, "switch", "--quiet", "-")
    write(tree, "README.md", "stashed\n")
    support.git(tree, "stash", "--quiet")
    support.git(tree, "worktree", "add", "--quiet", ".claude/worktrees/sub", "-b", "sub")
    write(tree, ".claude/worktrees/sub/uncommitted.txt")
    support.git(tree, "worktree", "add", "--quiet", str(tree.parent / "outside"), "-b", "outside")
    write(tree.parent / "outside", "uncommitted.txt")
    write(tree, "new.txt")


def refuse(tree: Path) -> None:
    write(tree, "kept.txt")
    support.git(tree, "init", "--quiet", "inner")
    write(tree, "inner/file", "precious\n")
    (tree / "out").symlink_to("/etc/passwd")
    os.mkfifo(tree / "fifo")


@pytest.mark.parametrize("work", [edit, move, *(pytest.param(work, marks=pytest.mark.slow) for work in (replace, commit))])
def test_it_holds_what_the_commit_step_would_take(checkpoints: Checkpoints, work: Callable[[Path], None]) -> None:
    work(checkpoints.box.tree)
    checkpoints.make()
    report = checkpoints.box.commit()
    assert checkpoints.files() == support.files_at(checkpoints.box.clean, report["commit"])
    same = ("subject", "files", "added", "removed", "deleted", "refusals")
    assert {name: checkpoints.report[name] for name in same} == {name: report[name] for name in same}
    for name in ("work.patch", "added.bin"):
        assert checkpoints.file(name) == (checkpoints.box.out / name).read_bytes()
    assert json.loads(checkpoints.file("changes.json")) == json.loads((checkpoints.box.out / "changes.json").read_bytes())


def test_it_holds_what_is_beside_the_tree(checkpoints: Checkpoints) -> None:
    work_beside(checkpoints.box.tree)
    checkpoints.make()
    report = checkpoints.box.commit()
    names = {ref["name"] for ref in report["side"]}
    assert {"heads/side", "stash/0", "worktrees/sub/changes", "worktrees/outside/changes"} <= names
    assert ({ref["name"] for ref in checkpoints.report["side"]}, checkpoints.report["unread"]) == (names, report["unread"])
    assert checkpoints.file("side.patch").count(b"+++ ") == (checkpoints.box.out / "side.patch").read_bytes().count(b"+++ ")
    bundle = checkpoints.box.directory / "side.bundle"
    bundle.write_bytes(checkpoints.file("side.bundle"))
    support.git(checkpoints.box.clean, "bundle", "verify", "--quiet", str(bundle))


@pytest.mark.slow
def test_what_cannot_be_read_is_told_and_stays_told(checkpoints: Checkpoints) -> None:
    with (checkpoints.box.tree / "huge").open("wb") as file:
        file.truncate((64 << 20) + 1)
    checkpoints.make()
    write(checkpoints.box.tree, "new.txt")
    checkpoints.make()
    assert "new.txt" in checkpoints.files()
    assert checkpoints.report["notes"] == ["huge is not in the checkpoint: it is too large or cannot be read"]


def test_what_a_commit_must_not_hold_is_copied(checkpoints: Checkpoints) -> None:
    refuse(checkpoints.box.tree)
    checkpoints.make()
    assert checkpoints.files().keys() >= {"kept.txt", "gone.txt"}
    copies = {about["path"]: about["file"] for about in json.loads(checkpoints.file("refused/index.json"))}
    assert checkpoints.file(f"refused/{copies['inner/file']}") == b"precious\n"
    assert "passwd" not in checkpoints.file("work.patch").decode()


def test_only_what_is_new_goes_out(checkpoints: Checkpoints) -> None:
    write(checkpoints.box.tree, "large.bin", base64.b64encode(os.urandom(60_000)).decode())
    checkpoints.make()
    assert checkpoints.make() == []
    write(checkpoints.box.tree, "small.txt", "small\n")
    (checkpoints.box.tree / "README.md").unlink()
    checkpoints.make()
    assert len(checkpoints.segments[1]) > 60_000
    assert len(checkpoints.segments[3]) < 3_000
    assert checkpoints.files().keys() == {".gitignore", "lib/a.py", "lib/b.py", "gone.txt", "src/main.py", "large.bin", "small.txt"}
    write(checkpoints.box.tree, "README.md", "# Example\n")
    (checkpoints.box.tree / "large.bin").unlink()
    checkpoints.make()
    assert checkpoints.files().keys() == {".gitignore", "lib/a.py", "lib/b.py", "gone.txt", "src/main.py", "small.txt", "README.md"}


def test_one_that_did_not_reach_the_host_is_made_up_for_by_the_next(checkpoints: Checkpoints) -> None:
    write(checkpoints.box.tree, "first.txt")
    checkpoints.make()
    write(checkpoints.box.tree, "second.txt")
    checkpoints.make(lost=True)
    checkpoints.make()
    assert checkpoints.files().keys() >= {"first.txt", "second.txt"}
    assert checkpoints.make() == []


@pytest.mark.slow
def test_after_an_update_that_broke_off_the_copy_is_made_anew(checkpoints: Checkpoints) -> None:
    write(checkpoints.box.tree, "first.txt")
    (checkpoints.box.tree / "link").symlink_to("first.txt")
    checkpoints.make()
    place = checkpoints.box.directory / "private"
    (place / "sizes").write_bytes(b"")
    (place / "tree" / "junk").mkdir()
    write(checkpoints.box.tree, "junk")
    checkpoints.make()
    assert checkpoints.files().keys() >= {"first.txt", "link", "junk"}
    assert checkpoints.make() == []


def test_new_lines_of_the_conversation_go_out_whole(checkpoints: Checkpoints) -> None:
    home = checkpoints.box.directory / "home"
    home.mkdir()
    talk = home / "x.jsonl"
    talk.write_text('{"a":1}\n{"b":2}\n{"c"')
    checkpoints.make()
    assert checkpoints.said == [b'{"a":1}', b'{"b":2}']
    with talk.open("a") as file:
        file.write(":3}\n")
    checkpoints.make()
    assert checkpoints.said == [b'{"a":1}', b'{"b":2}', b'{"c":3}']
    talk.write_text('{"another":1}\n')
    checkpoints.make()
    assert checkpoints.said == [b'{"another":1}']


def test_what_is_older_than_the_agent_is_not_its_work(checkpoints: Checkpoints, tmp_path: Path) -> None:
    write_all(checkpoints.box.tree, ["left-by-setup", "lib/left-by-setup"])
    checkpoints.began = later(tmp_path)
    write(checkpoints.box.tree, "new.txt")
    checkpoints.make()
    assert [change["path"] for change in json.loads(checkpoints.file("changes.json"))] == ["new.txt"]


@pytest.mark.slow
def test_a_file_that_changes_all_the_time_is_taken_as_it_was_at_some_moment(checkpoints: Checkpoints) -> None:
    """And one that becomes a link to what the agent may not read is not followed."""
    target = checkpoints.box.directory / "secret"
    target.write_text("secret\n")
    path = checkpoints.box.tree / "restless"
    script = f"import os\nwhile True:\n open({str(path)!r}, 'w').write('x\\n')\n os.unlink({str(path)!r})\n os.symlink({str(target)!r}, {str(path)!r})\n os.unlink({str(path)!r})\n"
    with subprocess.Popen([sys.executable, "-c", script]) as restless:
        try:
            for _ in range(4):
                checkpoints.make()
        finally:
            restless.kill()
    assert not any(b"secret\n" in zlib.decompress(data) for data in checkpoints.segments.values())


def supervised(checkpoints: Checkpoints, lib: Path, *actions: object, seconds: float = 600.0, **fields: object) -> Running:
    """Start a scripted agent in the box, with checkpoints."""
    box = checkpoints.box
    (box.directory / "private").mkdir()
    (box.directory / "home").mkdir()
    support.git(box.directory, "clone", "--quiet", "--bare", str(box.clean), "private/clean.git")
    commit = {"clean": "private/clean.git", "base": box.base, "subject": None, "fallback": "x", "body": "", "author": AUTHOR}
    asked = {"commit": {**commit, "tree": "", "out": "", **CAPS}, "seconds": seconds}
    return Running(lib, box.directory, "supervise", supervise_request(list(actions), cwd="work", checkpoint=asked, **fields))


def wholes(run: Running) -> list[set[str]]:
    """Return the files of the commits of all whole checkpoints that came."""
    whole = [json.loads(base64.b64decode(frame["d"])) for frame in run.frames if frame.get("what") == "whole"]
    return [set(each["files"]) for each in whole]


def test_each_end_of_a_turn_is_handed_out_the_last_one_too(checkpoints: Checkpoints, lib: Path) -> None:
    with supervised(checkpoints, lib, {"write": "one.txt", "text": "1\n"}, {"say": "done"}, hold=True) as run:
        run.until(lambda frame: frame.get("what") == "whole")
        run.order("say", json.dumps({"script": [{"write": "two.txt", "text": "2\n"}, {"say": "done"}]}))
        run.until(lambda frame: frame.get("number") == 2 and frame.get("what") == "whole")
        run.order("release")
        assert run.report()["exit"] == 0
    assert len(wholes(run)) == 2


def test_a_quick_agent_that_exits_at_once_gets_none(checkpoints: Checkpoints, lib: Path) -> None:
    at_once = """echo 1 > one.txt; echo '{"type":"result"}'"""  # Python takes long to exit on a busy machine
    with supervised(checkpoints, lib, argv=["sh", "-c", at_once]) as run:
        assert run.report()["exit"] == 0
    assert wholes(run) == []


def test_an_agent_that_stays_after_its_last_turn_gets_one(checkpoints: Checkpoints, lib: Path) -> None:
    ends = """echo 1 > one.txt; echo '{"type":"result"}'; until [ -e ../over ]; do sleep 0.02; done"""
    with supervised(checkpoints, lib, argv=["sh", "-c", ends]) as run:
        run.until(lambda frame: frame.get("what") == "whole")
        (checkpoints.box.directory / "over").touch()
        assert run.report()["exit"] == 0
    assert [files >= {"work.bundle"} for files in wholes(run)] == [True]


@pytest.mark.slow
def test_an_agent_that_ends_after_much_work_gets_one(checkpoints: Checkpoints, lib: Path) -> None:
    with supervised(checkpoints, lib, {"write": "one.txt", "text": "1\n"}, {"sleep": 11}, {"say": "done"}) as run:
        assert run.report()["exit"] == 0
    assert [files >= {"work.bundle"} for files in wholes(run)] == [True]


@pytest.mark.parametrize("text", ["", "abc", "xxabcxxabcabcxx", "abdefabc"])
def test_no_part_of_a_line_holds_what_an_engine_would_mask(text: str) -> None:
    parts = list(unbroken(text, ["abc", "bdef"]))
    assert "".join(parts) == text
    assert not any(value in part for part in parts for value in ("abc", "bdef"))
