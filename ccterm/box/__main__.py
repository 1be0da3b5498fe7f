"""Starts one program of this package in a box: `python3 -I BOX_LIB/__main__.py PROGRAM request.json`, with the box's root as working directory."""

import os
import sys
from importlib import import_module

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))  # not by `python3 BOX_LIB`, which takes 10 ms longer

from ccterm.box.protocol import LIFELINE


def main() -> None:
    """Start the life line where there is one, then the program that the first argument names."""
    if os.environ.pop(LIFELINE, "") == "stdin":
        from ccterm.box.process import tree  # deferred: an agent of ours has none, and is to start at once

        tree.watch_parent()
    import_module(f"ccterm.inside.{sys.argv[1]}").main()


if __name__ == "__main__":
    main()
