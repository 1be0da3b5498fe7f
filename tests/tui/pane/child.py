"""An app with one pane for a real terminal: python child.py TRANSCRIPT. t shows a toast over it, q quits."""

import sys
from pathlib import Path

from tests.tui.pane.pane_app import PaneApp


class Child(PaneApp):
    """A `PaneApp` with two keys."""

    BINDINGS = [("t", "notify('a toast')"), ("q", "quit")]


if __name__ == "__main__":
    Child(Path(sys.argv[1])).run()
