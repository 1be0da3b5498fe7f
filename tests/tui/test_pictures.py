"""Snapshots of everything that a user can see, in two sizes. Look at a new one before you accept it."""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from tests.tui.scenarios import SCENARIOS, play, scenario_app


@pytest.fixture(autouse=True)
def _in_greenwich(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()


@pytest.mark.parametrize("size", [(80, 24), pytest.param((160, 48), marks=pytest.mark.slow)], ids=["80x24", "160x48"])
@pytest.mark.parametrize("name", SCENARIOS)
def test_screen_snapshot(name: str, size: tuple[int, int], snap_compare: Callable[..., bool], tmp_path: Path) -> None:
    assert snap_compare(scenario_app(), terminal_size=size, run_before=partial(play, SCENARIOS[name], directory=tmp_path))
