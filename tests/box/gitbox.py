"""A box in which resolve, checkout, commit and push run one after the other on one remote, for tests of these programs."""

import base64
import hashlib
import os
import shutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from tests.box.programs import run_program, wrap_git
from tests.support import git as support

AUTHOR = "Claude Agent <agent@commandcenter.ai>"
TOKEN = "secret-token-1234"
AUTHORIZATION = "Authorization: Basic " + base64.b64encode(f"x-access-token:{TOKEN}".encode()).decode()


class GitBox:
    """The box of one run. Each method returns the report of its program; `start` and `refused` require success."""

    def __init__(self, directory: Path, remote: Path | str, *, branch: str = "agent/work", mirror: str | None = "../mirror") -> None:
        self.directory, self.branch, self._mirror = directory, branch, mirror
        self.remote = str(remote)
        self.env: dict[str, str] = {}
        self.base: str | None = None
        self.default: dict[str, object] = {}
        self.tip: str | None = None
        self.humble = False

    @property
    def tree(self) -> Path:
        """The agent's working tree."""
        return self.directory / "work"

    @property
    def clean(self) -> Path:
        """The git directory that no agent sees."""
        return self.directory / "clean.git"

    @property
    def out(self) -> Path:
        """The outputs of the step commit."""
        return self.directory / "out"

    def run(self, program: str, request: Mapping[str, object]) -> dict[str, Any]:
        """Run a program and return its report; its stderr must be empty, because only tracebacks go there."""
        ended = run_program(program, request, self.directory, env=self.env, humble=self.humble)
        assert not ended.stderr, ended.stderr
        assert ended.code == 0
        return ended.report

    def resolve(self, **fields: object) -> dict[str, Any]:
        """Run resolve; its result is the start of the following steps."""
        report = self.run("resolve", {"remote": self.remote, "branch": self.branch, "base": None, **fields})
        self.base, self.tip = report.get("base"), report.get("tip")
        self.default = {name: report.get(name) for name in ("default_branch", "default_tip")}
        return report

    def checkout(self, **fields: object) -> dict[str, Any]:
        """Run checkout."""
        places = {"mirror": self._mirror, "clean": "clean.git", "tree": "work"}
        return self.run(
            "checkout", {"remote": self.remote, "branch": self.branch, "base": self.base, "ref": None, **self.default, **places, **fields}
        )

    def commit(self, **fields: object) -> dict[str, Any]:
        """Run commit."""
        words = {"subject": None, "fallback": "Do the task", "body": "Ccterm-Run: 1", "author": AUTHOR}
        caps = {"max_file_bytes": 50 << 20, "max_total_bytes": 200 << 20}
        return self.run("commit", {"tree": "work", "clean": "clean.git", "out": "out", "base": self.base, **words, **caps, **fields})

    def push(self, commit: str, **fields: object) -> dict[str, Any]:
        """Run push."""
        return self.run("push", self.push_request(commit) | fields)

    def push_request(self, commit: str) -> dict[str, object]:
        """Return what push is asked to do with the commit that the step commit made."""
        places = {"clean": "clean.git", "bundle": "out/work.bundle"}
        return {"remote": self.remote, "branch": self.branch, "commit": commit, "tip": self.tip, **places}

    def start(self, **fields: object) -> "GitBox":
        """Resolve and check out."""
        found = self.resolve()
        assert found["ok"], found
        made = self.checkout(ref=found["ref"], **fields)
        assert made["ok"], made
        return self

    def new_commit(self, **fields: object) -> str:
        """Commit, require that nothing is refused, and return the commit."""
        report = self.commit(**fields)
        assert report["ok"], report
        assert report["refusals"] == []
        commit: str = report["commit"]
        return commit

    def committed_files(self, **fields: object) -> dict[str, bytes]:
        """Commit, require that nothing is refused, and return the files of the commit."""
        return support.files_at(self.clean, self.new_commit(**fields))

    def refused(self, **fields: object) -> list[tuple[str, str]]:
        """Commit and return (rule, path) of each refusal."""
        report = self.commit(**fields)
        assert report["ok"], report
        return [(refusal["rule"], refusal["path"]) for refusal in report["refusals"]]


_templates: dict[Path, GitBox] = {}


def checked_out(directory: Path, files: Mapping[str, support.FileBody], *, grown: bool = False) -> GitBox:
    """Return a checked-out box in a test's directory, on a remote beside it with one commit of `files`. grown: see support.grow.

    Each content is checked out once and then copied, as executors copy it from box to box.
    """
    key = hashlib.sha256(repr((sorted(files.items()), grown)).encode()).hexdigest()[:12]
    template = directory.parent / f"checked-out-{key}"
    if template not in _templates:
        remote = support.make_remote(template / "remote.git", files)
        _templates[template] = GitBox(template / "box", support.grow(remote) if grown else remote).start()
    shutil.copytree(template, directory, symlinks=True, dirs_exist_ok=True)
    box = GitBox(directory / "box", directory / "remote.git")
    box.base, box.tip = _templates[template].base, _templates[template].tip
    return box


def box_on(
    directory: Path, prepare: Callable[[Path], object] | None = None, files: Mapping[str, str] | None = None, *, grown: bool = False
) -> GitBox:
    """Return a checked-out box on a repository that holds README.md, src/main.py, `files`, and what `prepare` writes into its working copy.

    grown: see support.grow; not with `prepare`.
    """
    files = {"README.md": "# Example\n", "src/main.py": "print(1)\n", **(files or {})}
    if prepare is None:
        return checked_out(directory, files, grown=grown)
    source = support.make_repository(directory / "source", files)
    prepare(source)
    support.commit_files(source, {})
    return GitBox(directory / "box", source).start()


def write(tree: Path, name: str | bytes, content: str = "x\n") -> None:
    """Write a file of any name that the file system accepts."""
    path = tree / os.fsdecode(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


def write_all(tree: Path, names: Iterable[str | bytes], content: str = "x\n") -> None:
    """Write several files."""
    for name in names:
        write(tree, name, content)


def spying_git(directory: Path) -> Path:
    """Make a directory with a git that records its arguments and environment names, below `directory`."""
    return wrap_git(directory, f'printf "%s\\n" "$*" >> {directory}/argv\nexec $git "$@"')


def old_git(directory: Path) -> Path:
    """Make a directory with a git that claims to be old and ignores GIT_CONFIG_COUNT."""
    return wrap_git(directory, 'case "$*" in *version) echo "git version 2.25.1"; exit;; esac\nunset GIT_CONFIG_COUNT\nexec $git "$@"')
