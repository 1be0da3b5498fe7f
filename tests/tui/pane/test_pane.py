import re
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from rich.style import Style
from textual.app import App, ComposeResult
from textual.events import MouseScrollDown, MouseScrollUp
from textual.geometry import Offset, Region
from textual.pilot import Pilot
from textual.selection import Selection
from textual.strip import Strip
from textual.widgets import Input, Static

from ccterm import events
from ccterm.events import Printed, to_line
from ccterm.models import RunId
from ccterm.tui.pane import EventPane, FrameClock, MemoryStore
from ccterm.tui.pane.painter import highlighted
from ccterm.tui.pane.view import ViewportView
from tests.support.waiting import until
from tests.tui.pane.conftest import AT, Writer
from tests.tui.pane.pane_app import PaneApp, terminal_output, visible_rows

Shown = tuple[EventPane, Pilot[None]]


@pytest.fixture
async def shown(writer: Writer) -> AsyncIterator[Shown]:
    """One pane of 40×10 on a transcript of 30 lines."""
    writer.lines(30)
    app = PaneApp(writer.store)
    async with app.run_test(size=(40, 10)) as pilot:
        pane = app.query_one(EventPane)
        await shows(pane, lines(20, 30))
        yield pane, pilot


def lines(begin: int, end: int) -> list[str]:
    return [f" line {number}" for number in range(begin, end)]


async def shows(pane: EventPane, rows: Sequence[str], *, begin: int | None = None, end: int | None = None) -> None:
    """Wait until a pane shows these rows, or has them between two of its rows."""
    await until(lambda: visible_rows(pane)[begin:end] == rows)


def badge(pane: EventPane) -> str:
    """Return the text over the end of the last row."""
    return re.sub(r"^ line \d+", "", visible_rows(pane)[-1]).strip()


async def test_a_pane_follows_new_lines(shown: Shown, writer: Writer) -> None:
    pane, _ = shown
    writer.lines(2, 30)
    await shows(pane, lines(22, 32))


@pytest.mark.parametrize(
    ("keys", "first"),
    [
        (["up"], 19),
        (["k", "k"], 18),
        (["up", "up", "down"], 19),
        (["pageup"], 12),
        (["pageup", "pagedown", "j"], 20),
        (["home"], 0),
        (["g", "j"], 1),
        (["home", "end"], 20),
        (["up", "G"], 20),
        (["up", "escape"], 20),
    ],
    ids=str,
)
async def test_keys_scroll(shown: Shown, keys: list[str], first: int) -> None:
    pane, pilot = shown
    await pilot.press(*keys)
    await shows(pane, lines(first, first + 9), end=9)


async def test_a_badge_counts_new_lines_and_a_click_on_it_follows(shown: Shown, writer: Writer) -> None:
    pane, pilot = shown
    await pilot.press("up")
    await until(lambda: badge(pane).endswith("%"))
    writer.lines(18, 30)
    await until(lambda: badge(pane) == "↓ 18 new lines")
    await until(lambda: (pane.following, pane.new_lines) == (False, 18))
    await pilot.click(offset=(36, 9))
    await shows(pane, lines(38, 48))
    await until(lambda: (pane.following, pane.new_lines) == (True, 0))


async def test_it_posts_a_message_when_it_stops_and_starts_to_follow(shown: Shown) -> None:
    _, pilot = shown
    app = pilot.app
    assert isinstance(app, PaneApp)
    await pilot.press("up", "up", "end")
    await until(lambda: len(app.messages) >= 2)
    scrolled = [message for message in app.messages if isinstance(message, EventPane.Scrolled)]
    assert [(message.control.run, message.following) for message in scrolled] == [("pane0", False), ("pane0", True)]


async def test_following_can_be_set(shown: Shown) -> None:
    pane, pilot = shown
    await pilot.press("home")
    await shows(pane, lines(0, 9), end=9)
    pane.following = True
    await shows(pane, lines(20, 30))


def wheel(way: type[MouseScrollUp] | type[MouseScrollDown]) -> MouseScrollUp | MouseScrollDown:
    return way(None, 1, 1, 0, 0, 0, shift=False, meta=False, ctrl=False)


async def test_the_wheel_scrolls(shown: Shown) -> None:
    pane, _ = shown
    pane.query_one(ViewportView).post_message(wheel(MouseScrollUp))
    pane.query_one(ViewportView).post_message(wheel(MouseScrollUp))
    pane.query_one(ViewportView).post_message(wheel(MouseScrollDown))
    await shows(pane, [" line 17"], end=1)


