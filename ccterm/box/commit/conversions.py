"""Tells files that a run changed from files that only look changed, because git converted them at checkout as .gitattributes requires."""

import hashlib
import os
import shutil
import stat
from typing import Self

from ccterm.box.commit.compare import Delta
from ccterm.box.commit.walk import RefusedPath
from ccterm.git.git import Git
from ccterm.git.lfs import MOST_OF_A_POINTER, is_pointer, pointer_to
from ccterm.git.objects import blob_name, file_blocks
from ccterm.git.patterns import attributes_of
from ccterm.git.rooted import FileNode, Root
from ccterm.git.tree import Base

_ATTRIBUTES = ("eol", "ident", "working-tree-encoding", "filter")


class Conversions:
    """The conversions that the base's own .gitattributes require; the agent may have changed them by now. A context manager."""

    def __init__(self, git_directory: str, root: Root, base: Base) -> None:
        self._root, self._base = root, base
        self._place = os.path.abspath(os.path.join(git_directory, "commit-attributes"))
        self._git = Git(git_directory, work_tree=self._place)

    def __enter__(self) -> Self:
        shutil.rmtree(self._place, ignore_errors=True)
        os.mkdir(self._place)
        return self

    def __exit__(self, *exc: object) -> None:
        shutil.rmtree(self._place, ignore_errors=True)

    def settle(self, delta: Delta, *, lfs: bool) -> None:
        """Remove from a delta what was only converted.

        lfs: LFS files are in place of the base's pointers; changes of such files are refused.
        """
        if not self._write_attributes():
            return
        for path, attributes in self._attributes(list(delta.nodes)).items():
            node = delta.nodes[path]
            if attributes.get("filter") == b"lfs":
                if lfs and node.is_file:
                    self._try_lfs(path, node, delta)
            elif path in delta.changed and self._only_converted(path, node, delta, attributes):
                del delta.changed[path]

    def _only_converted(self, path: bytes, node: FileNode, delta: Delta, attributes: dict[str, bytes]) -> bool:
        return self._same_mode(path, node) and _converts(attributes) and self._is_what_git_wrote(path, delta.raw[path])

    def _try_lfs(self, path: bytes, node: FileNode, delta: Delta) -> None:
        try:
            self._settle_lfs(path, node, delta)
        except OSError as error:
            delta.refused.append(RefusedPath("unreadable", path, f"cannot be read: {error.strerror or error}"))

    def _settle_lfs(self, path: bytes, node: FileNode, delta: Delta) -> None:
        digest = hashlib.sha256()
        with os.fdopen(self._root.open(path), "rb") as file:
            if is_pointer(file.peek(MOST_OF_A_POINTER)):
                return
            for block in file_blocks(file):
                digest.update(block)
        pointer = blob_name(self._base.algorithm, pointer_to(digest.hexdigest(), node.size))
        if path in delta.changed and self._same_mode(path, node) and pointer == self._base.entries[path].sha:
            del delta.changed[path]
        else:
            delta.refused.append(RefusedPath("lfs", path, "belongs in LFS, and new LFS files are not uploaded"))

    def _write_attributes(self) -> bool:
        """Write the base's .gitattributes to where git looks for them; return whether there are any."""
        found = False
        for path, entry in self._base.entries.items():
            if path.rpartition(b"/")[2] == b".gitattributes" and stat.S_ISREG(entry.mode):
                target = os.path.join(os.fsencode(self._place), path)
                os.makedirs(os.path.dirname(target), exist_ok=True)
                with open(target, "wb") as file:
                    self._git.to_file(file, "cat-file", "blob", entry.sha)
                found = True
        return found

    def _attributes(self, paths: list[bytes]) -> dict[bytes, dict[str, bytes]]:
        found: dict[bytes, dict[str, bytes]] = {}
        for path, name, value in attributes_of(self._git, _ATTRIBUTES, paths):
            found.setdefault(path, {})[name] = value
        return found

    def _same_mode(self, path: bytes, node: FileNode) -> bool:
        return node.git_mode == self._base.entries[path].mode

    def _is_what_git_wrote(self, path: bytes, raw: str) -> bool:
        # cat-file looks for attributes from where it runs
        code, content, _ = self._git.answer("-C", self._place, "cat-file", "--filters", b"--path=" + path, self._base.entries[path].sha)
        return code == 0 and blob_name(self._base.algorithm, content) == raw


def _converts(attributes: dict[str, bytes]) -> bool:
    encoding = attributes.get("working-tree-encoding")
    return attributes.get("eol") == b"crlf" or attributes.get("ident") == b"set" or encoding not in (b"unspecified", b"unset", b"set")
