"""The output of a pane never controls the terminal, whatever is in the transcript."""

import random
import re
from collections.abc import Callable

import pytest
from rich.cells import cell_len
from textual.color import Color
from textual.filter import ANSIToTruecolor, LineFilter, Monochrome, NoColor

from ccterm import events
from ccterm.tui.pane import EventPane
from ccterm.tui.pane.painter import STYLES, Painter
from ccterm.tui.pane.rows import rows
from tests.output.hostile import HOSTILE
from tests.support.waiting import until
from tests.tui.pane.conftest import Writer
from tests.tui.pane.pane_app import PaneApp, terminal_output, visible_rows

OURS = re.compile(r"\x1b\[[0-9;]*m")
PIECES = [*(pair[0] for pair in HOSTILE.values()), "text ", "日本", "\n", "[red]", "🏳️‍🌈", "e\u0301"]


async def check_inert(writer: Writer, texts: list[str]) -> None:
    """Show texts as every kind of event that carries one, and check what is sent to the terminal."""
    app = PaneApp(writer.store)
    async with app.run_test(size=(50, 12)) as pilot:
        pane = app.query_one(EventPane)
        for number, text in enumerate(texts):
            writer.write(
                events.Said(text=text, agent=text),
                events.Printed(stream="stderr", text=text),
                events.ToolCalled(id=text, name=text, summary=text),
                events.ToolReturned(id=text, ok=False, text=text),
                events.Notice(level="warn", text=f"{text} end {number}"),
                events.Typing(text=text),
            )
            pane.refresh_rows()
            sent = OURS.sub("", terminal_output(pane)).split("\n")
            assert [cell_len(row) for row in sent] == [50] * 12
            assert all(row.isprintable() for row in sent)
        writer.write(events.Said(text="all is well"))
        await until(lambda: " all is well" in visible_rows(pane))
        await pilot.pause()
        assert pilot.app.is_running


async def test_named_sequences_are_inert(writer: Writer) -> None:
    await check_inert(writer, PIECES)


async def test_random_mixtures_of_them_are_inert(writer: Writer) -> None:
    dice = random.Random(7)
    await check_inert(writer, [mixture(dice) for _ in range(60)])


@pytest.mark.slow
async def test_many_random_mixtures_are_inert(writer: Writer, rounds: Callable[[int], int]) -> None:
    dice = random.Random()
    await check_inert(writer, [mixture(dice) for _ in range(rounds(5000))])


def mixture(dice: random.Random) -> str:
    """Return random pieces, each cut anywhere."""
    text = "".join(dice.choices(PIECES, k=dice.randrange(1, 12)))
    begin = dice.randrange(len(text) + 1)
    return text[begin:] + text[:begin]


@pytest.mark.parametrize(
    ("filters", "colours"),
    [([], True), ([Monochrome()], False), ([NoColor()], False)],
    ids=["colours", "monochrome", "no colour"],
)
def test_colours_are_left_to_the_filters_of_the_app(filters: list[LineFilter], colours: bool) -> None:
    from rich.style import Style

    styles = {"": Style.parse("#e0e0e0 on #101010"), **{name: Style.parse("#ff0000") for name in STYLES}}
    painter = Painter(styles, filters, Color.parse("#101010"), 22)
    [row] = rows(events.Notice(level="error", text="it broke"), 20)
    for strip in (painter.strip(row), painter.with_badge(painter.strip(row), " 9 % ")):
        found = {segment.style.color.triplet for segment in strip if segment.style and segment.style.color}
        assert any(colour and colour.red > colour.green for colour in found) is colours
        assert strip.cell_length == 22


def test_an_app_may_use_the_terminals_own_colours() -> None:
    from rich import terminal_theme
    from rich.style import Style

    styles = {name: Style.parse("red on black") for name in ("", *STYLES)}
    painter = Painter(styles, [ANSIToTruecolor(terminal_theme.MONOKAI)], Color.parse("#000000"), 22)
    [row] = rows(events.Notice(level="error", text="it broke"), 20)
    assert all(segment.style and segment.style.color and segment.style.color.triplet for segment in painter.strip(row))
