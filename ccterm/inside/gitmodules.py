"""Reads which submodules a commit has: where they lie, at which commit, and where they come from."""

import hashlib
import os
import re
from collections.abc import Iterator
from typing import NamedTuple

from ccterm.inside.base import GITLINK, Base
from ccterm.inside.git import Git

_KEY = re.compile(rb"submodule\.(.*)\.(path|url)", re.DOTALL)


class Submodule(NamedTuple):
    """One submodule of a commit; url is as .gitmodules says it, name and url "" when it says nothing."""

    path: bytes
    commit: str
    name: str
    url: str


def submodules_of(git: Git, base: Base) -> Iterator[Submodule]:
    """Yield the submodules of a commit in the order of their paths. Raises GitError."""
    links = {path: entry.sha for path, entry in base.entries.items() if entry.mode == GITLINK}
    if not links:
        return
    described = _described(git, base)
    for path, sha in sorted(links.items()):
        name, url = described.get(path, ("", ""))
        yield Submodule(path, sha, name, url)


def _described(git: Git, base: Base) -> dict[bytes, tuple[str, str]]:
    if (entry := base.entries.get(b".gitmodules")) is None:
        return {}
    sections: dict[bytes, dict[bytes, bytes]] = {}
    for field in git.fields("config", "-z", f"--blob={entry.sha}", "--get-regexp", r"^submodule\..*\.(path|url)$", codes=(0, 1)):
        key, _, value = field.partition(b"\n")
        if match := _KEY.fullmatch(key):
            sections.setdefault(match[1], {})[match[2]] = value
    return {
        section[b"path"]: (name.decode("utf-8", "replace"), section[b"url"].decode("utf-8", "replace"))
        for name, section in sections.items()
        if section.keys() == {b"path", b"url"}
    }


def resolved(url: str, parent: str) -> str:
    """Return a submodule's address; a relative one is seen from its parent's, as git does it."""
    if not url.startswith(("./", "../")):
        return url
    above = parent.rstrip("/")
    while url.startswith(("./", "../")):
        if url.startswith("../"):
            cut = max(above.rfind("/"), above.rfind(":"))
            above = above[:cut] if above[cut : cut + 1] == "/" else above[: cut + 1].rstrip(":")
        url = url.partition("/")[2]
    return f"{above}:{url}" if "/" not in above and "@" in above else f"{above}/{url}"


def module_directory(clean: str, path: bytes) -> str:
    """Return where the clean git directory of the submodule at a path lies."""
    return os.path.join(clean, "modules", hashlib.sha256(path).hexdigest()[:24])
