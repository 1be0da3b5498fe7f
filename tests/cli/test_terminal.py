"""The terminal on a real pty: keys alone carry the demonstration from start to end, and however it ends the terminal is given back."""

import os
import signal
from pathlib import Path

import pytest

from tests.support.core import ccterm, script
from tests.support.terminal import Screen
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow


def test_the_demonstration_from_start_to_end_by_keys_alone(started: list[Screen], tmp_path: Path) -> None:
    screen = Screen(tmp_path, "demo", size=(160, 48))
    started.append(screen)
    screen.until("feature/rate-limit")
    screen.until("Which one do you want?")
    at = screen.until("waiting for input until")
    screen.press(".s")
    at = screen.until("Answer to feature/search", after=at)
    screen.press("In memory\r")
    screen.until("I will take this down: In memory", after=at)
    at = screen.until("fix/rounding failed")
    screen.press("1\r")
    at = screen.until("resolve", after=at)
    screen.press("\x1b")
    at = screen.until("Zoom", after=at)  # a key of the fleet; one that came together with escape would be another key
    screen.press("q")
    at = screen.until("Quit?", after=at)
    screen.until("removed then", after=at)
    assert b"keep their work" not in screen.output
    screen.press("s")
    assert screen.wait() == 0
    assert screen.given_back
    assert b"the demo is over; its runs, their work and its repository are removed" in screen.output


@pytest.mark.parametrize(
    ("ending", "said"),
    [
        ("qs", "#1 agent/x: cancelled"),
        ("", "#1 agent/x: cancelled"),
        ("ql", "#1 agent/x goes on in the background. ccterm shows it again."),
    ],
    ids=["stopped", "signal", "left"],
)
def test_afterwards_it_says_what_became_of_the_runs(
    started: list[Screen], tmp_path: Path, remote: Path, monkeypatch: pytest.MonkeyPatch, ending: str, said: str
) -> None:
    monkeypatch.setenv("CCTERM_AGENT", "scripted")
    screen = Screen(tmp_path, *([] if ending == "ql" else ["--foreground"]))
    started.append(screen)
    screen.until("New")
    screen.press("n")
    screen.until("What should be done?")
    screen.press(script({"say": "I'm at it."}, {"sleep": 60}) + "\t" + "\x1b[F\x15" + f"{remote}\t\t" + "agent/x\x13")
    screen.until("agent/x has started")
    if ending:
        screen.press(ending)
    else:
        os.kill(screen.pid, signal.SIGTERM)
    assert screen.wait() == 0
    assert said.encode() in screen.output


def test_without_runs_it_shows_itself_and_leaves(started: list[Screen], tmp_path: Path) -> None:
    screen = Screen(tmp_path, "--foreground")
    started.append(screen)
    screen.until("this machine")  # the fleet, or the checks, which open by themselves when one fails
    screen.press("q")
    assert screen.wait() == 0
    assert screen.given_back
    assert screen.modes[1049] is False


def test_settings_that_do_not_fit_give_the_terminal_back_and_are_named(started: list[Screen], tmp_path: Path, isolation: Path) -> None:
    settings = isolation / "config" / "ccterm" / "config.toml"
    settings.parent.mkdir(parents=True)
    settings.write_text('[keys]\nnew = "q"\n')
    screen = Screen(tmp_path, "--foreground")
    started.append(screen)
    assert screen.wait() == 2
    assert screen.given_back
    assert b"[keys] new: the key q is that of quit, too" in screen.output


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_program_cleanly(started: list[Screen], tmp_path: Path, number: signal.Signals) -> None:
    screen = Screen(tmp_path, "--foreground")
    started.append(screen)
    screen.until("this machine")  # the fleet, or the checks, which open by themselves when one fails
    os.kill(screen.pid, number)
    assert screen.wait() == 0
    assert screen.given_back


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_a_screen_that_is_killed_leaves_the_terminal_as_it_was(started: list[Screen], tmp_path: Path, number: signal.Signals) -> None:
    screen = Screen(tmp_path, "--foreground")
    started.append(screen)
    screen.until("this machine")  # the fleet, or the checks, which open by themselves when one fails
    assert screen.modes[1049]
    [child] = screen.children()
    os.kill(child, number)
    assert screen.wait() == 128 + number
    assert screen.given_back
    assert f"ended by signal {number.value}".encode() in screen.output


def test_a_screen_whose_parent_is_killed_ends(started: list[Screen], tmp_path: Path) -> None:
    screen = Screen(tmp_path, "--foreground")
    started.append(screen)
    screen.until("this machine")  # the fleet, or the checks, which open by themselves when one fails
    [child] = screen.children()
    os.kill(screen.pid, signal.SIGKILL)
    wait_until(lambda: (screen.read(0.01), dead(child))[1])


def dead(pid: int) -> bool:
    """Whether a process is gone, or only waits to be reaped."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True


def test_an_exception_in_the_screen_gives_the_terminal_back(started: list[Screen], tmp_path: Path) -> None:
    broken = "import sys; sys.argv = ['ccterm', '--foreground']\n"
    broken += "from ccterm.tui.screens.fleet import FleetScreen\n"
    broken += "def fail(self): raise RuntimeError('broken on purpose')\n"
    broken += "FleetScreen.action_zoom = FleetScreen.action_filter = fail\n"
    broken += "from ccterm.cli.main import main\nmain()\n"
    screen = Screen(tmp_path, program=("-c", broken))
    started.append(screen)
    screen.until_no_runs()
    screen.press("f")
    assert screen.wait() == 1
    assert screen.given_back
    assert b"broken on purpose" in screen.output


def test_only_our_own_sequences_reach_the_terminal(started: list[Screen], tmp_path: Path) -> None:
    screen = Screen(tmp_path, "--foreground")
    started.append(screen)
    screen.until("this machine")  # the fleet, or the checks, which open by themselves when one fails
    screen.press("q")
    screen.wait()
    assert screen.foreign() == ""


def test_runs_go_on_behind_a_closed_terminal(started: list[Screen], tmp_path: Path) -> None:
    screen = Screen(tmp_path)
    started.append(screen)
    screen.until(" daemon")
    screen.press("q")
    assert screen.wait() == 0
    assert screen.given_back
    assert ccterm("runs", env={"CCTERM_STATE_DIR": str(tmp_path / "state")}).returncode == 0


def test_without_a_terminal_there_is_help(tmp_path: Path) -> None:
    done = ccterm(env={"CCTERM_STATE_DIR": str(tmp_path / "state")})
    assert "Without a command: the terminal" in done.stdout
    assert not (tmp_path / "state").exists()
