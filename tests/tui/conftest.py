"""A fake service, and the app connected to it, without a terminal."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest
from textual.pilot import Pilot

from ccterm.settings import Settings
from ccterm.tui.app import CctermApp
from ccterm.tui.memory import Memory
from ccterm.tui.screens.fleet import FleetScreen
from tests.support.waiting import until
from tests.tui.fake_service import FakeService

Show = Callable[..., AbstractAsyncContextManager[Pilot[None]]]


@pytest.fixture(autouse=True)
def _in_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TZ", "UTC")


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[FakeService]:
    """A fake service."""
    found = FakeService(tmp_path / "service")
    yield found
    await found.close()


@pytest.fixture
def show(service: FakeService) -> Show:
    """Run the app, connected to the service; yields its pilot once a run has the focus, if there is any."""

    @asynccontextmanager
    async def shown(size: tuple[int, int] = (120, 32), **given: object) -> AsyncIterator[Pilot[None]]:
        settings = Settings.model_validate(given.pop("settings", {"mode": "local"}))
        memory = given.pop("memory", Memory(None))
        assert isinstance(memory, Memory)
        app = CctermApp.provided_with(
            settings,
            memory=memory,
            detached=bool(given.get("detached")),
            checks=bool(given.get("checks")),
            keeps=bool(given.get("keeps", True)),
            clock=service.clock,
        )
        await service.settle()
        async with app.run_test(size=size, notifications=True) as pilot:
            app.connected(service)
            if await service.runs():
                await until(lambda: not isinstance(app.screen, FleetScreen) or app.screen.current_run())
            await pilot.pause()
            yield pilot

    return shown
