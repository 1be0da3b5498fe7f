"""Copies the objects of an agent's git directory into a repository of our own, where git may look at them.

Nothing else comes along: no configuration, no hook, no index of a pack, no alternate. What comes is checked on the way in, as a fetch would:
a loose object must bear the name of its content, and git names what is in a pack anew.
"""

import os
import zlib
from collections.abc import Iterator

from ccterm.box.commit.survey import GIT
from ccterm.git.git import Git, GitError, scratch
from ccterm.git.objects import borrow_objects, copy_loose, loose_path
from ccterm.git.rooted import Root

_MOST_OBJECTS = 200_000
_MOST_BYTES = 1 << 30
"""What may come: so many bytes of packs, and so many of loose objects as they are unpacked."""
_INDEX_SECONDS = 600.0
_LIMITS = {"GIT_ALLOC_LIMIT": f"{1 << 30}"}
"""For every git that reads them: the most memory that it takes at once, whatever an object says about its size."""


class TooMuch(Exception):
    """An agent's git directory holds more than is copied."""


def copy_objects_of(root: Root, clean: Git, to: str, like: str) -> Git:
    """Make a bare repository `to` of the objects that an agent's git directory has and `clean` lacks; it borrows the others from there.

    like: any object name of the repository. Raises TooMuch, GitError and OSError; a damaged loose object is left out.
    """
    assert clean.directory
    made = scratch(to, like)
    borrow_objects(made, clean.directory)
    git = Git(to, env=_LIMITS)
    _copy_packs(root, clean.directory, to, git)
    left = _MOST_BYTES
    for number, name in enumerate(_loose(root, clean.directory)):
        if number >= _MOST_OBJECTS:
            raise TooMuch
        target = os.path.join(to, "objects", name[:2], name[2:])
        os.makedirs(os.path.dirname(target), exist_ok=True)
        try:
            left -= copy_loose(root, loose_path(GIT, name), target, name, left)
        except OverflowError:
            raise TooMuch from None
        except (ValueError, zlib.error):
            os.unlink(target)
    return git


def _loose(root: Root, clean: str) -> Iterator[str]:
    """Yield the loose objects that `clean` does not have, too."""
    for directory in sorted(root.list(GIT + b"/objects")):
        if len(directory) != 2:
            continue
        names = root.list(GIT + b"/objects/" + directory)
        for name in sorted(os.fsdecode(directory + rest) for rest, node in names.items() if node.is_file):
            if _is_name(name) and not os.path.exists(os.path.join(clean, "objects", name[:2], name[2:])):
                yield name


def _is_name(text: str) -> bool:
    return len(text) in (40, 64) and set(text) <= set("0123456789abcdef")


def _copy_packs(root: Root, clean: str, to: str, git: Git) -> None:
    try:
        packs = {name: node for name, node in root.list(GIT + b"/objects/pack").items() if name.endswith(b".pack") and node.is_file}
    except OSError:
        return
    new = {name: node for name, node in packs.items() if node.size != _size(os.path.join(clean, "objects", "pack", os.fsdecode(name)))}
    if sum(node.size for node in new.values()) > _MOST_BYTES or len(new) > _MOST_OBJECTS:
        raise TooMuch
    for number, name in enumerate(sorted(new)):
        target = os.path.join(to, "objects", "pack", f"pack-agent-{number}.pack")
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with os.fdopen(root.open(GIT + b"/objects/pack/" + name), "rb") as source, open(target, "wb") as file:
            for _ in range(_MOST_BYTES >> 20):
                if not (block := source.read(1 << 20)):
                    break
                file.write(block)
        try:
            git.run("index-pack", target, timeout=_INDEX_SECONDS)
        except GitError:
            os.unlink(target)  # what it holds is missing then, and told by the names that need it


def _size(path: str) -> int:
    try:
        return os.path.getsize(path)
    except OSError:
        return -1
