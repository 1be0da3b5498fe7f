"""Starts the child of a step: its command, its environment, and the user it runs as."""

import os
import pwd
import re
import subprocess
import sys
from collections.abc import Mapping
from functools import partial
from typing import IO, Any, NamedTuple

from ccterm.box.process import tree
from ccterm.git.types import MARK

_INTERNAL = ("CCTERM_", "OTEL_", "DAGGER_", "_DAGGER_", "_EXPERIMENTAL_DAGGER_", "TRACEPARENT", "BAGGAGE")
"""Prefixes of environment names that only ccterm, the engine and the boxes use."""

_LEADS_OUT = re.compile(r"CLAUDE_CONFIG_DIR|XDG_(CONFIG|DATA|CACHE|STATE)_HOME|XDG_RUNTIME_DIR")
"""Variables that lead a program out of its HOME: past the private one, into the user's own."""


class StartError(Exception):
    """The child could not be started; reason is for programs, detail is a sentence."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason, self.detail = reason, detail


def command(argv: list[str]) -> list[str]:
    """Return the real command of ["@box", PROGRAM, …], and any other one as it is."""
    if argv[0] != "@box":
        return argv
    # -S: nothing beyond the standard library is needed, and each start costs time
    return [sys.executable, "-I", "-S", os.path.abspath(sys.argv[0]), *argv[1:]]


def environment(extra: Mapping[str, str], mark: str, home: str | None = None) -> dict[str, str]:
    """Return our own environment without internal names, plus `extra`, the mark and HOME. home: a private one.

    Repositories that the agent makes, such as clones of submodules, store their refs in files, which are read as data when its work is committed.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_INTERNAL)}
    if home:
        kept = {name: value for name, value in kept.items() if not _LEADS_OUT.fullmatch(name)}
    return {"GIT_DEFAULT_REF_FORMAT": "files"} | kept | dict(extra) | {MARK: mark} | ({"HOME": os.path.abspath(home)} if home else {})


def mark_of(request: Mapping[str, Any]) -> str:
    """Return the mark that the executor gave this box, else the one in the request."""
    mark: str = os.environ.get(MARK) or request["mark"]
    return mark


class Child(NamedTuple):
    """A started child."""

    process: "subprocess.Popen[bytes]"
    mark: str
    env: Mapping[str, str]

    @property
    def stdin(self) -> IO[bytes]:
        """The pipe to its stdin."""
        return _pipe(self.process.stdin)

    @property
    def stdout(self) -> IO[bytes]:
        """The pipe from its stdout."""
        return _pipe(self.process.stdout)

    @property
    def stderr(self) -> IO[bytes]:
        """The pipe from its stderr."""
        return _pipe(self.process.stderr)


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    if pipe is None:
        raise ValueError("the child was started without this pipe")
    return pipe


def start(argv: list[str], *, cwd: str, env: dict[str, str], mark: str, user: str | None = None, stdin: bool = True) -> Child:
    """Start a child in its own session, with pipes for its output and, if `stdin`, for its input. Raises StartError.

    user: a name, or an id in digits.
    """
    tree.adopt_orphans()
    options = _dropped(user, env) if user and os.getuid() == 0 else {}
    given, pipe = subprocess.PIPE if stdin else subprocess.DEVNULL, subprocess.PIPE
    try:
        process = subprocess.Popen(
            command(argv), cwd=cwd, env=env, stdin=given, stdout=pipe, stderr=pipe, bufsize=0, start_new_session=True, **options
        )
    except FileNotFoundError as error:
        raise StartError("not_found", f"{argv[0] if os.path.isdir(cwd) else cwd} does not exist") from error
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        raise StartError("not_executable", f"{argv[0]} cannot be started: {error}") from error
    return Child(process, mark, env)


def _dropped(user: str, env: dict[str, str]) -> dict[str, Any]:
    """Return the Popen options that run the child as `user`, and put the user's names into its environment."""
    from ccterm.box.process.privileges import become  # deferred: only root needs it

    entry = entry_of(user)
    tree.forbid_new_privileges()
    env |= {"USER": entry.pw_name, "LOGNAME": entry.pw_name}
    if env.get("HOME") == os.environ.get("HOME"):
        env["HOME"] = entry.pw_dir  # ours is root's
    else:
        os.chown(env["HOME"], entry.pw_uid, entry.pw_gid)
    return {"preexec_fn": partial(become, entry.pw_uid, entry.pw_gid, os.getgrouplist(entry.pw_name, entry.pw_gid))}


def entry_of(user: str) -> pwd.struct_passwd:
    """Return what the system knows of a user: a name, or an id in digits. Raises StartError."""
    try:
        return pwd.getpwuid(int(user)) if user.isdecimal() else pwd.getpwnam(user)
    except KeyError as error:
        raise StartError("not_executable", f"there is no user {user}") from error


def become_user(user: str) -> None:
    """Make this process, for good, one of a user without any capability. Raises StartError."""
    from ccterm.box.process.privileges import PrivilegeError, become  # deferred: only root needs it

    entry = entry_of(user)
    try:
        become(entry.pw_uid, entry.pw_gid, os.getgrouplist(entry.pw_name, entry.pw_gid))
    except (OSError, PrivilegeError) as error:
        raise StartError("not_executable", f"the program cannot become the user {user}: {error}") from error
    os.environ |= {"HOME": entry.pw_dir, "USER": entry.pw_name, "LOGNAME": entry.pw_name}
