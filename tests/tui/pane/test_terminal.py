"""A pane on a real terminal, where its rows bypass Textual's compositor."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from ccterm import events
from ccterm.events import Event, to_line
from ccterm.models import RunId
from tests.output.hostile import HOSTILE
from tests.support.waiting import wait_until
from tests.tui.pane.conftest import AT

_SIZES = ("LINES", "COLUMNS")
"""readline exports the size of this terminal to all children; theirs is another one."""
ROOT = Path(__file__).parents[3]
pytestmark = pytest.mark.skipif(shutil.which("tmux") is None, reason="needs tmux")


class Terminal:
    """tmux, 60×12, with one program in it."""

    def __init__(self, directory: Path, *words: str) -> None:
        self._tmux = ("tmux", "-S", str(directory / "tmux"), "-f", "/dev/null")
        self.run("new-session", "-d", "-x", "60", "-y", "12", *words)
        self.run("set", "-g", "status", "off")

    def run(self, *words: str) -> str:
        env = {name: value for name, value in os.environ.items() if name not in _SIZES}
        return subprocess.run([*self._tmux, *words], check=True, capture_output=True, text=True, env=env).stdout

    def shows(self, rows: list[str]) -> bool:
        return self.rows() == rows

    def rows(self) -> list[str]:
        return [row.rstrip() for row in self.run("capture-pane", "-p").split("\n")[:12]]


@pytest.fixture
def transcript(tmp_path: Path) -> Path:
    return tmp_path / "transcript.ndjson"


@pytest.fixture
def terminal(tmp_path: Path, transcript: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminal]:
    """A pane on this transcript."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    terminal = Terminal(tmp_path, sys.executable, str(Path(__file__).with_name("child.py")), str(transcript))
    yield terminal
    terminal.run("kill-server")


def write(path: Path, *written: Event) -> None:
    with path.open("ab") as file:
        file.write(b"".join(to_line(event.stamped(seq=0, at=AT, run=RunId("r"))) for event in written))


def said(begin: int, end: int) -> list[events.Said]:
    return [events.Said(text=f"line {number}") for number in range(begin, end)]


def test_rows_are_painted_in_place_and_below_a_toast(terminal: Terminal, transcript: Path) -> None:
    for end in range(20, 200, 20):
        write(transcript, *said(end - 20, end))
        wanted = [f" line {number}" for number in range(end - 12, end)]
        wait_until(partial(terminal.shows, wanted))
    terminal.run("send-keys", "t")
    wait_until(lambda: any("a toast" in row for row in terminal.rows()))
    write(transcript, *said(180, 300))
    wait_until(lambda: terminal.rows()[0] == " line 288")
    assert any("a toast" in row for row in terminal.rows())
    terminal.run("resize-window", "-x", "50", "-y", "8")
    write(transcript, *said(300, 310))
    wait_until(lambda: terminal.rows()[0] == " line 302")


def test_hostile_output_leaves_the_terminal_as_it_is(terminal: Terminal, transcript: Path) -> None:
    write(transcript, events.Said(text="begin"))
    wait_until(lambda: terminal.rows()[0] == " begin")
    terminal.run("set", "-w", "automatic-rename", "off")  # else tmux itself names the window after its program, sooner or later
    asked = ("display", "-p", "#{pane_title} #{window_name} #{alternate_on} #{mouse_all_flag} #{scroll_region_upper} #{origin_flag}")
    before = terminal.run(*asked)
    for text, _ in HOSTILE.values():
        write(transcript, events.Printed(stream="stdout", text=text), events.Said(text=text))
    write(transcript, events.Said(text="all is well"))
    wait_until(lambda: terminal.rows()[-1] == " all is well")
    assert terminal.run(*asked) == before
    assert terminal.run("list-buffers") == ""
