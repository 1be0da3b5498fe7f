"""Keys that come faster than the screen do what they would do slowly: none overtakes another, and none goes to the screen below."""

import asyncio
from collections.abc import Sequence

import pytest
from textual.app import App
from textual.events import Key, Paste
from textual.keys import _character_to_key
from textual.pilot import Pilot
from textual.widget import Widget
from textual.widgets import TextArea

from ccterm.models import Run
from ccterm.service.protocol import Service
from ccterm.tui.memory import Memory
from ccterm.tui.screens.fleet import FleetScreen
from ccterm.tui.screens.help import HelpScreen
from ccterm.tui.screens.launch import LaunchScreen
from ccterm.tui.screens.run import RunScreen
from ccterm.tui.widgets.answer_box import AnswerBox
from ccterm.tui.widgets.run_pane import RunPane
from tests.support.waiting import until
from tests.tui.conftest import Show
from tests.tui.fake_service import FakeService
from tests.tui.on_screen import as_ccterm, screen_text, wait_for_text
from tests.tui.run_events import ask_permission, offer_changes, start_agent

NAMES = {"\r": "enter", "\x1b": "escape", "\x13": "ctrl+s", "\t": "tab", "\x0f": "ctrl+o", " ": "space", "\x10": "ctrl+p"}


def burst(app: App[None], keys: str) -> None:
    """Send keys as they come in one read."""
    for key in keys:
        app.post_message(Key(NAMES.get(key) or _character_to_key(key), key if key.isprintable() else None))


async def after(pilot: Pilot[None], kind: type) -> None:
    """Wait until a screen of this kind is there, and all keys have been taken."""
    await until(lambda: isinstance(pilot.app.screen, kind))
    await pilot.pause()


@pytest.mark.parametrize(
    ("keys", "called"),
    [
        ("shello there\r", [("steer", "hello there")]),
        ("sone\rstwo\r", [("steer", "one"), ("steer", "two")]),
        ("cs", [("cancel", "keep")]),
        ("c\x1bsgo on\r", [("steer", "go on")]),
        ("\r\x1bsback\r", [("steer", "back")]),
        ("?\x1bshelped\r", [("steer", "helped")]),
        ("fone\rsfiltered\r", [("steer", "filtered")]),
        ("/word\rssearched\r", [("steer", "searched")]),
        ("p\x1bschecked\r", [("steer", "checked")]),
        ("nFix it\x1bsdraft\r", [("steer", "draft")]),
        ("n\x0f\x1b\x1bsfile\r", [("steer", "file")]),
        ("\x10hold\rspalette\r", [("hold",), ("steer", "palette")]),
    ],
    ids=lambda value: value.encode("unicode_escape").decode() if isinstance(value, str) else "",
)
async def test_a_burst_lands_where_it_would_land_slowly(
    keys: str, called: Sequence[tuple[str, ...]], show: Show, service: FakeService
) -> None:
    run = start_agent(service, service.add_run("one"))
    async with show() as pilot:
        burst(pilot.app, keys)
        await until(lambda: [call for call in service.calls if call[0] in ("steer", "cancel", "hold")] == _calls(called, run))
        await after(pilot, FleetScreen)


def _calls(called: Sequence[tuple[str, ...]], run: Run) -> list[tuple[str, ...]]:
    return [(name, run.id, *more) for name, *more in called]


async def test_what_is_written_below_a_transcript_lands_there(show: Show, service: FakeService) -> None:
    run = start_agent(service, service.add_run("one"))
    ask_permission(service, run)
    async with show() as pilot:
        burst(pilot.app, "nnot yet, young one\rsand ask me first\rc\x1b")
        await until(lambda: len(service.calls) == 2)
        assert service.calls == [
            ("decide", run.id, "q1", "deny", "not yet, young one"),
            ("steer", run.id, "and ask me first"),
        ]


@pytest.mark.parametrize("kind", [AnswerBox, RunPane])
async def test_a_dialog_can_paint_what_was_just_removed_below_it(kind: type[Widget], show: Show, service: FakeService) -> None:
    start_agent(service, service.add_run("one"))
    async with show() as pilot:
        await wait_for_text(pilot, "▌#1")
        await pilot.press("s")
        await wait_for_text(pilot, "Message to")
        removed = pilot.app.screen.query_one(kind)
        parts = [removed, *removed.query("*")]
        await removed.remove()
        for part in parts:
            part.notify_style_update()
        assert "Message to" not in screen_text(pilot.app)


async def test_keys_that_come_while_the_app_ends_are_dropped(show: Show, service: FakeService) -> None:
    async with show() as pilot:
        burst(pilot.app, "qnlost\x13")
        await until(lambda: not pilot.app.is_running)
    assert service.calls == []


@pytest.mark.slow
async def test_a_task_is_written_launched_and_the_next_one_too(show: Show, service: FakeService) -> None:
    async with show() as pilot:
        burst(pilot.app, "nFix the rounding\x13nAdd a LICENSE\x13?")
        await after(pilot, HelpScreen)
        assert service.calls == [("submit", "agent/fix-rounding", "Fix the rounding"), ("submit", "agent/add-license", "Add a LICENSE")]


async def test_keys_before_the_service_is_there_are_not_lost(service: FakeService, show: Show) -> None:
    async with show() as pilot:
        app = as_ccterm(pilot)
        app.service = None
        app.reached.clear()
        burst(app, "nFix it\x13")
        await wait_for_text(pilot, "connecting…")
        app.service = service
        app.reached.set()
        await until(lambda: ("submit", "agent/fix", "Fix it") in service.calls)


async def test_keys_wait_for_a_dialog_that_has_to_be_asked_for(show: Show, service: FakeService) -> None:
    offer_changes(service)
    async with show() as pilot:
        burst(pilot.app, "aa")
        await until(lambda: [call[0] for call in service.calls] == ["apply"])


async def test_long_text_arrives_whole_and_in_order(show: Show) -> None:
    text = "".join(f"word{number} " for number in range(200))
    async with show(memory=Memory(None)) as pilot:
        burst(pilot.app, f"n{text}")
        pilot.app.post_message(Paste("pasted"))
        burst(pilot.app, "!")
        await after(pilot, LaunchScreen)
        await until(lambda: pilot.app.screen.query_one(TextArea).text == f"{text}pasted!")


async def test_a_key_that_takes_too_long_lets_the_next_one_through(show: Show, service: FakeService) -> None:
    start_agent(service, service.add_run("one"))
    async with show() as pilot:
        app = as_ccterm(pilot)
        app.perform(_for_ever, opens=True)
        burst(app, "f\x1b\r")
        await after(pilot, RunScreen)


async def _for_ever(service: Service) -> str:
    await asyncio.Event().wait()
    return ""
