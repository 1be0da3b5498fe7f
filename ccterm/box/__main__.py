"""Starts one program of this package in a box: `python3 -I BOX_LIB/__main__.py PROGRAM REQUEST`, with the box's root as working directory."""

import os
import sys
from importlib import import_module

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))  # `python3 BOX_LIB` would do it too, but takes 10 ms longer

from ccterm.box import PARENT_WATCH
from ccterm.git.memory import limit_memory

PROGRAMS = {
    "resolve": "checkout.resolve",
    "checkout": "checkout.checkout",
    "merge": "merge",
    "shell": "shell",
    "supervise": "agent.supervise",
    "checkpoint": "checkpoint.checkpoint",
    "changed": "checkpoint.changed",
    "commit": "commit.commit",
    "live": "live_patch",
    "proxy": "network.proxy_process",
    "push": "push",
    "scripted": "scripted.agent",
    "terminal": "terminal",
}
"""The module, below ccterm.box, of each program."""
_FOR_USERS = ("supervise", "shell", "scripted", "terminal")
"""Programs that run commands of the user or the agent, whose memory is their own business."""


def main() -> None:
    """Watch the parent if stdin is a pipe from it, then run the program that the first argument names."""
    if os.environ.pop(PARENT_WATCH, "") == "stdin":
        from ccterm.box.process import tree  # deferred: the scripted agent has no such pipe and should start at once

        tree.watch_parent()
    if sys.argv[1] not in _FOR_USERS:
        limit_memory()
    sys.modules["bz2"] = sys.modules["lzma"] = None  # type: ignore[assignment]  # shutil would load both, and nothing packs with them
    import_module(f"ccterm.box.{PROGRAMS[sys.argv[1]]}").main()


if __name__ == "__main__":
    main()
