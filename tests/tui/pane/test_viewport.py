"""What a pane shows of a transcript: its end, or wherever one has scrolled to, at any size."""

import random
from pathlib import Path

import pytest

from ccterm import events
from ccterm.tui.code import Lexers
from ccterm.tui.pane.rendering import KEPT_ROWS
from ccterm.tui.pane.source import FileStore
from ccterm.tui.pane.viewport import Viewport
from tests.tui.pane.conftest import MakeViewport, Writer, lines, shown


def test_the_end_is_followed(writer: Writer, make_viewport: MakeViewport) -> None:
    writer.lines(30)
    viewport = make_viewport()
    assert shown(viewport) == lines(20, 30)
    writer.lines(3, 30)
    assert shown(viewport) == lines(23, 33)


def test_new_lines_do_not_move_a_scrolled_view(writer: Writer, make_viewport: MakeViewport) -> None:
    writer.lines(30)
    viewport = make_viewport()
    viewport.scroll(-5)
    assert shown(viewport) == lines(15, 25)
    writer.lines(7, 30)
    assert shown(viewport) == lines(15, 25)
    assert (viewport.following, viewport.new_lines) == (False, 7)


def test_scrolling_past_the_end_follows_again(writer: Writer, make_viewport: MakeViewport) -> None:
    writer.lines(30)
    viewport = make_viewport()
    viewport.scroll(-5)
    viewport.scroll(5)
    assert shown(viewport) == lines(20, 30)
    viewport.scroll(1)
    writer.lines(1, 30)
    assert shown(viewport) == lines(21, 31)


def test_scrolling_stops_at_the_start(writer: Writer, make_viewport: MakeViewport) -> None:
    writer.lines(30)
    viewport = make_viewport()
    viewport.scroll(-500)
    assert shown(viewport) == lines(0, 10)
    viewport.scroll(3)
    assert shown(viewport) == lines(3, 13)
    viewport.scroll_to_start()
    assert shown(viewport) == lines(0, 10)


def test_scrolling_inside_a_long_event_is_exact(writer: Writer, make_viewport: MakeViewport) -> None:
    writer.write(events.Said(text="\n".join(lines(0, 900))))
    viewport = make_viewport()
    viewport.scroll_to_start()
    assert shown(viewport) == lines(0, 10)
    viewport.scroll(700)
    assert shown(viewport) == lines(700, 710)
    viewport.resize(30, 10)
    assert shown(viewport) == lines(700, 710)
    viewport.scroll(-695)
    assert shown(viewport) == lines(5, 15)


def test_a_short_transcript_has_nothing_to_scroll(writer: Writer, make_viewport: MakeViewport) -> None:
    writer.lines(3)
    viewport = make_viewport()
    viewport.scroll(-2)
    assert viewport.following
    assert shown(viewport) == lines(0, 3)


@pytest.mark.parametrize("seed", range(8))
def test_any_sequence_of_scrolling_shows_consecutive_rows(writer: Writer, make_viewport: MakeViewport, seed: int) -> None:
    dice = random.Random(seed)
    texts = ["\n".join(f"{n}.{m} " + "word " * dice.randrange(20) for m in range(dice.randrange(1, 30))) for n in range(40)]
    for text in texts:
        writer.write(events.Said(text=text) if dice.random() < 0.5 else events.Printed(stream="stdout", text=text))
    whole = shown(make_viewport(40, 100_000))
    viewport = make_viewport(40, 10)
    at = len(whole) - 10
    for _ in range(40):
        by = dice.choice([-1, 1, -9, 9, -200, 200, dice.randrange(-50, 50)])
        viewport.scroll(by)
        at = min(max(at + by, 0), len(whole) - 10)
        assert shown(viewport) == whole[at : at + 10]


def test_another_width_keeps_the_line_at_the_top(writer: Writer, make_viewport: MakeViewport) -> None:
    writer.write(events.Printed(stream="stdout", text="\n".join(f"{number} " + "x" * 50 for number in range(40))))
    viewport = make_viewport(30, 10)
    viewport.scroll(-31)
    assert shown(viewport)[1].startswith("  20 ")
    viewport.scroll(1)
    viewport.resize(80, 10)
    assert shown(viewport)[0] == "  20 " + "x" * 50
    viewport.resize(20, 10)
    assert shown(viewport)[0].startswith("  20 ")


def test_typed_text_is_last_until_it_is_said(writer: Writer, make_viewport: MakeViewport) -> None:
    viewport = make_viewport()
    writer.write(events.Said(text="one"), events.Typing(text="tw"), events.Spent(cost_usd=1))
    assert shown(viewport) == ["one", "tw▌"]
    writer.write(events.Typing(text="two thr"))
    assert shown(viewport) == ["one", "two thr▌"]
    writer.write(events.Said(text="two three"))
    assert shown(viewport) == ["one", "two three"]


def test_scrolling_skips_typed_text(writer: Writer, make_viewport: MakeViewport) -> None:
    writer.lines(20)
    writer.write(*(events.Typing(text=f"typing {number}") for number in range(50)))
    viewport = make_viewport()
    viewport.scroll(-1)
    assert shown(viewport) == lines(9, 19)


