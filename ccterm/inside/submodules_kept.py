"""Sees to it that a run leaves submodules alone: their commits are the base's, and a change below one is refused by name."""

from ccterm.inside.base import Base
from ccterm.inside.rooted import Root
from ccterm.inside.walk import Found, Refused


def check_submodules(root: Root, base: Base, found: Found, clean: str, tree: str) -> tuple[list[Refused], list[str]]:
    """Return refusals and notes about what lies where the base has submodules."""
    refused = []
    for path, node in sorted(found.submodules.items()):
        if not node.is_directory or root.list(path):
            refused.append(Refused("gitlink", path, "is a submodule; changes there are not taken"))
    return refused, []
