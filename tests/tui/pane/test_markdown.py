"""What the agent says, as Markdown: each line stays a line."""

from collections.abc import Sequence

import pytest

from ccterm import events
from ccterm.tui.code import CodeStyle, Piece, Pieces, time_limit
from ccterm.tui.pane.markdown import markdown, open_fence
from ccterm.tui.pane.rows import RowOptions, last_rows, rows
from tests.tui.pane.conftest import MakeViewport, Writer, shown


def colour(text: str, language: str) -> Sequence[Pieces]:
    """Colour every line of Python as a keyword."""
    style = CodeStyle.KEYWORD if language == "python" else CodeStyle.PLAIN
    return [(Piece(line, style),) for line in text.split("\n")]


def styled(text: str) -> list[tuple[str, str]]:
    """Return the pieces of the first line with their styles."""
    return [(span.text, str(span.style)) for span in markdown(text.split("\n"), colour)[0].spans]


@pytest.mark.parametrize(
    ("text", "spans"),
    [
        ("## What I did ##", [("What I did", "heading")]),
        ("#5 is not a heading", [("#5 is not a heading", "text")]),
        ("- one `x = 1`", [("• ", "accent"), ("one ", "text"), ("x = 1", "code")]),
        ("  * nested", [("  • ", "accent"), ("nested", "text")]),
        ("2. two", [("2. two", "text")]),
        ("> quoted **twice**", [("▎ ", "dim"), ("quoted ", "dim"), ("twice", "dim")]),
        ("---", [("─" * 24, "dim")]),
        ("**bold** and *slanted* and _so_", [("bold", "strong"), (" and ", "text"), ("slanted", "emphasis"), (" and ", "text"), ("so", "emphasis")]),
        ("a_long_name * b * c", [("a_long_name * b * c", "text")]),
        ("2**3**4 or ``a`b``", [("2**3**4 or ``a`b``", "text")]),
        ("see [the docs](https://x.org/a)", [("see ", "text"), ("the docs", "accent"), (" (https://x.org/a)", "dim")]),
        ("[b]no markup[/b]", [("[b]no markup[/b]", "text")]),
        ("", [("", "text")]),
    ],
)  # fmt: skip
def test_a_line_is_shown_as_what_it_is(text: str, spans: list[tuple[str, str]]) -> None:
    assert styled(text) == spans


def test_code_is_coloured_and_keeps_its_marks() -> None:
    said = ["See:", "```python", "# no heading", "a ** b ** c", "```", "**so**"]
    found = markdown(said, colour)
    assert [line.text for line in found] == ["See:", "  ┄┄ python", "  # no heading", "  a ** b ** c", "  ┄┄", "so"]
    assert [str(line.spans[1].style) for line in found[2:4]] == ["code-keyword", "code-keyword"]


def test_columns_of_a_table_are_below_each_other() -> None:
    found = markdown(["| file | why |", "|---|:--|", "| `a.py` | it was **wrong** |"], colour)
    assert [line.text for line in found] == ["file │ why         ", "─────┼─────────────", "a.py │ it was wrong"]


def test_every_line_stays_a_line() -> None:
    said = ["# a", "", "- b", "```", "c", "", "```", "| d |", "no table", "> e", "~~~js", "f"]
    assert len(markdown(said, colour)) == len(said)


@pytest.mark.parametrize(
    ("text", "language"),
    [("a\n```python\nb", "python"), ("```\na\n```\n", None), ("~~~\n```\n", ""), ("plain", None), ("````\n```\nb", "")],
)
def test_a_text_may_end_inside_of_code(text: str, language: str | None) -> None:
    assert open_fence(text) == language


def test_the_end_of_a_long_message_is_as_in_the_whole() -> None:
    said = events.Said(text="```python\n" + "a ** b ** c\n" * 100 + "```\n**done**")
    options = RowOptions(colour=colour)
    assert [row.text for row in last_rows(said, 30, 5, options)] == [row.text for row in rows(said, 30, options)[-5:]]
    assert last_rows(said, 30, 5, options)[0].spans[1].style == "code-keyword"


def test_it_can_be_shown_as_it_was_written(writer: Writer, make_viewport: MakeViewport) -> None:
    writer.write(events.Said(text="# Done\n- **all** of it"))
    viewport = make_viewport()
    assert shown(viewport) == ["Done", "• all of it"]
    viewport.set_markdown(False)
    assert shown(viewport) == ["# Done", "- **all** of it"]


@pytest.mark.parametrize("part", ["*a", "`a", "[a](", "_a_", "| ", "**"])
def test_no_line_takes_long(part: str) -> None:
    with time_limit(3):  # seconds for what takes milliseconds
        markdown([f"|{part * (2000 // len(part))}|", part * (2000 // len(part))] * 30, colour)
