"""The files by which a repository configures the agent that works in it, and a digest of them: the same on the host and in a box."""

import os
from collections.abc import Iterator

from ccterm.git.rooted import Root

CONFIG_DIRECTORY = b".claude"
SERVERS_FILE = b".mcp.json"
_WORKTREES = b".claude/worktrees"
"""Where the CLI puts working trees of its own: nothing in them configures it."""
_MOST_FILES = 5_000
_LARGEST = 8 << 20


class NotDigestible(Exception):
    """Something that no digest of content can stand for; says what and why."""


def config_digest(directory: str | bytes) -> str:
    """Return the SHA-256 over path, mode and content of every file in .claude and of .mcp.json; "" if there is none of them.

    Raises NotDigestible for links, special files and too much of it, and OSError.
    """
    import hashlib  # deferred: it loads OpenSSL, and most repositories have no such files

    total = hashlib.sha256()
    count = 0
    with Root(directory) as root:
        for count, path in enumerate(_files(root), 1):
            if count > _MOST_FILES:
                raise NotDigestible(f"{os.fsdecode(CONFIG_DIRECTORY)} holds more than {_MOST_FILES:,} files")
            content = root.read(path, _LARGEST + 1)
            if len(content) > _LARGEST:
                raise NotDigestible(f"{os.fsdecode(path)} is larger than {_LARGEST >> 20} MiB")
            mode = root.node(path).git_mode
            total.update(b"%o %d %d\0%s\0%s" % (mode, len(path), len(content), path, hashlib.sha256(content).digest()))
    return total.hexdigest() if count else ""


def _files(root: Root) -> Iterator[bytes]:
    """Yield the files in a fixed order. Raises NotDigestible for what is neither a file nor a directory."""
    top = root.list(b"")
    waiting = [name for name in (SERVERS_FILE, CONFIG_DIRECTORY) if name in top]
    while waiting:
        path = waiting.pop()
        node = root.node(path)
        if node.is_file:
            yield path
        elif node.is_directory:
            waiting += sorted((path + b"/" + name for name in root.list(path) if path + b"/" + name != _WORKTREES), reverse=True)
        else:
            raise NotDigestible(f"{os.fsdecode(path)} is a link or no regular file, and trust goes by content")
