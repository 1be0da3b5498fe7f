"""The commit that the supervisor makes when its agent has ended: in a process namespace of its own, as in a container."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from ccterm.executors.guest_bundle import guest_bundle
from ccterm.git.git import WORK_REF, Git
from ccterm.pipeline.reports import report_in_box
from tests.box.boxed import supervise_request
from tests.box.gitbox import AUTHOR, GitBox, box_on
from tests.support import git as support

NAMESPACE = ("unshare", "--pid", "--fork", "--mount-proc")
AGENT = "nobody"
EDIT: Sequence[Mapping[str, object]] = [{"write": "new.txt", "text": "new\n"}, {"say": "Fixes #1"}]
BODY = "Fixes no. 1\n\nCcterm-Run: 1"


def works(*command: str, user: str | None = None) -> bool:
    """Return whether a command can be run, by a user."""
    try:
        return subprocess.run(command, check=False, capture_output=True, cwd="/", user=user).returncode == 0
    except OSError:
        return False


PYTHON = next((path for path in (sys.executable, "/usr/bin/python3") if works(path, "-c", "", user=AGENT)), "")
pytestmark = pytest.mark.skipif(
    not (PYTHON and works(*NAMESPACE, "true")), reason="needs root, unshare, and a Python that other users can run"
)


@pytest.fixture
def box() -> Iterator[GitBox]:
    """Return a box that another user can enter, checked out and handed to that user."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        place.chmod(0o755)
        box = box_on(place / "case", files={"README.md": "hello\n", "gone.txt": "x\n"})
        private = box.directory / "private"
        private.mkdir()
        shutil.copytree(box.clean, private / "clean.git")
        for path in (box.tree, private / "clean.git", box.directory):
            subprocess.run(["chown", "-R" if path != box.directory else "-h", AGENT, str(path)], check=True)
        yield box


def supervised(
    box: GitBox, script: Sequence[Mapping[str, object]], *, closed: bool = True, alone: bool = True, **fields: object
) -> dict[str, Any]:
    """Let an agent work in the box; return the supervisor's report."""
    lib = guest_bundle(box.directory.parent / "lib")
    if closed:
        (lib / "closed").touch()
    lib.parent.chmod(0o755)
    words = {"subject": None, "fallback": "Do the task", "body": "Ccterm-Run: 1", "author": AUTHOR, "base": box.base}
    commit = {
        **words,
        "tree": "work",
        "clean": "private/clean.git",
        "out": "private/committed",
        "max_file_bytes": 1 << 20,
        "max_total_bytes": 1 << 20,
    }
    request = supervise_request({"script": script}, cwd="work", control=None, **{"user": AGENT, "commit": commit} | fields)
    (box.directory / "request.json").write_text(json.dumps(request))
    command = [*(NAMESPACE if alone else ()), PYTHON, "-I", "-S", str(lib / "__main__.py"), "supervise", "request.json"]
    done = subprocess.run(command, cwd=box.directory, capture_output=True, check=True, env={"PATH": os.environ["PATH"]})
    frames = [json.loads(line) for line in done.stdout.splitlines()]
    report: dict[str, Any] = next(frame["report"] for frame in frames if frame["k"] == "report")
    assert report["ok"], report
    return report


def files(box: GitBox) -> dict[str, bytes]:
    """Fetch the bundle into a clone of the remote; return the files of its commit."""
    clone = box.directory / "clone"
    support.git(box.directory, "clone", "--quiet", box.remote, str(clone))
    support.git(clone, "fetch", "--quiet", str(box.directory / "private/committed/work.bundle"), "+refs/ccterm/work:refs/work")
    return support.files_at(clone, "refs/work")


def test_an_agent_that_ended_well_is_followed_by_its_commit(box: GitBox) -> None:
    script = [{"bash": "rm gone.txt; ls ../private || echo closed > closed.txt"}, *EDIT]
    assert supervised(box, script)["committed"] is True
    out = box.directory / "private/committed"
    assert report_in_box(out, BODY) is not None
    assert {path.owner() for path in out.iterdir()} == {AGENT}
    assert files(box) == {"README.md": b"hello\n", "new.txt": b"new\n", "closed.txt": b"closed\n", "src/main.py": b"print(1)\n"}


def test_it_goes_on_in_the_git_directory_that_checkpoints_wrote_into(box: GitBox) -> None:
    clean = Git(str(box.directory / "private/clean.git"))
    made = clean.text("commit-tree", "-m", "checkpoint", "-p", box.base or "", f"{box.base}^{{tree}}")
    clean.run("update-ref", WORK_REF, made)
    assert supervised(box, EDIT)["committed"] is True
    assert report_in_box(box.directory / "private/committed", BODY) is not None
    assert files(box)["new.txt"] == b"new\n"


def test_processes_of_the_agent_are_gone_before_it(box: GitBox) -> None:
    leaving = {
        "bash": "(setsid sh -c 'trap \"\" TERM HUP; while :; do echo late >> late.txt; done' > /dev/null 2>&1 &); until [ -s late.txt ]; do sleep 0.01; done"
    }
    assert supervised(box, [leaving, *EDIT])["committed"] is True
    assert files(box)["late.txt"] == (box.tree / "late.txt").read_bytes()


@pytest.mark.first_is_fast
@pytest.mark.parametrize(
    ("why", "how"),
    [
        ("the agent could change the image", {"closed": False}),
        ("another process is there", {"alone": False}),
        ("the agent is root", {"user": "root"}),
        ("nobody asked for it", {"commit": None}),
        ("the agent failed", {"script": [*EDIT, {"exit": 3}]}),
        ("the agent was stopped", {"script": [*EDIT[:1], {"sleep": 60}], "silence_seconds": 0.5, "termination_seconds": [0.1, 0.1, 1.0]}),
        ("the agent said nothing", {"script": EDIT[:1]}),
    ],
)
def test_it_is_left_to_the_step(box: GitBox, why: str, how: dict[str, Any]) -> None:
    script = how.pop("script", EDIT)
    report = supervised(box, script, **how)
    assert "committed" not in report, why
    assert report_in_box(box.directory / "private/committed", BODY) is None


def test_a_commit_that_failed_is_left_to_the_step(box: GitBox) -> None:
    shutil.rmtree(box.directory / "private/clean.git/objects")
    assert supervised(box, EDIT)["committed"] is True
    assert report_in_box(box.directory / "private/committed", BODY) is None


def test_an_agent_is_supervised_where_nothing_can_be_written_for_it(box: GitBox) -> None:
    (box.directory / "private/committed").touch()
    report = supervised(box, EDIT)
    assert (report["exit"], "committed" in report) == (0, False)
