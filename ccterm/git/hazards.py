"""What a tree may hold that acts outside of it: links that lead out, followed through the tree's own links, and repositories inside it."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

from ccterm.git.names import folded, is_dotgit, shown
from ccterm.git.tree import parents

_MOST_LINKS = 64
"""After so many links in a row no system follows another."""
PARTS = (b"head", b"objects", b"refs", b"commondir")
"""What makes a directory a repository, folded."""
_STEERING = (b"config", b"config.worktree", b"commondir")


class TreeLinks:
    """The links of a tree. elsewhere: what else may be a link where the tree has none, such as an ignored path of a working copy."""

    def __init__(self, links: Mapping[bytes, bytes], elsewhere: Callable[[bytes], bytes | None] = lambda _: None) -> None:
        self._links = links
        self._folded = {folded(path): path for path in links}
        self._elsewhere = elsewhere
        self.crossed: list[bytes] = []
        """The links that the last question led through."""

    def leaves(self, path: bytes, target: bytes) -> str:
        """Return why a symbolic link at `path` may not point to `target`, or ""."""
        where, waiting, told = path.split(b"/")[:-1], list(reversed(target.split(b"/"))), f"points to {shown(target)}"
        self.crossed = []
        if target.startswith(b"/"):
            return f"{told}, an absolute path"
        while waiting:
            part = waiting.pop()
            if part == b"..":
                if not where:
                    return f"{told}, outside the repository{self._through()}"
                where.pop()
            elif part not in (b"", b"."):
                where.append(part)
                if is_dotgit(part):
                    return f"{told}, into a git directory{self._through()}"
                further = self._follow(b"/".join(where))
                if further is not None and further.startswith(b"/"):
                    return f"{told}, outside the repository{self._through()}"
                if further is not None and len(self.crossed) <= _MOST_LINKS:
                    where.pop()
                    waiting += reversed(further.split(b"/"))
        return ""

    def _follow(self, path: bytes) -> bytes | None:
        found = path if path in self._links else self._folded.get(folded(path), path)
        target = self._links[found] if found in self._links else self._elsewhere(path)
        if target is not None:
            self.crossed.append(found)
        return target

    def _through(self) -> str:
        return f" through {shown(self.crossed[-1])}" if self.crossed else ""


def leaving_links(
    before: Mapping[bytes, bytes], after: Mapping[bytes, bytes], elsewhere: Callable[[bytes], bytes | None] = lambda _: None
) -> dict[bytes, str]:
    """Return which changes to the links of a tree let one lead out of it, and why. before, after: the path of each link -> its target.

    A link that stays as it was may lead somewhere else by a change to another; then that change is named. Removed links are among them.
    """
    then, now = TreeLinks(before, elsewhere), TreeLinks(after, elsewhere)
    changed = {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
    found: dict[bytes, str] = {}
    for path, target in after.items():
        if not (why := now.leaves(path, target)):
            continue
        if path in changed:
            found[path] = why
        elif not then.leaves(path, target):
            found.update((each, f"{shown(path)} then {why}") for each in {*now.crossed, *then.crossed} & changed)
    return found


def may_be_repository(names: Iterable[bytes]) -> bool:
    """Whether git may enter a directory that holds these names as a repository: HEAD beside commondir, or beside objects and refs.

    Of any kind and case: git asks only whether it may search `objects` and `refs`, which it may with a program, or a link to a directory.
    """
    parts = set(map(folded, names))
    return b"head" in parts and (b"commondir" in parts or {b"objects", b"refs"} <= parts)


class Repositories:
    """The directories of a tree that hold parts of a repository."""

    def __init__(self, paths: Iterable[bytes]) -> None:
        self._names: dict[bytes, set[bytes]] = {}
        for path in paths:
            whole = folded(path)
            if b"refs" in whole or b"objects" in whole or b"commondir" in whole or b"head" in whole:  # quick: there may be a million
                for each in (whole, *parents(whole)):
                    above, _, name = each.rpartition(b"/")
                    if name in PARTS:
                        self._names.setdefault(above, set()).add(name)

    def __iter__(self) -> Iterator[bytes]:
        """Yield the directories, folded, that git may enter as repositories."""
        return (directory for directory, names in self._names.items() if may_be_repository(names))

    def names(self, directory: bytes) -> Collection[bytes]:
        """Return the parts of a repository, folded, that a directory holds."""
        return self._names.get(folded(directory), ())

    def steered_by(self, path: bytes) -> bool:
        """Whether a path is the configuration or a hook of what is a repository, or the common directory of one."""
        parent, _, name = folded(path).rpartition(b"/")
        above, _, directory = parent.rpartition(b"/")
        return (name in _STEERING and self._may_be_steered(parent)) or (directory == b"hooks" and self._may_be_steered(above))

    def _may_be_steered(self, directory: bytes) -> bool:
        names = self.names(directory)
        return may_be_repository(names) or {b"objects", b"refs"} <= set(names)