async def test_a_search_marks_and_counts_matches_and_goes_through_them(shown: Shown) -> None:
    pane, pilot = shown
    await pilot.press("slash", *"line 1", "enter")
    await until(lambda: "▎line 19" in visible_rows(pane) and "11 of 11" in match_count(pane))
    await pilot.press("N", "N", "n")
    await until(lambda: "▎line 18" in visible_rows(pane) and "10 of 11" in match_count(pane))
    await pilot.press("escape")
    await until(lambda: not pane.query(Input))


def match_count(pane: EventPane) -> str:
    """Return the count of matches on the line below."""
    return str(pane.query(Static).last().render())


async def test_letters_typed_into_a_search_are_not_keys_of_the_pane(shown: Shown) -> None:
    pane, pilot = shown
    await pilot.press("slash", *"gGnNyw")
    await until(lambda: [each.value for each in pane.query(Input)] == ["gGnNyw"])
    assert pane.following


async def test_a_search_that_finds_nothing_says_so(shown: Shown) -> None:
    pane, pilot = shown
    await pilot.press("slash", *"zebra", "enter")
    await until(lambda: "none" in match_count(pane))
    assert pane.following


async def test_a_filter_shows_only_matching_lines(shown: Shown, writer: Writer) -> None:
    pane, pilot = shown
    writer.write(events.Notice(level="error", text="it broke"))
    await pilot.press("F", *"@error", "enter")
    await until(lambda: visible_rows(pane)[0] == " ✗ it broke" and not any(visible_rows(pane)[1:]))
    await pilot.press("escape")
    await shows(pane, [*lines(21, 30), " ✗ it broke"])


async def test_an_event_is_chosen_unfolded_and_copied(shown: Shown, writer: Writer) -> None:
    pane, pilot = shown
    writer.write(events.ToolReturned(id="a", ok=True, text="1\n2\n3\n4\n5"))
    await until(lambda: visible_rows(pane)[-1] == "   … 2 more")
    await pilot.press("left_square_bracket", "enter")
    await shows(pane, ["▎  1", "▎  2", "▎  3"], begin=6, end=9)
    await pilot.press("end")
    await shows(pane, ["▎  1", "▎  2", "▎  3", "▎  4", "▎  5"], begin=5)
    await pilot.press("y")
    await until(lambda: pilot.app.clipboard == "1\n2\n3\n4\n5")
    assert isinstance(pilot.app, PaneApp)
    copied = pilot.app.messages[-1]
    assert isinstance(copied, EventPane.Copied)
    assert copied.text == pilot.app.clipboard


async def test_a_click_chooses_an_event_and_a_second_one_unfolds_it(shown: Shown, writer: Writer) -> None:
    pane, pilot = shown
    writer.write(events.ToolReturned(id="a", ok=True, text="1\n2\n3\n4\n5"))
    await until(lambda: visible_rows(pane)[-1] == "   … 2 more")
    await pilot.click(offset=(5, 8))
    await shows(pane, ["▎  … 2 more"], begin=-1)
    await pilot.click(offset=(5, 8))
    await pilot.press("end")
    await shows(pane, ["▎  5"], begin=-1)


async def test_long_lines_are_wrapped_or_cut(shown: Shown, writer: Writer) -> None:
    pane, pilot = shown
    writer.write(events.Said(text="a word " * 10))
    await until(lambda: sum("a word" in row for row in visible_rows(pane)) == 2)
    await pilot.press("w")
    await until(lambda: sum("a word" in row for row in visible_rows(pane)) == 1)
    assert visible_rows(pane)[-1].endswith("…")


async def test_a_resize_keeps_the_position(shown: Shown) -> None:
    pane, pilot = shown
    await pilot.press("home", "down", "down")
    await pilot.resize_terminal(30, 6)
    await shows(pane, lines(2, 7), end=5)
    await until(lambda: len(visible_rows(pane)) == 6)


async def test_another_transcript_can_be_shown(shown: Shown, tmp_path: Path) -> None:
    pane, pilot = shown
    await pilot.press("home")
    pane.show(tmp_path / "transcript.ndjson", run="other")
    assert not any(visible_rows(pane))
    (tmp_path / "transcript.ndjson").write_bytes(to_line(events.Said(text="hello").stamped(seq=0, at=AT, run=RunId("other"))))
    await until(lambda: visible_rows(pane)[0] == " hello")
    assert pane.run == "other"


async def test_keys_that_do_nothing_here_are_left_to_others(shown: Shown) -> None:
    _, pilot = shown
    pilot.app.bind("n", "notify('n')")
    pilot.app.bind("enter", "notify('enter')")
    await pilot.press("n", "enter")
    await until(lambda: [toast.message for toast in pilot.app._notifications] == ["n", "enter"])


