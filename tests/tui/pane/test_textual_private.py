"""The private parts of Textual that the frame clock looks at: that they are there, and that it works without them."""

from textual.app import App, ComposeResult
from textual.drivers.linux_driver import LinuxDriver
from textual.geometry import Size
from textual.widgets import Static

from ccterm.tui.pane.textual_private import frames_waiting, lay_out_once, rows_in_place, watch_passes
from tests.tui.pane.slow_terminal import SlowTerminal


class Changing(App[None]):
    def compose(self) -> ComposeResult:
        yield Static("one")


async def test_every_pass_of_the_compositor_is_timed() -> None:
    took: list[float] = []
    app = Changing()
    async with app.run_test() as pilot:
        assert watch_passes(app.screen, took.append)
        app.query_one(Static).update("two")
        await pilot.pause()
        assert took
        assert all(seconds > 0 for seconds in took)


async def test_a_screen_without_that_part_is_left_alone() -> None:
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

        app.screen._refresh_layout = counted  # type: ignore[method-assign]  # what the screen is told is what is looked at
        assert lay_out_once(app.screen)
        await pilot.resize_terminal(100, 30)
        await pilot.resize_terminal(80, 24)
        await pilot.pause()
        assert done == [Size(100, 30), Size(80, 24)]
        assert app.query_one(Static).size.width == 80


async def test_a_screen_that_cannot_be_looked_at_lays_itself_out_as_ever() -> None:
    assert not lay_out_once(object())


async def test_frames_that_wait_are_counted() -> None:
    app = SlowTerminal(3)
    async with app.run_test() as pilot:
        await pilot.pause()
        assert frames_waiting(app) == 3


async def test_the_driver_of_a_terminal_has_such_a_writer() -> None:
    driver = LinuxDriver(Changing())
    assert "_writer_thread" in vars(driver)


async def test_where_nothing_can_be_told_nothing_waits() -> None:
    app = Changing()
    async with app.run_test():
        assert frames_waiting(app) == 0


async def test_rows_are_left_to_textual_where_there_is_no_terminal() -> None:
    app = Changing()
    async with app.run_test():
        widget = app.query_one(Static)
        assert rows_in_place(widget, widget.render_lines(widget.size.region)) == ""