def test_a_call_has_its_status_once_its_result_has_arrived(writer: Writer, make_viewport: MakeViewport) -> None:
    viewport = make_viewport()
    writer.write(*(events.ToolCalled(id=name, name="Bash", summary=name) for name in ("good", "bad", "open")))
    assert [row[-1] for row in shown(viewport)] == ["…", "…", "…"]
    writer.write(events.ToolReturned(id="bad", ok=False, text=""), events.ToolReturned(id="good", ok=True, text=""))
    assert [row[-1] for row in shown(viewport)] == ["✓", "✗", "…"]


def test_a_result_far_after_its_call_is_found_a_piece_at_a_time(writer: Writer, make_viewport: MakeViewport) -> None:
    writer.write(events.ToolCalled(id="a", name="Bash", summary="make"))
    for _ in range(200):
        writer.write(events.Printed(stream="stdout", text="x" * 50_000))
    writer.write(events.ToolReturned(id="a", ok=True, text=""))
    viewport = make_viewport(40, 3)
    viewport.scroll_to_start()
    assert shown(viewport)[0].endswith("…")
    frames = 0
    while viewport.rendering.outcomes.behind:
        frames += 1
        last = shown(viewport)[0]
    assert last.endswith("✓")
    assert frames > 0


def test_a_result_unfolds_and_folds(writer: Writer, make_viewport: MakeViewport) -> None:
    writer.write(events.ToolReturned(id="a", ok=True, text="1\n2\n3\n4\n5"))
    writer.lines(1)
    viewport = make_viewport()
    shown(viewport)
    viewport.move_cursor(forward=False)
    assert not viewport.can_fold()
    viewport.move_cursor(forward=False)
    viewport.fold()
    assert shown(viewport) == ["  1", "  2", "  3", "  4", "  5", "line 0"]
    viewport.fold()
    assert shown(viewport) == ["  1", "  2", "  3", "  … 2 more", "line 0"]


def test_the_chosen_event_is_scrolled_into_view(writer: Writer, make_viewport: MakeViewport) -> None:
    writer.lines(30)
    viewport = make_viewport()
    shown(viewport)
    for _ in range(15):
        viewport.move_cursor(forward=False)
    assert "line 15" in shown(viewport)
    assert viewport.current_event() == viewport.event(viewport.cursor or 0)
    for _ in range(14):
        viewport.move_cursor(forward=True)
    assert "line 29" in shown(viewport)


def test_an_unreadable_line_is_reported(writer: Writer, make_viewport: MakeViewport) -> None:
    writer.lines(1)
    begin = writer.store.size()
    writer.store.append(b'{"seq":1,"kind":"what"}\n')
    writer.lines(1, 1)
    assert shown(make_viewport(90))[1] == f"✗ a line of this transcript cannot be read: 23 bytes at {begin}"


def test_scrolling_to_a_fraction(writer: Writer, make_viewport: MakeViewport) -> None:
    writer.lines(1000)
    viewport = make_viewport()
    for share, wanted in ((0.0, 0), (0.5, 500), (1.0, 990)):
        viewport.scroll_to_fraction(share)
        first = int(shown(viewport)[0].split()[1])
        assert abs(first - wanted) <= 10


def test_memory_does_not_grow_with_the_transcript(writer: Writer, make_viewport: MakeViewport) -> None:
    viewport = make_viewport()
    for number in range(12):
        writer.write(events.Printed(stream="stdout", text="\n".join(lines(0, 300))))
        writer.lines(20, number)
        shown(viewport)
        viewport.scroll(-random.Random(number).randrange(2000))
        shown(viewport)
        assert 0 < viewport.rendering.kept_rows <= KEPT_ROWS + 300
        viewport.follow()


def test_a_transcript_that_starts_again_is_shown_from_its_end(tmp_path: Path, writer: Writer) -> None:
    path = tmp_path / "transcript.ndjson"
    writer.lines(30)
    path.write_bytes(writer.store.read(10_000, 0))
    viewport = Viewport(FileStore(path), Lexers())
    viewport.resize(40, 10)
    shown(viewport)
    viewport.scroll_to_start()
    again = Writer()
    again.lines(3, 100)
    path.write_bytes(again.store.read(10_000, 0))
    shown(viewport)
    assert shown(viewport) == lines(100, 103)


def refused(count: int, more: int, host: str = "pypi.org") -> events.HostAsked:
    return events.HostAsked(host=host, port=443, allowed=False, count=count, more=more)


def test_a_refused_host_keeps_its_line_and_counts_there(writer: Writer, make_viewport: MakeViewport) -> None:
    writer.write(refused(1, 1), refused(1, 1, "b.example"))
    viewport = make_viewport()
    assert shown(viewport) == ["! not reached: pypi.org", "! not reached: b.example"]
    writer.write(refused(2, 1), events.Said(text="x"), refused(4, 2), refused(2, 1, "b.example"))
    assert shown(viewport) == ["! not reached: pypi.org, 4 times", "! not reached: b.example, 2 times", "x"]
    writer.write(refused(9, 5))
    assert shown(viewport)[0] == "! not reached: pypi.org, 9 times"


def test_a_later_step_counts_its_refusals_anew(writer: Writer, make_viewport: MakeViewport) -> None:
    writer.write(refused(1, 1), refused(3, 2), events.StepStarted(step="verify"), refused(1, 1), refused(2, 1))
    assert shown(make_viewport()) == ["! not reached: pypi.org, 3 times", "● verify", "! not reached: pypi.org, 2 times"]
