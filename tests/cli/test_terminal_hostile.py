"""What an agent and its programs print, through all of ccterm from a box to a real terminal: none of it controls the terminal."""

import json
import random
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from tests.output.hostile import HOSTILE
from tests.support.core import local, start
from tests.support.terminal import PAINTING, Screen

pytestmark = pytest.mark.slow

MARKUP = ("[red]x[/red]", "[@click=app.quit]leave[/]", "[link=https://evil.example]x[/link]", "\\\\[b]", "[/]", "[bold")
PIECES = [*(printed for printed, _ in HOSTILE.values()), *MARKUP, "text ", "日本", "\n", "e\u0301", "\U0001f3f3\ufe0f\u200d\U0001f308"]
LAST = "[@click=app.quit]all is well[/]"
EMIT = """
import os, random, sys, time
data, dice = bytes.fromhex(open(sys.argv[1]).read()), random.Random(int(sys.argv[2]))
while data:
    cut = dice.randrange(1, 400)
    os.write(dice.choice((1, 2)), data[:cut])
    data = data[cut:]
    if dice.random() < 0.02:
        time.sleep(0.005)
"""


def hostile_bytes(text: str) -> bytes:
    """Return a text as a program may print it: 8-bit controls now as one byte, now as UTF-8."""
    return text.encode("utf-8", "surrogatepass") + text.encode("latin-1", "ignore")


@pytest.fixture
def mixtures() -> list[str]:
    """Everything that has a name, then five hundred random mixtures of it."""
    dice = random.Random(7)
    return [*PIECES, *("".join(dice.choices(PIECES, k=dice.randrange(2, 9))) for _ in range(500))]


def staged(tmp_path: Path, mixtures: list[str]) -> Sequence[str]:
    """Return the flags of a run whose setup prints raw bytes and whose agent says, types, prints and writes the same."""
    (tmp_path / "emit.py").write_text(EMIT)
    (tmp_path / "bytes").write_text(b"\n".join(map(hostile_bytes, mixtures)).hex())
    emit = f"{sys.executable} {tmp_path}/emit.py {tmp_path}/bytes"
    texts = [text.encode("utf-8", "replace").decode() for text in mixtures]
    actions: list[Mapping[str, object]] = []
    actions += [{"say": text} for text in texts[:300] if text.strip()]
    actions += [{"type": "".join(texts[90:110]), "seconds": 0.5}, {"think": "".join(texts[:40])}]
    actions += [{"bash": f"{emit} {seed}"} for seed in range(3)]
    actions += [{"write": f"[bold]{number}.txt", "text": text} for number, text in enumerate(texts[:60])]
    actions += [{"say": LAST}]
    (tmp_path / "script.json").write_text(json.dumps({"script": actions}))
    return ("--agent-arg=--script", f"--agent-arg={tmp_path / 'script.json'}", "--setup", f"{emit} 1")


def test_nothing_that_agents_print_drives_the_terminal(
    started: list[Screen], tmp_path: Path, remote: Path, mixtures: list[str], state: Path
) -> None:
    screen = Screen(tmp_path, "--foreground", size=(100, 30))
    started.append(screen)
    begin = at = screen.until_no_runs()
    words = local(remote, "hostile", "\x1b]0;owned\x07[red]go")
    run = start(*words, *staged(tmp_path, mixtures), env={"CCTERM_STATE_DIR": str(state)})
    at = screen.until(LAST, after=at)
    at = screen.until("pushed", after=at)
    seen = (("\r", "resolve"), ("g", "%"), ("d", "[bold]0.txt"), ("\x1b", "policy"), ("G", "verified"), ("\x1b", "▌#1"), ("H", "history"))
    for keys, shown in seen:
        screen.press(keys)
        screen.rest()  # an escape is one only when nothing follows it
        at = screen.until(shown, after=at)
    assert screen.foreign(PAINTING, begin=begin, end=at) == ""
    assert not any(b"owned" in title.split(b"\x07")[0] for title in screen.output.split(b"\x1b]2;")[1:])
    screen.press("\x1b")
    screen.rest()
    screen.press("q")
    assert screen.wait() == 0
    assert run.wait(timeout=60) == 0
    assert screen.foreign() == ""
    assert screen.given_back
