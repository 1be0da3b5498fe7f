"""The private parts of Textual that ccterm uses: that they exist, and that everything works without each of them."""

import ast
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from textual._compositor import Compositor
from textual._xterm_parser import XTermParser
from textual.app import App, ComposeResult
from textual.containers import VerticalScroll
from textual.driver import Driver
from textual.drivers import linux_driver
from textual.drivers._writer_thread import WriterThread
from textual.drivers.linux_driver import LinuxDriver
from textual.events import Key
from textual.geometry import Size
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Static

from ccterm.output.own_text import remember
from ccterm.settings import Settings
from ccterm.tui import textual_private
from ccterm.tui.app import CctermApp
from ccterm.tui.memory import Memory
from ccterm.tui.pane.view import ViewportView
from ccterm.tui.textual_private import (
    QuietCrash,
    frames_waiting,
    keep_escape_apart,
    lay_out_once,
    rows_in_place,
    send,
    watch_passes,
    write_to_terminal,
)
from tests.support.waiting import until
from tests.tui.fake_service import FakeService
from tests.tui.on_screen import wait_for_text
from tests.tui.pane.conftest import Writer
from tests.tui.pane.pane_app import PaneApp
from tests.tui.pane.recording_driver import RecordingDriver
from tests.tui.pane.slow_terminal import SlowTerminal
from tests.tui.run_events import start_agent

OWNERS = (App, Screen, Compositor, Driver, WriterThread, XTermParser)


def private_names() -> list[str]:
    """Return the names of all private attributes that the module uses."""
    nodes = list(ast.walk(ast.parse(Path(textual_private.__file__).read_text("utf-8"))))
    attributes = {node.attr for node in nodes if isinstance(node, ast.Attribute) and node.attr.startswith("_")}
    named = {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith("_")}
    return sorted(attributes | named)


PRIVATE = private_names()


