"""How scenarios are played: an app with a clock of its own, and the runs that several of them show."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path

from textual.pilot import Pilot
from textual.widgets import Input, TextArea

from ccterm.events import Finished, Held, Said, Started, StepStarted, ToolCalled, Typing
from ccterm.models import State
from ccterm.settings import Settings
from ccterm.tui.app import CctermApp
from ccterm.tui.memory import Memory
from tests.support.waiting import until
from tests.tui.fake_service import NOON, Clock, FakeService
from tests.tui.on_screen import as_ccterm, wait_for_text
from tests.tui.run_events import fail, push, refuse, start_agent, wait_for_input

Scenario = Callable[[FakeService, Pilot[None]], Awaitable[None]]
LATER = timedelta(minutes=4, seconds=12)


def scenario_app() -> CctermApp:
    """Return an app whose clock is a few minutes past all events."""
    memory = Memory(None)
    memory.launched({"repo": "~/code/shop", "prompt": "Round the totals in one place"})
    return CctermApp.provided_with(
        Settings.model_validate({"mode": "local"}), memory=memory, detached=True, checks=False, clock=Clock(NOON + LATER)
    )


async def play(scenario: Scenario, pilot: Pilot[None], *, directory: Path) -> None:
    """Play a scenario up to the moment that is to be shown."""
    service = FakeService(directory)
    await scenario(service, pilot)
    for screen in pilot.app.screen_stack:  # a dialog leaves some of the screen below it visible
        for blinking in [*screen.query(Input), *screen.query(TextArea)]:
            blinking.cursor_blink = False
            blinking.notify_style_update()  # else a line that was painted with the cursor hidden would be shown
    await pilot.pause()
    await service.close()


async def open_app(service: FakeService, pilot: Pilot[None], *texts: str, keys: str = "") -> None:
    """Connect the app to the service, press keys, and wait for texts."""
    await service.settle()
    assert isinstance(pilot.app, CctermApp)
    pilot.app.connected(service)
    await pilot.pause()
    if len(service.calls) == 0 and (runs := await service.runs()):
        await until(lambda: len(as_ccterm(pilot).runs) == len(runs))
    await pilot.press(*keys.split())
    await wait_for_text(pilot, *texts)


def four(service: FakeService) -> None:
    """Add four runs: one running, one waiting for input, one failed, one starting."""
    run = start_agent(service, service.add_run("feature/login", prompt="Limit the rate of logins per user, with tests.", model="sonnet"))
    service.emit(
        run.id,
        Said(text="The refresh path still trusts the old cookie."),
        ToolCalled(id="9", name="Bash", summary="pytest -q"),
        Typing(text="I'll fix that n"),
    )
    wait_for_input(service, service.add_run("feature/search", prompt="Search is too slow with many products; build an index."))
    fail(service, service.add_run("fix/rounding", prompt="Totals show too many digits."))
    service.emit(service.add_run("chore/deps", prompt="Update what is outdated.").id, Started(), StepStarted(step="setup"))


def twelve(service: FakeService) -> None:
    """Add twelve runs, in every state there is."""
    four(service)
    push(service, service.add_run("docs/api", prompt="Document the API."))
    refuse(service, service.add_run("chore/settings", prompt="Take the settings from the shared directory."))
    start_agent(service, service.add_run("perf/images", prompt="Images are too large."), text="Most of the weight is in three pictures.")
    service.emit(service.add_run("perf/cache").id)
    service.emit(service.add_run("feature/export").id, Held(reason="branch busy"))
    push(service, service.add_run("fix/typo"))
    service.emit(service.add_run("feature/old").id, Finished(state=State.CANCELLED, summary="cancelled by the user"))
    start_agent(
        service,
        service.add_run("test/flaky", prompt="Find out why the tests fail now and then."),
        text="It fails once in twenty runs; I'll look at the clock.",
    )


def many(service: FakeService) -> None:
    """Add more runs than a screen has panes, most of them done, one without a branch, one with a long one."""
    twelve(service)
    for name in ("feature/prices", "feature/search-index", "docs/install"):
        push(service, service.add_run(name))
    wait_for_input(service, service.add_run("feature/import-products-from-the-old-shop-without-pictures"))
    start_agent(service, service.add_run("", prompt="Remove the code that nobody calls", repo="/home/ann/shop", mode="testing"))
    for number in range(4):
        service.emit(service.add_run(f"perf/query-{number}").id, Held(reason="waiting for a free slot", turn=True))
