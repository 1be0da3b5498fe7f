"""A transcript that the first version wrote is shown in a pane by today's names, although a pane reads most lines without parsing them."""

from pathlib import Path

import pytest

from ccterm.tui.code import Lexers
from ccterm.tui.pane.query import Query
from ccterm.tui.pane.source import FileStore
from ccterm.tui.pane.viewport import Viewport
from tests.tui.pane.conftest import shown

WRITTEN = Path(__file__).parents[2] / "captures" / "first_version" / "transcript.ndjson"


@pytest.fixture
def viewport() -> Viewport:
    viewport = Viewport(FileStore(WRITTEN), Lexers())
    viewport.resize(100, 60)
    return viewport


def test_its_steps_and_its_push_have_todays_names(viewport: Viewport) -> None:
    rows = shown(viewport)
    for wanted in ("✓ commit ", "✓ pushed fe6ddaf0 to docs/install, verified"):
        assert any(row.startswith(wanted) for row in rows)
    for unwanted in ("harvest", "publish", "cannot be read"):
        assert not any(unwanted in row for row in rows)


def test_its_tool_calls_have_their_status(viewport: Viewport) -> None:
    [call] = [row for row in shown(viewport) if row.startswith("› Write")]
    assert call.endswith("✓")


@pytest.mark.parametrize(("query", "found"), [("@step pushed", "1 found"), ("commit", "2 found"), ("harvest", "none"), ("@error", "none")])
def test_it_is_searched_by_todays_names(viewport: Viewport, query: str, found: str) -> None:
    viewport.start_search(Query(query))
    shown(viewport)
    assert viewport.count() == found


def test_the_filter_for_steps_includes_its_push(viewport: Viewport) -> None:
    viewport.filter(Query("@step"))
    assert any(row.startswith("✓ pushed fe6ddaf0 to docs/install") for row in shown(viewport))
