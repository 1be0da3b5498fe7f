"""Makes repositories from repositories by plain copying: no link and no alternate, so that changes to one never reach another."""

import os
import shutil
from collections.abc import Sequence

from ccterm.git.git import Git, init
from ccterm.git.refs import HEADS, REMOTE, TAGS, Ref, stored_refs, write_packed_refs

_HEX = frozenset("0123456789abcdef")
_AGENT_CONFIG = """\
[user]
\tname = Claude Agent
\temail = agent@commandcenter.ai
[commit]
\tgpgSign = false
[tag]
\tgpgSign = false
[gc]
\tauto = 0
[maintenance]
\tauto = false
"""
"""So that an agent's own commits need nothing of the user's, and nothing repacks while the step commit reads."""


def make_clean(source: Git, clean: str, base: str, branch: str) -> Git:
    """Make a bare repository of all objects and tags of a mirror, with its branches as the remote's, and `branch` at `base`."""
    git = init(clean, base, branch)
    refs = stored_refs(source, HEADS, TAGS)  # before the objects: what a ref names now is there then
    copy_objects(source, clean)
    _set_refs(git, [ref._replace(name=_remote_name(ref.name)) for ref in refs], base, branch)
    return git


def _remote_name(name: str) -> str:
    return REMOTE + name.removeprefix(HEADS) if name.startswith(HEADS) else name


def make_tree(clean: Git, tree: str, base: str, branch: str, default: str | None = None) -> None:
    """Make a working copy of `base` with a complete git directory of its own and no remote.

    It knows the remote's branches as a clone does: as `origin/NAME`, and the default branch also by a branch of its own.
    """
    git = init(tree, base, branch, bare=False)
    copy_objects(clean, os.path.join(tree, ".git"))
    refs = [ref for ref in stored_refs(clean, TAGS, REMOTE) if ref.name != f"{REMOTE}HEAD"]
    _set_refs(git, [*refs, *_default_branch(git, refs, branch, default)], base, branch)
    configure(git)
    _copy_info(clean, git)
    git.run("read-tree", "--reset", "-u", "HEAD")


def _default_branch(git: Git, refs: Sequence[Ref], branch: str, default: str | None) -> list[Ref]:
    """Let `origin` alone mean the default branch; return the ref of its local branch, unless `branch` takes its name."""
    found = next((ref for ref in refs if default and ref.name == REMOTE + default), None)
    if default is None or found is None:
        return []
    assert git.directory
    os.makedirs(os.path.join(git.directory, REMOTE), exist_ok=True)
    with open(os.path.join(git.directory, REMOTE, "HEAD"), "w", encoding="utf-8") as head:
        head.write(f"ref: {found.name}\n")
    taken = default == branch or default.startswith(f"{branch}/") or branch.startswith(f"{default}/")
    return [] if taken else [found._replace(name=HEADS + default)]


def _copy_info(clean: Git, git: Git) -> None:
    """Apply attributes and ignore rules that were given beside the history to the working copy too."""
    assert clean.directory
    assert git.directory
    for name in ("attributes", "exclude"):
        source, target = (os.path.join(directory, "info", name) for directory in (clean.directory, git.directory))
        if os.path.exists(source):
            os.makedirs(os.path.dirname(target), exist_ok=True)
            shutil.copyfile(source, target)


def make_empty(clean: str, tree: str, branch: str) -> None:
    """Make both for a remote that is still empty."""
    init(clean, None, branch)
    configure(init(tree, None, branch, bare=False))


def configure(git: Git) -> None:
    """Write what an agent's own git commands need."""
    assert git.directory
    with open(os.path.join(git.directory, "config"), "a", encoding="utf-8") as file:
        file.write(_AGENT_CONFIG)


def _set_refs(git: Git, refs: Sequence[Ref], base: str, branch: str) -> None:
    assert git.directory
    write_packed_refs(git.directory, refs)
    git.run("update-ref", HEADS + branch, base)


def copy_objects(source: Git, target: str) -> None:
    """Copy packs, loose objects and the shallow boundary into a git directory."""
    assert source.directory
    objects = os.path.join(source.directory, "objects")
    for name in os.listdir(objects):
        if name == "pack" or (len(name) == 2 and _HEX.issuperset(name)):
            _copy_files(os.path.join(objects, name), os.path.join(target, "objects", name))
    shallow = os.path.join(source.directory, "shallow")
    if os.path.exists(shallow):
        shutil.copyfile(shallow, os.path.join(target, "shallow"))


def _copy_files(source: str, target: str) -> None:
    os.makedirs(target, exist_ok=True)
    for name in os.listdir(source):
        if not name.startswith(("tmp_", "multi-pack-index")) and not name.endswith((".lock", ".keep")):
            shutil.copyfile(os.path.join(source, name), os.path.join(target, name))
            shutil.copymode(os.path.join(source, name), os.path.join(target, name))


def module_directory(clean: str, path: bytes) -> str:
    """Return where the clean git directory of the submodule at a path is."""
    import hashlib  # deferred: costs start-up time, and few repositories have submodules

    return os.path.join(clean, "modules", hashlib.sha256(path).hexdigest()[:24])
