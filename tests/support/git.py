"""Real git for tests: repositories made and read with the git on PATH, isolated from the user's configuration."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

FileBody = str | bytes

AUTHOR = "Test Author"
EMAIL = "author@example.com"


def git_environment() -> dict[str, str]:
    """Return an environment in which git reads no configuration of this machine or user."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return kept | {
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_DEFAULT_REF_FORMAT": "files",  # where a test looks into one; git 3 would use tables
        "GIT_AUTHOR_NAME": AUTHOR,
        "GIT_AUTHOR_EMAIL": EMAIL,
        "GIT_COMMITTER_NAME": AUTHOR,
        "GIT_COMMITTER_EMAIL": EMAIL,
        "LC_ALL": "C.UTF-8",
    }


def git_bytes(cwd: Path, *args: str, stdin: bytes = b"", timeout: float = 60.0) -> bytes:
    """Run git in `cwd` and return its stdout. Raises CalledProcessError, whose stderr is in its notes."""
    settings = ("protocol.file.allow=always", "init.defaultBranch=main", "safe.bareRepository=all")
    command = ["git", *(word for each in settings for word in ("-c", each)), *args]
    try:
        done = subprocess.run(command, cwd=cwd, env=git_environment(), input=stdin, capture_output=True, check=True, timeout=timeout)
    except subprocess.CalledProcessError as error:
        error.add_note(error.stderr.decode(errors="replace"))
        raise
    return done.stdout


def git(cwd: Path, *args: str, stdin: bytes = b"", timeout: float = 60.0) -> str:
    """Run git in `cwd` and return its stdout as text, stripped."""
    return git_bytes(cwd, *args, stdin=stdin, timeout=timeout).decode(errors="surrogateescape").strip()


def has_reftable() -> bool:
    """Whether git can store refs in tables, as it does from 2.45 on when told so."""
    command = ["git", "init", "--ref-format=reftable", "-h"]
    return (
        "unknown option" not in subprocess.run(command, cwd="/", env=git_environment(), capture_output=True, text=True, check=False).stderr
    )


def setting(name: str, variables: Mapping[str, str]) -> str:
    """Return what git takes a setting to be, given these variables; "" = nothing."""
    command = ["git", "config", name]
    return subprocess.run(
        command, cwd="/", env=git_environment() | dict(variables), stdout=subprocess.PIPE, text=True, check=False
    ).stdout.strip()


def write_files(root: Path, files: Mapping[str, FileBody]) -> None:
    """Write files below `root`, making their directories."""
    for name, body in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body if isinstance(body, bytes) else body.encode())


def commit_files(tree: Path, files: Mapping[str, FileBody], message: str = "Change files") -> str:
    """Write files into a working tree, commit everything and return the sha."""
    _commit(tree, files, message)
    return git(tree, "rev-parse", "HEAD")


def _commit(tree: Path, files: Mapping[str, FileBody], message: str) -> None:
    write_files(tree, files)
    git(tree, "add", "--all")
    git(tree, "commit", "--quiet", "--allow-empty", "-m", message)


def make_bare(path: Path, branch: str = "main") -> Path:
    """Make an empty bare repository whose default branch is `branch`."""
    path.mkdir(parents=True)
    git(path, "init", "--quiet", "--template=", "--bare", f"--initial-branch={branch}", ".")
    return path


def make_repository(path: Path, files: Mapping[str, FileBody], branch: str = "main") -> Path:
    """Make a working copy with one commit of `files`."""
    path.mkdir(parents=True)
    git(path, "init", "--quiet", "--template=", f"--initial-branch={branch}", ".")
    _commit(path, files, "First commit")
    return path


def make_remote(path: Path, files: Mapping[str, FileBody], branch: str = "main") -> Path:
    """Make a bare repository with one commit of `files` on `branch`."""
    make_bare(path, branch)
    _import(path, files, branch, "First commit", parent=None)
    return path


def add_commit(remote: Path, files: Mapping[str, FileBody], *, branch: str = "main", message: str = "Change files") -> str:
    """Put one commit with `files` changed on a branch of a bare repository, and return its sha."""
    return _import(remote, files, branch, message, parent=tip(remote, branch))


def add_submodule(remote: Path, path: str, commit: str, url: str) -> None:
    """Record a submodule in a bare repository."""
    modules = f'[submodule "{path}"]\n\tpath = {path}\n\turl = {url}\n'
    add_commit(remote, {".gitmodules": modules})
    tree = git_bytes(remote, "ls-tree", "-z", "main") + f"160000 commit {commit}\t{path}".encode() + b"\0"
    sha = git(remote, "commit-tree", git(remote, "mktree", "-z", stdin=tree), "-p", "main", "-m", "Add a submodule")
    git(remote, "update-ref", "refs/heads/main", sha)


TRUNK, LIBRARY = "trunk", "library"
"""The default branch of a grown repository, and its submodule."""


def grow(remote: Path) -> Path:
    """Give a bare repository what real ones have: tags of both kinds, packed, a default branch that was renamed, and a submodule."""
    library = make_remote(remote.with_name(f"{remote.stem}-library.git"), {"lib.c": "int one;\n"})
    add_submodule(remote, LIBRARY, str(tip(library, "main")), f"../{library.name}")
    git(remote, "tag", "v0.9", "main^")
    git(remote, "tag", "--annotate", "--message", "The first one", "v1.0", "main")
    git(remote, "branch", "--quiet", "--move", "main", TRUNK)
    git(remote, "symbolic-ref", "HEAD", f"refs/heads/{TRUNK}")
    git(remote, "pack-refs", "--all")
    return remote


def _import(remote: Path, files: Mapping[str, FileBody], branch: str, message: str, *, parent: str | None) -> str:
    """Make a commit of any number of files in one git process."""
    words = [b"commit refs/heads/%s" % branch.encode(), b"mark :1", f"committer {AUTHOR} <{EMAIL}> now".encode(), _data(message)]
    words += [b"from " + parent.encode()] if parent else []
    for name, body in files.items():
        words += [b"M 100644 inline " + _quoted(name), _data(body)]
    stream = b"\n".join([*words, b"get-mark :1", b""])
    return git(remote, "fast-import", "--quiet", "--date-format=now", stdin=stream)


def _data(body: FileBody) -> bytes:
    content = body if isinstance(body, bytes) else body.encode()
    return b"data %d\n%s" % (len(content), content)


def _quoted(name: str) -> bytes:
    return b'"' + name.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").encode(errors="surrogateescape") + b'"'


def tip(repository: Path, branch: str) -> str | None:
    """Return the sha of a branch, or None when there is no such branch."""
    found = git(repository, "for-each-ref", "--format=%(objectname)", f"refs/heads/{branch}")
    return found or None


def files_at(repository: Path, revision: str) -> dict[str, bytes]:
    """Return path -> content of every blob of a revision (symlinks: their target)."""
    entries = [entry.split(b"\t", 1) for entry in git_bytes(repository, "ls-tree", "-r", "-z", revision).split(b"\0") if entry]
    return {
        path.decode(errors="surrogateescape"): git_bytes(repository, "cat-file", "blob", about.split()[2].decode())
        for about, path in entries
        if about.split()[1] == b"blob"
    }


def branches(repository: Path) -> dict[str, str]:
    """Return branch -> sha of every branch."""
    listed = git(repository, "for-each-ref", "--format=%(refname:lstrip=2) %(objectname)", "refs/heads")
    return dict(line.split(" ", 1) for line in listed.splitlines())


def install_hook(repository: Path, name: str, script: str) -> None:
    """Install a shell script as a hook of a bare repository."""
    path = repository / "hooks" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
