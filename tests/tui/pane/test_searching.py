"""What a pane finds and leaves out: searches, filters, and the way from error to error."""

import pytest

from ccterm import events
from ccterm.models import State
from ccterm.tui.pane.query import Query
from tests.tui.pane.conftest import MakeViewport, Writer, lines, shown


def test_a_search_goes_through_matches_backwards_and_forwards(writer: Writer, make_viewport: MakeViewport) -> None:
    writer.write(events.Printed(stream="stdout", text="\n".join(f"{n} {'needle' if n % 10 == 0 else 'hay'}" for n in range(40))))
    writer.write(events.Said(text='A Needle, "kind" of'))
    writer.lines(20)
    viewport = make_viewport()
    viewport.start_search(Query("needle"))
    shown(viewport)
    found = []
    for forward in (True, False, False, True, True, True):
        viewport.find(forward=forward)
        found.append((viewport.search.number() if viewport.search else 0, any("eedle" in row for row in shown(viewport))))
    assert found == [(5, True), (4, True), (3, True), (4, True), (5, True), (5, True)]
    assert viewport.count() == "5 of 5"


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ('say "hi"', 1),
        ("back\\slash", 1),
        ("ümlaut", 1),
        ("UPPER", 1),
        ("upper", 2),
        ("tool_called", 0),
        ("toolu_1", 0),
        ("seq", 0),
        ("› Bash", 1),
        ("pushed abc", 1),
    ],
)
def test_a_search_finds_visible_text_only(writer: Writer, make_viewport: MakeViewport, text: str, count: int) -> None:
    writer.write(events.Said(text='say "hi" with back\\slash and Ümlaut or ümlaut\nUPPER'), events.Printed(stream="stderr", text="upper"))
    writer.write(events.ToolCalled(id="toolu_1", name="Bash", summary="ls"))
    writer.write(events.Pushed(remote="origin", ref="refs/heads/main", sha="abc", verified=True))
    viewport = make_viewport()
    viewport.start_search(Query(text))
    shown(viewport)
    assert viewport.count() == (f"{count} found" if count else "none")


def test_a_match_inside_a_folded_result_unfolds_it(writer: Writer, make_viewport: MakeViewport) -> None:
    writer.write(events.ToolReturned(id="a", ok=True, text="\n".join(f"row {number}" for number in range(200))))
    viewport = make_viewport()
    assert shown(viewport)[-1] == "  … 197 more"
    viewport.start_search(Query("row 150"))
    shown(viewport)
    viewport.find(forward=True)
    assert "  row 150" in shown(viewport)


def test_a_search_includes_new_lines(writer: Writer, make_viewport: MakeViewport) -> None:
    viewport = make_viewport()
    viewport.start_search(Query("line"))
    writer.lines(5)
    shown(viewport)
    assert viewport.count() == "5 found"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("@said", ["line 0", "line 1"]),
        ("@error", ["  no such file", "✗ failed"]),
        ("@tool", ["› Bash  ls                             ✗", "  no such file"]),
        ("@tool file", ["  no such file"]),
        ("line 1", ["line 1"]),
        ("nothing like it", []),
    ],
)
def test_a_filter_shows_only_matching_events(writer: Writer, make_viewport: MakeViewport, text: str, wanted: list[str]) -> None:
    writer.lines(2)
    writer.write(events.ToolCalled(id="a", name="Bash", summary="ls"), events.ToolReturned(id="a", ok=False, text="no such file"))
    writer.write(events.Finished(state=State.FAILED))
    viewport = make_viewport()
    viewport.filter(Query(text))
    assert shown(viewport) == wanted
    viewport.filter(Query(""))
    assert len(shown(viewport)) == 5


def test_a_filtered_transcript_scrolls_and_grows(writer: Writer, make_viewport: MakeViewport) -> None:
    viewport = make_viewport(40, 5)
    viewport.filter(Query("@said"))
    for number in range(20):
        writer.lines(1, number)
        writer.write(events.Notice(level="info", text="between"))
    assert shown(viewport) == lines(15, 20)
    viewport.scroll(-10)
    assert shown(viewport) == lines(5, 10)
    writer.lines(2, 20)
    assert shown(viewport) == lines(5, 10)
    assert viewport.new_lines == 2


def test_errors_are_visited_from_the_last_one_backwards(writer: Writer, make_viewport: MakeViewport) -> None:
    for number in range(3):
        writer.lines(30)
        writer.write(events.ToolReturned(id="a", ok=False, text=f"error {number}"))
    writer.lines(30)
    viewport = make_viewport()
    shown(viewport)
    for number in (2, 1, 0, 2):
        assert viewport.find_error()
        assert f"  error {number}" in shown(viewport)


def test_without_an_error_nothing_moves(writer: Writer, make_viewport: MakeViewport) -> None:
    writer.lines(30)
    viewport = make_viewport()
    assert not viewport.find_error()
    assert viewport.following
