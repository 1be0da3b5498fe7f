"""Runs git: the only module that does. No shell, and no configuration or environment except what is given here.

Hooks are not the only danger: fsmonitor, filters, external diffs, helpers and rewritten URLs all start programs from a configuration.
So no step program ever runs git on a git directory that an agent could write to.
"""

import os
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cache
from types import MappingProxyType
from typing import IO

from ccterm.git.child import MOST_OUTPUT, BoundedChild, ChildStopped
from ccterm.git.errors import fault_of, reason_of_system
from ccterm.git.memory import with_memory
from ccterm.git.types import MARK

Arg = str | bytes
WORK_REF = "refs/ccterm/work"
"""Where the step commit leaves its commit, in the clean git directory and in bundles."""
SNAPSHOT_REF = "refs/ccterm/snapshot"
"""In the clean git directory of a snapshot: the commit that only ccterm has. Missing when the snapshot is a commit of the user's."""
SIDE_REFS = "refs/ccterm/side/"
"""Under which the side bundle has what an agent left beside its tree: heads/NAME, stash/N, worktrees/NAME/commits and /changes."""

_SAFE = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.attributesFile=/dev/null",
    "core.excludesFile=/dev/null",
    "core.safecrlf=false",
    "core.looseCompression=1",
    "core.fsync=none",
    "credential.helper=",
    "http.followRedirects=false",
    "protocol.ext.allow=never",
    "safe.directory=*",
    "safe.bareRepository=explicit",
    "submodule.recurse=false",
    "fetch.recurseSubmodules=false",
    "fetch.unpackLimit=1",
    "fetch.writeCommitGraph=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "init.defaultBranch=main",
    "advice.detachedHead=false",
)
_INSPECT = ("core.fsmonitor=false", "core.hooksPath=/dev/null", "core.pager=cat", "protocol.allow=never", "safe.bareRepository=all")
"""The user named the directory, so a bare repository is meant; the rest keeps its configuration from starting programs."""
_USER_CONFIG = ("PATH", "HOME", "XDG_CONFIG_HOME", "TMPDIR", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM")
_VERSION_SECONDS = 10.0
_PARAMETERS, _COUNT = "GIT_CONFIG_PARAMETERS", "GIT_CONFIG_COUNT"
_PASSED_ON = (MARK, "PATH", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR", *(f"{name}_proxy" for name in ("http", "https", "no", "all")))
_PASSED_ON += ("HTTPS_PROXY", "NO_PROXY", "ALL_PROXY")


class GitError(Exception):
    """git failed. `reason` is for programs, `detail` a sentence for people, `stderr` what git printed."""

    def __init__(self, reason: str, detail: str, stderr: str = "") -> None:
        super().__init__(detail)
        self.reason, self.detail, self.stderr = reason, detail, stderr


def as_git_error(error: GitError | OSError) -> GitError:
    """Return an error of git or of the system as one with a reason and a detail."""
    if isinstance(error, GitError):
        return error
    name = f": {os.fsdecode(error.filename)}" if isinstance(error.filename, str | bytes) else ""
    return GitError(reason_of_system(error), f"{error.strerror or error}{name}")


class Git:
    """Runs git on one git directory of ours, or on none; `env` is added to a clean environment.

    Every method raises FileNotFoundError when git is not installed.
    """

    def __init__(self, directory: str | None = None, *, work_tree: str | None = None, env: Mapping[str, str] | None = None) -> None:
        self.directory = directory
        paths = {"GIT_DIR": directory, "GIT_WORK_TREE": work_tree}
        self._env = clean_environment() | {name: os.path.abspath(path) for name, path in paths.items() if path} | dict(env or {})
        self._command: list[Arg] = ["git", *_options(_SAFE)]

    @classmethod
    def inspecting(cls, path: str, env: Mapping[str, str]) -> "Git":
        """Return git for questions about a directory of the user's: their configuration is read, but cannot start a program."""
        kept = {name: env[name] for name in _USER_CONFIG if name in env}  # safe.directory is read from HOME
        fixed = {"GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0", "GIT_NO_LAZY_FETCH": "1", "LC_ALL": "C"}
        return cls._with(["git", "-C", path, *_options(_INSPECT)], kept | fixed)

    @classmethod
    def of_user(cls, path: str, env: Mapping[str, str], *settings: tuple[str, str]) -> "Git":
        """Return the user's own git in their own repository, with all of their configuration and environment. settings: names and values, on top."""
        return cls._with(["git", "-C", path], {**env, **as_environment(settings, env)})

    @classmethod
    def _with(cls, command: list[Arg], env: dict[str, str]) -> "Git":
        git = cls()
        git._command, git._env = command, env
        return git

    def with_env(self, env: Mapping[str, str]) -> "Git":
        """Return the same with more environment."""
        other = self._with(self._command, self._env | dict(env))
        other.directory = self.directory
        return other

    @property
    def work_tree(self) -> str | None:
        """The directory whose files it looks at, if it was given one."""
        return self._env.get("GIT_WORK_TREE")

    def command(self, *args: str, memory: int | None = None) -> tuple[Sequence[str], Mapping[str, str]]:
        """Return git's command line and its whole environment, for a caller that runs programs within bounds of its own.

        memory: bytes that it and its helpers may take.
        """
        return [*map(os.fsdecode, self._bounded(args, memory))], self._env

    def _bounded(self, args: Sequence[Arg], memory: int | None) -> list[Arg]:
        return with_memory([*self._command, *args], self._env, memory) if memory else [*self._command, *args]

    def run(
        self,
        *args: Arg,
        stdin: bytes = b"",
        codes: Collection[int] = (0,),
        timeout: float | None = None,
        output: int = MOST_OUTPUT,
        memory: int | None = None,
    ) -> bytes:
        """Run git and return its stdout. Raises GitError for an exit code that is not in `codes`, and as `answer` does."""
        return self.answer(*args, stdin=stdin, codes=codes, timeout=timeout, output=output, memory=memory)[1]

    def answer(
        self,
        *args: Arg,
        stdin: bytes = b"",
        codes: Collection[int] | None = None,
        timeout: float | None = None,
        output: int = MOST_OUTPUT,
        memory: int | None = None,
    ) -> tuple[int, bytes, str]:
        """Run git and return its exit code, stdout and stderr.

        timeout: seconds; output, memory: bytes. Each has a bound where none is given. Raises GitError for a code outside `codes`, when given, and
        when a bound is passed: with reason "timeout", "network" where a remote was asked, or "output".
        """
        try:
            with BoundedChild(self._bounded(args, memory), self._env, stdin=stdin, seconds=timeout, output=output) as child:
                done = child.result()
        except ChildStopped as error:
            raise self._stopped(args, error) from error
        stderr = done.errors.decode("utf-8", "replace")
        if codes is not None and done.code not in codes:
            raise git_failed(args, done.code, stderr)
        return done.code, done.output, stderr

    def _stopped(self, args: Sequence[Arg], error: ChildStopped) -> GitError:
        if error.bound == "output":
            return GitError("output", f"git {_verb(args)} was stopped: {error.detail}")
        far = self._env.get("GIT_ALLOW_PROTOCOL", "none") not in ("none", "file")
        return GitError("network" if far else "timeout", f"git {_verb(args)} gave no answer within {error.seconds:g} s")

    def text(self, *args: Arg, stdin: bytes = b"") -> str:
        """Run git and return its stdout as stripped text."""
        return self.run(*args, stdin=stdin).decode("utf-8", "replace").strip()

    def fields(self, *args: Arg, stdin: bytes = b"", codes: Collection[int] = (0,), timeout: float | None = None) -> list[bytes]:
        """Run git with -z output and return its NUL-terminated fields."""
        return self.run(*args, stdin=stdin, codes=codes, timeout=timeout).split(b"\0")[:-1]

    def lines(self, *args: Arg, stdin: bytes = b"") -> list[bytes]:
        """Run git and return the lines of its stdout: what `\\n` ends, whatever else a Unicode text may call a line break."""
        return self.run(*args, stdin=stdin).split(b"\n")[:-1]

    def stream(self, *args: Arg) -> Iterator[bytes]:
        """Run git and yield its stdout line by line as it comes, each with its `\\n`."""
        try:
            with BoundedChild([*self._command, *args], self._env) as child:
                yield from child.lines()
                code = child.code
        except ChildStopped as error:
            raise self._stopped(args, error) from error
        if code:
            raise git_failed(args, code, "")

    def succeeds(self, *args: Arg) -> bool:
        """Return whether git exits with 0."""
        return self.answer(*args)[0] == 0

    def to_file(self, file: IO[bytes], *args: Arg, stdin: bytes = b"") -> None:
        """Run git with its stdout going to `file`, and wait for it."""
        try:
            with BoundedChild([*self._command, *args], self._env, stdin=stdin, to=file) as child:
                done = child.result()
        except ChildStopped as error:
            raise self._stopped(args, error) from error
        if done.code:
            raise git_failed(args, done.code, done.errors.decode("utf-8", "replace"))


def clean_environment() -> dict[str, str]:
    """Return the environment that git is run in: built from nothing."""
    kept = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    return {
        "PATH": os.defpath,
        **kept,
        "HOME": "/nonexistent",
        "LC_ALL": "C",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "false",
        "GIT_ALLOW_PROTOCOL": "none",  # no transport at all, unless the remote brings its own
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_LITERAL_PATHSPECS": "1",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_PAGER": "cat",
        "GIT_EDITOR": "false",
        "GIT_DEFAULT_REF_FORMAT": "files",
        "GIT_AUTHOR_NAME": "ccterm",
        "GIT_AUTHOR_EMAIL": "ccterm@localhost",
        "GIT_COMMITTER_NAME": "ccterm",
        "GIT_COMMITTER_EMAIL": "ccterm@localhost",
    }


def as_environment(settings: Sequence[tuple[str, str]], beside: Mapping[str, str] = MappingProxyType({})) -> dict[str, str]:
    """Return configuration, (name, value) each, as environment: any process of the machine can read arguments.

    beside: an environment that may hold configuration already, which counts on.
    """
    if not settings:
        return {}
    plain = "=" not in "".join(name for name, _ in settings)
    if plain or version() < (2, 31):  # the form that every git reads; asking for the version takes a process
        words = ["'" + f"{name}={value}".replace("'", "'\\''") + "'" for name, value in settings]
        return {_PARAMETERS: " ".join([beside[_PARAMETERS], *words] if beside.get(_PARAMETERS) else words)}
    told = beside.get(_COUNT, "")
    first = int(told) if told.isascii() and told.isdigit() else 0
    names = {f"GIT_CONFIG_KEY_{n}": name for n, (name, _) in enumerate(settings, first)}
    values = {f"GIT_CONFIG_VALUE_{n}": value for n, (_, value) in enumerate(settings, first)}
    return {**names, **values, _COUNT: str(first + len(settings))}


@cache
def version() -> tuple[int, int]:
    """Return the first two numbers of git's version."""
    numbers = re.search(r"(\d+)\.(\d+)", installed_version())
    return (int(numbers[1]), int(numbers[2])) if numbers else (99, 0)


def installed_version(path: str | None = None) -> str:
    """Return the version of the git on `path`, by default on PATH, such as "2.39.5". Raises FileNotFoundError and GitError."""
    words = Git(env={"PATH": path} if path else None).run("version", timeout=_VERSION_SECONDS).decode("utf-8", "replace").split()
    return words[2] if len(words) > 2 else ""


def init(directory: str, base: str | None, branch: str, *, bare: bool = True) -> Git:
    """Make an empty repository whose HEAD names `branch`, with the kind of object name that `base` has."""
    env = {"GIT_DEFAULT_HASH": hash_name(base)}
    git = Git(directory if bare else os.path.join(directory, ".git"), work_tree=None if bare else directory, env=env)
    Git(env=env).run("init", "--quiet", "--template=", *(["--bare"] if bare else []), os.path.abspath(directory))
    assert git.directory
    with open(os.path.join(git.directory, "HEAD"), "w", encoding="utf-8") as head:
        head.write(f"ref: refs/heads/{branch}\n")
    return git


def scratch(directory: str, like: str | None) -> Git:
    """Make an empty bare repository for objects alone, with the kind of object name that `like` has. It never gets a work tree.

    What `git init` would find out about the file system besides matters to work trees only, so no process is started.
    """
    for name in ("info", "pack"):
        os.makedirs(os.path.join(directory, "objects", name))
    os.mkdir(os.path.join(directory, "refs"))
    sha256 = hash_name(like) == "sha256"
    with open(os.path.join(directory, "config"), "w", encoding="ascii") as config:
        config.write(f"[core]\n\trepositoryformatversion = {int(sha256)}\n\tfilemode = true\n\tbare = true\n")
        config.write("[extensions]\n\tobjectformat = sha256\n" if sha256 else "")
    with open(os.path.join(directory, "HEAD"), "w", encoding="ascii") as head:
        head.write("ref: refs/heads/main\n")
    return Git(directory)


def hash_name(sha: str | None) -> str:
    """Return the name of the hash that made an object name."""
    return "sha256" if sha is not None and len(sha) == 64 else "sha1"


def _options(settings: Sequence[str]) -> list[Arg]:
    return [word for setting in settings for word in ("-c", setting)]


def git_failed(args: Sequence[Arg], code: int, stderr: str) -> GitError:
    """Return the error of a git command that ended with a code."""
    fault = fault_of(stderr, f"git {_verb(args)} ended with {code}")
    return GitError(fault.reason, fault.detail, stderr)


def _verb(args: Sequence[Arg]) -> str:
    words = (os.fsdecode(arg) for arg in args)
    return next((word for word in words if word[:1].isalpha() and "=" not in word), "")
