"""Snapshots of everything that a user can see, in two or three sizes. Look at a new one before you accept it."""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from tests.tui.playing import play, scenario_app
from tests.tui.scenarios import OF_ALL_WIDTHS, SCENARIOS

SMALL, LARGE, USUAL, WIDE = (80, 24), (160, 48), (120, 34), (200, 50)
COSTLY = {
    "themes", "launch_continued", "launch_wrong", "selected", "batch_wrong", "table_filtered", "run_diff_read", "run_facts", "live_diff", "fleet_sixteen", "cancelling",
    "tools", "launch_default_branch", "palette_words", "run_diff_sixteen", "refusing",
    "sealed_facts", "launch_network_wrong", "batch", "launch", "launch_several", "conflicting", "reading_diff",
}  # fmt: skip
"""Pictures that are slow even when they are small; each shows a screen that another one shows as well."""
PICTURES = [
    pytest.param(name, size, id=f"{name}-{size[0]}x{size[1]}", marks=[] if size == SMALL and name not in COSTLY else [pytest.mark.slow])
    for name in SCENARIOS
    for size in ((SMALL, USUAL, WIDE) if name in OF_ALL_WIDTHS else (SMALL, LARGE))
]


@pytest.fixture(autouse=True)
def _in_greenwich(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()


@pytest.mark.parametrize(("name", "size"), PICTURES)
def test_screen_snapshot(name: str, size: tuple[int, int], snap_compare: Callable[..., bool], tmp_path: Path) -> None:
    assert snap_compare(scenario_app(), terminal_size=size, run_before=partial(play, SCENARIOS[name], directory=tmp_path))
