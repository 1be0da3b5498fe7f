"""A second app that is opened on the same service and brought to the same place: what it shows is what the first one should."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from textual.pilot import Pilot
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import OptionList

from ccterm.settings import Settings
from ccterm.tui.app import CctermApp
from ccterm.tui.memory import Memory
from ccterm.tui.screens.dialogs import ChoiceDialog
from ccterm.tui.screens.fleet import FleetScreen
from ccterm.tui.screens.help import HelpScreen
from ccterm.tui.screens.history import HistoryScreen
from ccterm.tui.screens.preflight import PreflightScreen
from ccterm.tui.screens.run import RunScreen
from ccterm.tui.screens.table import TableScreen
from ccterm.tui.screens.themes import ThemeScreen
from ccterm.tui.widgets.filter_line import FilterLine
from ccterm.tui.widgets.run_pane import RunPane
from ccterm.tui.widgets.run_table import RunTable
from tests.support.waiting import until
from tests.tui.fake_service import FakeService
from tests.tui.on_screen import screen_text, settle

SETTINGS = Settings.model_validate({"mode": "local"})


def app_on(service: FakeService) -> CctermApp:
    """Return an app with the clock of a service."""
    return CctermApp.provided_with(SETTINGS, memory=Memory(None), checks=False, clock=service.clock)


def behind(app: CctermApp, service: FakeService) -> list[str]:
    """Return of which runs the app does not know what the service does, or has not told its screens, and why."""
    found = [f"{run} is not told" for run in app._changed]
    for run in service.all_runs:
        view = app.runs.get(run.id)
        if (view is None) != run.reviewed:
            found.append(f"{run.label} is {'reviewed' if run.reviewed else 'missing'}")
        elif view and view.run != run:
            found += [f"{run.label} {name}: {told} != {getattr(run, name)}" for name, told in view.run if told != getattr(run, name)]
    return found


async def caught_up(pilot: Pilot[None], service: FakeService) -> None:
    """Wait until an app knows what the service does, and has done all that it was told."""
    app = pilot.app
    assert isinstance(app, CctermApp)
    await service.settle()
    app.find_new_runs()
    try:
        await until(lambda: not behind(app, service) and app.keys.idle, limit=10)
    except TimeoutError as error:
        error.add_note("\n".join(behind(app, service)))
        raise
    await settle(pilot)


async def text_at_rest(pilot: Pilot[None]) -> str:
    """Return the text of the screen once it no longer changes."""
    before, times = "", 0
    async with asyncio.timeout(10):
        while times < 3:
            await settle(pilot)
            await asyncio.sleep(0.05)
            now = screen_text(pilot.app)
            before, times = now, times + 1 if now == before else 0
    return before


@asynccontextmanager
async def opened_anew(pilot: Pilot[None], service: FakeService) -> AsyncIterator[Pilot[None]]:
    """Open another app on the service, and the same screens in it; yields its pilot once it has caught up."""
    old, new = pilot.app, app_on(service)
    assert isinstance(old, CctermApp)
    new.memory = old.memory
    async with new.run_test(size=old.size, notifications=False) as other:
        new.connected(service)
        await until(lambda: new.runs.known)
        await caught_up(other, service)
        if old.without_daemon:
            new.daemon_lost()
        new.checked, new.checking, new.selected = list(old.checked), old.checking, set(old.selected)
        new.theme, new.remotes, new.runs.last = old.theme, dict(old.remotes), old.runs.last
        new.runs._limits = dict(old.runs._limits)
        await settle(other)
        for number, screen in enumerate(old.screen_stack):
            if number:
                await new.push_screen(_like(screen, new))
                await settle(other)
            await _bring_to(screen, new.screen, other)
        await caught_up(other, service)
        yield other


def _like(screen: Screen[Any], app: CctermApp) -> Screen[Any]:
    return _MADE[type(screen)](screen, app)


_MADE: Mapping[type[Screen[Any]], Callable[..., Screen[Any]]] = {
    RunScreen: lambda old, _: RunScreen(old.run, diff=old._opened_on_diff, past=old.past),
    TableScreen: lambda old, _: TableScreen(old.words, old.query_one(RunTable).current),
    HistoryScreen: lambda *_: HistoryScreen(),
    PreflightScreen: lambda old, _: PreflightScreen(old._repo, old._branch, old.mode),
    HelpScreen: lambda _, app: HelpScreen(app.screen),
    ThemeScreen: lambda _, app: ThemeScreen(app._themes),
    ChoiceDialog: lambda old, _: ChoiceDialog(old._title, old._choices),
}


def can_be_opened_anew(screen: Screen[Any]) -> bool:
    """Whether there is a way to open the same screen in another app."""
    return type(screen) in _MADE or isinstance(screen, FleetScreen)


async def _bring_to(old: Screen[Any], new: Screen[Any], pilot: Pilot[None]) -> None:
    match old, new:
        case FleetScreen(), FleetScreen():
            await _bring_fleet_to(old, new, pilot)
        case RunScreen(), RunScreen():
            if old.shows_diff != new.shows_diff:
                new.action_diff()
                await until(lambda: old.shows_diff == new.shows_diff)
            new._showing_side = old._showing_side
            new._lay_out()
        case TableScreen(), TableScreen():
            table, made = old.query_one(RunTable), new.query_one(RunTable)
            made.sorted_by, made.backwards = table.sorted_by, table.backwards
        case HistoryScreen(), HistoryScreen():
            await _bring_history_to(old, new, pilot)
        case (ThemeScreen(), ThemeScreen()) | (ChoiceDialog(), ChoiceDialog()) | (PreflightScreen(), PreflightScreen()):
            await settle(pilot)
            new.query_one(OptionList).highlighted = old.query_one(OptionList).highlighted
        case _:
            pass
    await settle(pilot)
    new.set_focus(_same_place(old, new))
    await settle(pilot)


async def _bring_fleet_to(old: FleetScreen, new: FleetScreen, pilot: Pilot[None]) -> None:
    new.pinned = set(old.pinned)
    if old._arranged and new._arranged != old._arranged:  # a run keeps its pane
        for run in [run for run in new._panes if run not in old._arranged.panes]:
            await new._panes.pop(run).remove()
        known = [run for run in old._arranged.panes if run in new.ccterm.runs]
        await new._lay_out(old._arranged._replace(panes=tuple(known)))
    await _filter_by(old.words, new, pilot)
    new.set_reactive(FleetScreen.focused_run, old.focused_run)
    new.on_done = old.on_done
    await settle(pilot)
    new._arranged = None
    await new.rearrange()


async def _bring_history_to(old: HistoryScreen, new: HistoryScreen, pilot: Pilot[None]) -> None:
    await until(lambda: bool(new._shown) or not old._shown, limit=5)
    await _filter_by(old.words, new, pilot)
    new.unreviewed = old.unreviewed
    await settle(pilot)
    here = old.current_run()
    if here and here.run.id in new._shown:
        new.query_one("#past", OptionList).highlighted = new._shown.index(here.run.id)


async def _filter_by(words: str, screen: FleetScreen | HistoryScreen, pilot: Pilot[None]) -> None:
    if words:
        screen.query_one(FilterLine).add_class("-open")
        screen.query_one(FilterLine).value = words
        await until(lambda: screen.words == words)
        await settle(pilot)


def _same_place(old: Screen[Any], new: Screen[Any]) -> Widget | None:
    """Return what has the focus in a screen, of another one like it: the same widget, in a fleet that of the same run."""
    run = _run_of(old.focused)
    same = [widget for widget in new.query("*") if type(widget) is type(old.focused) and widget.id == getattr(old.focused, "id", None)]
    return next((widget for widget in same if _run_of(widget) == run), None)


def _run_of(widget: Widget | None) -> str:
    above = widget.ancestors_with_self if widget else ()
    return next((pane.run for pane in above if isinstance(pane, RunPane)), "")
