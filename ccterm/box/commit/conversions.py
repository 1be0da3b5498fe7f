"""Tells files that a run changed from files that only look changed, because git converted them at checkout as .gitattributes asks."""

import hashlib
import os
import shutil
import stat
from typing import Self

from ccterm.box.commit.compare import Delta
from ccterm.box.commit.walk import Refused
from ccterm.git.git import Git
from ccterm.git.rooted import Node, Root
from ccterm.git.tree import Base

_ATTRIBUTES = ("eol", "ident", "working-tree-encoding", "filter")
_POINTER = b"version https://git-lfs.github.com/spec/v1\n"
_BLOCK = 1 << 20


class Conversions:
    """What the base's own .gitattributes ask for; the agent's may say something else by now. A context manager."""

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
        """Take out of a delta what was converted only. With `lfs`, files stand where the base has pointers: changes of such are refused."""
        if not self._write_attributes():
            return
        for path, asked in self._asked(list(delta.nodes)).items():
            node = delta.nodes[path]
            if asked.get("filter") == b"lfs":
                if lfs and node.is_file:
                    self._try_lfs(path, node, delta)
            elif (
                path in delta.changed
                and self._same_mode(path, node)
                and _converts(asked)
                and self._is_what_git_wrote(path, delta.raw[path])
            ):
                del delta.changed[path]

    def _try_lfs(self, path: bytes, node: Node, delta: Delta) -> None:
        try:
            self._settle_lfs(path, node, delta)
        except OSError as error:
            delta.refused.append(Refused("unreadable", path, f"cannot be read: {error.strerror or error}"))

    def _settle_lfs(self, path: bytes, node: Node, delta: Delta) -> None:
        digest = hashlib.sha256()
        with os.fdopen(self._root.open(path), "rb") as file:
            begin = block = file.read(_BLOCK)
            while block:
                digest.update(block)
                block = file.read(_BLOCK)
        if begin.startswith(_POINTER):
            return
        if (
            path in delta.changed
            and self._same_mode(path, node)
            and self._name(_pointer(digest, node.size)) == self._base.entries[path].sha
        ):
            del delta.changed[path]
        else:
            delta.refused.append(Refused("lfs", path, "belongs into LFS, and new LFS files are not uploaded"))

    def _write_attributes(self) -> bool:
        """Lay the base's .gitattributes out, where git looks for them; return whether there are any."""
        there = False
        for path, entry in self._base.entries.items():
            if path.rpartition(b"/")[2] == b".gitattributes" and stat.S_ISREG(entry.mode):
                target = os.path.join(os.fsencode(self._place), path)
                os.makedirs(os.path.dirname(target), exist_ok=True)
                with open(target, "wb") as file:
                    self._git.to_file(file, "cat-file", "blob", entry.sha)
                there = True
        return there

    def _asked(self, paths: list[bytes]) -> dict[bytes, dict[str, bytes]]:
        listing = b"".join(path + b"\0" for path in paths)
        fields = iter(self._git.fields("check-attr", "-z", "--stdin", *_ATTRIBUTES, stdin=listing))
        asked: dict[bytes, dict[str, bytes]] = {}
        for path, name, value in zip(fields, fields, fields, strict=True):
            asked.setdefault(path, {})[name.decode()] = value
        return asked

    def _same_mode(self, path: bytes, node: Node) -> bool:
        return node.git_mode == self._base.entries[path].mode

    def _is_what_git_wrote(self, path: bytes, raw: str) -> bool:
        # cat-file looks for attributes from where it runs
        code, content, _ = self._git.answer("-C", self._place, "cat-file", "--filters", b"--path=" + path, self._base.entries[path].sha)
        return code == 0 and self._name(content) == raw

    def _name(self, content: bytes) -> str:
        digest = self._base.hash()
        digest.update(b"blob %d\0%s" % (len(content), content))
        return digest.hexdigest()


def _converts(asked: dict[str, bytes]) -> bool:
    encoding = asked.get("working-tree-encoding")
    return asked.get("eol") == b"crlf" or asked.get("ident") == b"set" or encoding not in (b"unspecified", b"unset", b"set")


def _pointer(content: "hashlib._Hash", size: int) -> bytes:
    """Return what stands in the repository for a file with this SHA-256 and size."""
    return b"%soid sha256:%s\nsize %d\n" % (_POINTER, content.hexdigest().encode(), size)
