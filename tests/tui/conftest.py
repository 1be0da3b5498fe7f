"""A stage, and the app in front of it, without a terminal."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest
from textual.pilot import Pilot

from ccterm.settings import Settings
from ccterm.tui.app import CctermApp
from ccterm.tui.memory import Memory
from tests.tui.stage import Stage

Show = Callable[..., AbstractAsyncContextManager[Pilot[None]]]


@pytest.fixture(autouse=True)
def _in_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TZ", "UTC")


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    """A service in memory."""
    found = Stage(tmp_path / "stage")
    yield found
    await found.close()


@pytest.fixture
def show(stage: Stage) -> Show:
    """Show the app on the stage; yields its pilot."""

    @asynccontextmanager
    async def shown(size: tuple[int, int] = (120, 32), **given: object) -> AsyncIterator[Pilot[None]]:
        settings = Settings.model_validate(given.pop("settings", {"mode": "local"}))
        memory = given.pop("memory", Memory(None))
        assert isinstance(memory, Memory)
        app = CctermApp(settings, memory=memory, outlives=bool(given.get("outlives")), checks=bool(given.get("checks")), clock=stage.clock)
        await stage.settle()
        async with app.run_test(size=size, notifications=True) as pilot:
            app.reached(stage)
            await pilot.pause()
            yield pilot

    return shown