async def test_markup_is_text(shown: Shown, writer: Writer) -> None:
    pane, pilot = shown
    texts = ["[/]", "[red]x", "[link=http://x]y[/link]", "[@click=app.quit]x[/]", "\\[", "[bold"]
    writer.write(*(events.Said(text=text) for text in texts))
    await until(lambda: visible_rows(pane)[-6:] == [f" {text}" for text in texts])
    for row in range(10):
        await pilot.click(offset=(3, row))
    assert pilot.app.is_running


async def check_flood(tmp_path: Path, panes: int, batches: int, size: int) -> None:
    """Write batches of lines to many transcripts while panes show them; nothing is lost and the order is kept."""
    paths = [tmp_path / f"{number}.ndjson" for number in range(panes)]
    app = PaneApp(*paths, columns=8)
    files = [path.open("ab", buffering=0) for path in paths]
    async with app.run_test(size=(200, 50)) as pilot:
        for batch in range(batches):
            for file in files:
                text = "\n".join(f"{batch * size + line}" for line in range(size))
                file.write(to_line(Printed(stream="stdout", text=text).stamped(seq=batch, at=AT, run=RunId("r"))))
            await pilot.pause(0)
        last = str(batches * size - 1)
        await until(lambda: all(visible_rows(pane)[-1].strip() == last for pane in app.query(EventPane)))
        pane = app.query(EventPane).last()
        pane.focus()
        await pilot.press("home")
        read: list[str] = []
        while not pane.following:
            read += [row.split()[0] for row in visible_rows(pane)]  # the badge follows the last one
            pane.action_scroll_rows(pane.size.height)
            await pilot.pause(0)
        last_page = [row.strip() for row in visible_rows(pane)]
        read += last_page[len(read) - batches * size :]
        assert read == [str(number) for number in range(batches * size)]
    for file in files:
        file.close()


async def test_many_panes_under_a_flood_lose_no_line(tmp_path: Path) -> None:
    await check_flood(tmp_path, panes=32, batches=12, size=50)


@pytest.mark.slow
async def test_many_panes_and_a_million_lines_lose_no_line(tmp_path: Path) -> None:
    await check_flood(tmp_path, panes=32, batches=125, size=250)


@pytest.mark.parametrize("width", [30, 60])
async def test_rows_without_text_are_as_wide_as_the_pane_after_a_resize(width: int) -> None:
    app = PaneApp(MemoryStore())
    async with app.run_test(size=(40, 10)) as pilot:
        await pilot.pause()
        await pilot.resize_terminal(width, 10)
        view = app.query_one(ViewportView)
        await until(lambda: [strip.cell_length for strip in view.render_lines(view.size.region)] == [width] * 10)


async def test_lines_that_arrive_while_others_paint_are_painted_completely(writer: Writer) -> None:
    class Counting(ViewportView):
        requests = 0

        def render_lines(self, crop: Region) -> list[Strip]:
            self.requests += 1
            return super().render_lines(crop)

    class Alone(App[None]):
        def compose(self) -> ComposeResult:
            yield Counting(writer.store, FrameClock())

    writer.lines(30)
    app = Alone()
    async with app.run_test(size=(40, 10)) as pilot:
        await pilot.pause()
        view = app.query_one(Counting)
        view.notify_style_update()
        writer.lines(3, 30)
        view.render_lines(view.size.region)  # as when a toast disappears from some of its rows
        requests = view.requests
        await until(lambda: view.requests > requests)


async def test_text_is_selected_with_the_mouse_and_copied_while_lines_come(shown: Shown, writer: Writer) -> None:
    pane, pilot = shown
    view = pane.query_one(ViewportView)
    await pilot.mouse_down(view, offset=(3, 2))
    await pilot.hover(view, offset=(5, 4))
    await pilot.mouse_up(view, offset=(5, 4))
    writer.lines(5, 30)
    await until(lambda: pane.screen.get_selected_text() == "ne 22\nline 23\nline")
    assert visible_rows(pane)[0] == " line 20"
    assert "ctrl+c copy" in terminal_output(pane)
    assert view.viewport.cursor is None
    await pilot.press("escape")
    await until(lambda: visible_rows(pane)[0] == " line 25")


async def test_a_selection_excludes_margins_and_counts_wide_characters_by_cells(writer: Writer) -> None:
    writer.write(events.Said(text="\u65e5\u672c yes"), events.Said(text="no"))
    app = PaneApp(writer.store)
    async with app.run_test(size=(40, 10)):
        await until(lambda: visible_rows(app.query_one(EventPane))[0] != "")
        view = app.query_one(ViewportView)
        assert view.get_selection(Selection(None, None)) == ("\u65e5\u672c yes\nno" + "\n" * 8, "\n")
        assert view.get_selection(Selection(Offset(2, 0), Offset(6, 0))) == ("\u672c ye", "\n")
        assert [strip.cell_length for strip in highlighted(view._strips, Selection(None, None), Style(bold=True))] == [40] * 10
