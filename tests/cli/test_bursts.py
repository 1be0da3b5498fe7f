"""Whole bursts of keys on a real pty, each in one write as over a slow connection, do what they would do one by one."""

import json
from pathlib import Path

import pytest

from tests.conftest import MakeRemote
from tests.support.core import ccterm
from tests.support.git import git
from tests.support.terminal import Screen

pytestmark = pytest.mark.slow

TASK = '{"script": [{"say": "\\u0054he agent is up."}, ' + ", ".join(['{"sleep": 0.2}'] * 150) + "]}"
"""What the agent says is spelled otherwise than in the form, so that a test sees which one is on the screen."""


def test_keys_that_come_before_the_fleet_and_the_service_are_not_lost(started: list[Screen], tmp_path: Path) -> None:
    screen = Screen(tmp_path, "--foreground")
    started.append(screen)
    screen.press("nA draft")  # before anything is painted
    screen.until("What should be done?")
    screen.press(" that stays.\x1bq")
    assert screen.wait() == 0
    assert screen.given_back
    assert json.loads((tmp_path / "state" / "terminal.json").read_text())["draft"]["prompt"] == "A draft that stays."


def test_bursts_over_several_screens(started: list[Screen], make_remote: MakeRemote, tmp_path: Path, isolation: Path) -> None:
    settings = isolation / "config" / "ccterm" / "config.toml"
    settings.parent.mkdir(parents=True)
    settings.write_text('agent = "scripted"\n')
    git(tmp_path, "init", "-q")
    git(tmp_path, "remote", "add", "origin", str(make_remote()))
    screen = Screen(tmp_path, "--foreground")
    started.append(screen)
    screen.until_no_runs()
    screen.press(f"n{TASK}\x13")
    at = screen.until("The agent is up.")
    screen.press("sKeep it in one file.\rc\x1b?\x1bfscript\r\r/agent\r\x1b\x1bnA draft that stays.\x1b")
    screen.until("Keep it in one file.", after=at)
    at = screen.until("sent to agent/script-say", after=at)
    screen.press("nand more\x1bqs")
    assert screen.wait() == 0
    assert screen.given_back
    env = {"CCTERM_STATE_DIR": str(tmp_path / "state")}
    assert "Keep it in one file." in ccterm("logs", "last", env=env).stdout
    assert json.loads(ccterm("show", "last", "--json", env=env).stdout)["state"] == "cancelled"
    remembered = json.loads((tmp_path / "state" / "terminal.json").read_text())
    assert remembered["draft"]["prompt"] == "A draft that stays.and more"
    assert remembered["prompts"] == [TASK]