def hide(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Take attributes away from Textual's objects, as ccterm's module sees them; Textual itself still needs them."""
    for owner in OWNERS:
        monkeypatch.setattr(owner, "__getattribute__", _without(names, owner.__getattribute__))


def _without(names: tuple[str, ...], get: Callable[[object, str], object]) -> Callable[[object, str], object]:
    def get_others(owner: object, name: str) -> object:
        if name in names and sys._getframe(1).f_globals["__name__"] == textual_private.__name__:
            raise AttributeError(name)
        return get(owner, name)

    return get_others


class Changing(App[None]):
    def compose(self) -> ComposeResult:
        yield Static("one")


def recorded(app: App[None], width: int, height: int) -> list[str]:
    driver = app._driver
    assert isinstance(driver, RecordingDriver)
    return driver.rows(width, height)


def lines(begin: int, end: int) -> list[str]:
    return [f" line {number}" for number in range(begin, end)]


def test_the_names_are_found() -> None:
    assert {"_driver", "_begin_update", "_compositor_refresh", "_queue"} <= set(PRIVATE)


@pytest.mark.first_is_fast
@pytest.mark.parametrize(
    "missing", [(), *((name,) for name in PRIVATE), ("visible_widgets",), tuple(PRIVATE)], ids=lambda names: "+".join(names) or "nothing"
)
async def test_a_pane_paints_follows_scrolls_and_resizes_without(missing: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    hide(monkeypatch, *missing)
    writer = Writer()
    writer.lines(30)
    app = PaneApp(writer.store, driver_class=RecordingDriver)
    async with app.run_test(headless=False, size=(40, 10)) as pilot:
        await until(lambda: recorded(app, 40, 10) == lines(20, 30))
        writer.lines(5, 30)
        await until(lambda: recorded(app, 40, 10) == lines(25, 35))
        await pilot.press("home")
        await until(lambda: recorded(app, 40, 9) == lines(0, 9))
        await pilot.resize_terminal(30, 6)
        await until(lambda: recorded(app, 30, 5) == lines(0, 5))
        await pilot.press("end")
        await until(lambda: recorded(app, 30, 6) == lines(29, 35))


async def test_the_whole_app_works_without_any(service: FakeService, monkeypatch: pytest.MonkeyPatch) -> None:
    hide(monkeypatch, *PRIVATE, "visible_widgets")
    start_agent(service, service.add_run("feature/login"))
    await service.settle()
    app = CctermApp.provided_with(Settings.model_validate({"mode": "local"}), memory=Memory(None), checks=False, clock=service.clock)
    app.driver_class = RecordingDriver
    async with app.run_test(headless=False, size=(100, 30)) as pilot:
        app.connected(service)
        await wait_for_text(pilot, "feature/login", "session middleware")
        await until(lambda: any("session middleware" in row for row in recorded(app, 100, 30)))
        await pilot.press("s")
        await until(lambda: any("Message to feature/login" in row for row in recorded(app, 100, 30)))


async def test_with_all_of_them_rows_go_past_the_compositor() -> None:
    writer = Writer()
    app = PaneApp(writer.store, driver_class=RecordingDriver)
    async with app.run_test(headless=False, size=(40, 10)) as pilot:
        writer.lines(30)
        await until(lambda: recorded(app, 40, 10) == lines(20, 30))
        await pilot.pause()
        view = app.query_one(ViewportView)
        assert rows_in_place(view, view.render_lines(view.size.region)).startswith("\x1b[1;1H")


@pytest.mark.parametrize("missing", ["_driver", "_begin_update", "_end_update"])
async def test_send_has_textual_paint_where_it_cannot_write(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    app = Changing(driver_class=RecordingDriver)
    async with app.run_test(headless=False, size=(40, 10)):
        await until(lambda: recorded(app, 40, 1) == ["one"])
        send(app.screen.app, "\x1b[1;1Hrow")
        assert recorded(app, 40, 1) == ["row"]
        hide(monkeypatch, missing)
        send(app.screen.app, "\x1b[1;1Hleft out")
        await until(lambda: recorded(app, 40, 1) == ["one"])


async def test_a_control_sequence_is_left_out_where_there_is_no_way_to_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    app = Changing(driver_class=RecordingDriver)
    async with app.run_test(headless=False, size=(40, 10)):
        await until(lambda: recorded(app, 40, 1) == ["one"])
        write_to_terminal(app, "\x1b[3;1Hwritten")
        assert "written" in recorded(app, 40, 10)
        hide(monkeypatch, "_driver")
        write_to_terminal(app, "\x1b[4;1Hleft out")
        assert "left out" not in recorded(app, 40, 10)


@pytest.mark.parametrize(
    ("reads", "keys"),
    [
        (("\x1bn",), "escape n"),
        (("\x1bfilter\r",), "escape f i l t e r enter"),
        (("a\x1b\r\x1b\x1b/b",), "a escape enter escape escape slash b"),
        (("\x1bP",), "escape P"),
        (("a\x1b", "n"), "a escape n"),
        (("a\x1b", "[A"), "a up"),
        (("\x1b[", "A\x1bOB\x1b[27u\x1bq"), "up down escape escape q"),
        (("\x1b[<0;3;4M\x1bq",), "escape q"),
        (("\x1bf",), "ctrl+right"),
        (("\x1b[200~a\x1b[201~\x1b[A",), "up"),
        (("\x1b",), ""),
    ],
    ids=lambda value: "" if isinstance(value, str) else "+".join(value).encode("unicode_escape").decode(),
)
def test_an_escape_and_the_key_behind_it_in_one_read_are_two_keys(reads: Sequence[str], keys: str) -> None:
    assert keep_escape_apart()
    parser = vars(linux_driver)["XTermParser"]()
    found = [event for data in reads for event in parser.feed(data)]
    assert " ".join(event.key for event in found if isinstance(event, Key)) == keys


def test_keys_are_read_as_usual_where_the_parser_is_another_one(monkeypatch: pytest.MonkeyPatch) -> None:
    hide(monkeypatch, "_timeout_time")
    assert not keep_escape_apart()


async def test_every_pass_of_the_compositor_is_timed() -> None:
    took: list[float] = []
    app = Changing()
    async with app.run_test():
        assert watch_passes(app.screen, took.append)
        app.query_one(Static).update("two")
        await until(lambda: took)
        assert all(seconds > 0 for seconds in took)


async def test_a_screen_that_cannot_be_watched_is_left_alone() -> None:
    class Other:
        __slots__ = ("_compositor_refresh",)

    took: list[float] = []
    assert not watch_passes(Other(), took.append)


async def test_a_screen_is_laid_out_once_for_each_size() -> None:
    app = Changing()
    async with app.run_test(size=(80, 24)) as pilot:
        done: list[Size] = []
        lay_out = app.screen._refresh_layout

        def counted(size: Size | None = None, scroll: bool = False) -> None:
            done.extend([size] if size else [])
            lay_out(size, scroll)

        app.screen._refresh_layout = counted  # type: ignore[method-assign]  # counts the layouts
        assert lay_out_once(app.screen)
        await pilot.resize_terminal(100, 30)
        await pilot.resize_terminal(80, 24)
        await until(lambda: len(done) >= 2 and app.query_one(Static).size.width == 80)
        assert done == [Size(100, 30), Size(80, 24)]


async def test_panes_of_another_size_are_laid_out_once(monkeypatch: pytest.MonkeyPatch) -> None:
    app = PaneApp(Writer().store, Writer().store, columns=2)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        sizes: list[Size] = []
        lay_out = app.screen._compositor.reflow

        def reflow(parent: Widget, size: Size) -> object:
            sizes.append(size)
            return lay_out(parent, size)

        monkeypatch.setattr(app.screen._compositor, "reflow", reflow)
        await pilot.resize_terminal(100, 30)
        await until(lambda: app.query(ViewportView).last().region.bottom_right == (100, 30))
        assert sizes == [Size(100, 30)]


async def test_what_has_to_scroll_in_its_new_size_gets_its_scrollbar() -> None:
    class Long(PaneApp):
        def compose(self) -> ComposeResult:
            yield from super().compose()
            yield VerticalScroll(*(Static(f"line {number}") for number in range(12)))

    app = Long(Writer().store)
    async with app.run_test(size=(80, 40)) as pilot:
        await pilot.pause()
        assert not app.query_one(VerticalScroll).show_vertical_scrollbar
        await pilot.resize_terminal(80, 16)
        await until(lambda: app.query_one(VerticalScroll).show_vertical_scrollbar)
        assert app.query_one(VerticalScroll).scrollable_content_region.width < 80


async def test_a_screen_of_another_kind_is_laid_out_as_usual() -> None:
    assert not lay_out_once(object())


async def test_waiting_frames_are_counted() -> None:
    app = SlowTerminal(3)
    async with app.run_test() as pilot:
        await pilot.pause()
        assert frames_waiting(app) == 3


@pytest.mark.parametrize("missing", ["_driver", "_writer_thread", "_queue"])
async def test_no_frames_wait_where_that_is_unknown(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    app = SlowTerminal(3)
    async with app.run_test() as pilot:
        await pilot.pause()
        hide(monkeypatch, missing)
        assert frames_waiting(app) == 0


async def test_the_driver_of_a_terminal_has_a_writer_thread() -> None:
    driver = LinuxDriver(Changing())
    assert "_writer_thread" in vars(driver)


async def test_textual_paints_the_rows_where_there_is_no_terminal() -> None:
    app = Changing()
    async with app.run_test():
        widget = app.query_one(Static)
        assert rows_in_place(widget, widget.render_lines(widget.size.region)) == ""


class Crashing(QuietCrash):
    def on_mount(self) -> None:
        password = "swordf1sh-and-more"
        remember([("PASSWORD", password)])
        raise RuntimeError(f"no such {password}")


async def test_a_crash_is_one_sentence_without_local_variables(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    app = Crashing()
    await app.run_async(headless=True)
    told = " ".join(capsys.readouterr().err.split())
    assert told == "ccterm: RuntimeError: no such [masked:PASSWORD]; this is a bug in ccterm, please report it with its log"
    assert app.return_code == 1
    assert [record.message for record in caplog.records] == ["the terminal crashed"]
