"""Keeps the user's own logins and private keys out of a snapshot: an agent is given what git tracks and does not ignore.

What git tracks is the user's decision, and so is what they name; anything else that looks like a login is refused before it is read.
"""

import os
import re
import stat
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path

from ccterm.causes import Cause
from ccterm.errors import StepError, UsageError
from ccterm.git.names import shown
from ccterm.git.rooted import Root

_LOGINS = re.compile(
    rb"(.*/)?("
    rb"[._]netrc|\.git-credentials|\.config/git/credentials|\.pgpass|\.credentials\.json|\.aws/credentials|\.azure/[^/]*token[^/]*"
    rb"|\.config/gh/hosts\.yml|\.config/gcloud/(.*/)?[^/]*credentials?[^/]*|\.docker/config\.json|\.kube/config|\.gnupg/private-keys-v1\.d/.*|\.gnupg/secring.*"
    rb"|\.ssh/id_[^/.]*|id_(rsa|dsa|ecdsa|ed25519)(_sk)?"
    rb")"
)
"""Paths of files that only ever hold logins or private keys."""
_MAYBE = re.compile(rb".*\.(pem|key|ppk)|(.*/)?(\.npmrc|\.pypirc|\.yarnrc\.yml|\.ssh/[^/]*)")
"""Paths of files that hold one when their content says so."""
_SECRET = re.compile(
    rb"-----BEGIN [A-Z ]*PRIVATE KEY-----|PuTTY-User-Key-File|_authToken|_password|npmAuthToken|^\s*password\s*[=:]", re.MULTILINE
)
_READ = 64 * 1024
_SHOWN = 3


def require_not_home(root: Path, env: Mapping[str, str], allowed: Collection[str]) -> None:
    """Raise UsageError for a working copy that is HOME or has it inside, unless its own path is among the allowed ones."""
    home = Path(os.path.realpath(env.get("HOME") or "/nonexistent"))
    if home.is_relative_to(root) and str(root) not in allowed:
        what = "is your home directory" if home == root else "has your home directory in it"
        raise UsageError(
            f"{root} {what}: an agent would get what git does not ignore there",
            f"name another working copy, or give --branch; --allow-path {root} takes it as it is",
        )


def refuse_logins(root: Root, paths: Iterable[bytes], allowed: Callable[[str], bool]) -> None:
    """Raise StepError when files that git does not track hold logins or private keys and are not allowed. Blocks. Raises OSError."""
    found = [name for path in sorted(paths) if _holds_login(root, path) and not allowed(name := os.fsdecode(path))]
    if found:
        more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        raise StepError(
            Cause.CHECKOUT,
            f"the working copy holds logins or private keys that git does not ignore: {', '.join(_shown(found))}{more}",
            f"ignore them (.gitignore, .git/info/exclude), or allow the agent to see them: --allow-path {_shown(found[:1])[0]}",
            reason="logins",
        )


def _shown(names: list[str]) -> list[str]:
    return [shown(os.fsencode(name)) for name in names[:_SHOWN]]


def _holds_login(root: Root, path: bytes) -> bool:
    if _LOGINS.fullmatch(path):
        return not path.endswith(b".pub")
    return bool(_MAYBE.fullmatch(path)) and any(_SECRET.search(text) for text in _beginning(root, path))


def _beginning(root: Root, path: bytes) -> Iterator[bytes]:
    found = root.stat(path)
    if found is not None and stat.S_ISREG(found.st_mode):
        with os.fdopen(root.open(path), "rb") as file:
            yield file.read(_READ)
