"""Snapshots of a pane in each of its states, in two sizes. Look at a new one before you accept it."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from ccterm import events
from ccterm.events import Event
from ccterm.tui.pane import EventPane
from tests.support.waiting import until
from tests.tui.pane.conftest import EVERY_KIND, Writer
from tests.tui.pane.pane_app import PaneApp, visible_rows

Compare = Callable[..., bool]
SIZES = [(60, 20), (110, 34)]
STORY: list[Event] = [
    events.Queued(target="feature/login", prompt="Make the login endpoint refuse old cookies, with tests."),
    events.Started(),
    events.StepFinished(step="resolve", ok=True, seconds=0.21),
    events.StepFinished(step="checkout", ok=True, seconds=0.04, detail="reused"),
    events.StepStarted(step="setup"),
    events.Printed(stream="stdout", text="npm ci\nadded 212 packages in 3s"),
    events.StepFinished(step="setup", ok=True, seconds=3.4),
    events.StepStarted(step="agent"),
    events.Said(text="I'll start with the session middleware. It is where the cookie is read.\n\n- first the middleware\n- then its tests"),
    events.ToolCalled(id="a", name="Read", summary="src/auth/session.py", input={"file_path": "src/auth/session.py"}),
    events.ToolReturned(id="a", ok=True, text="\n".join(f"{number:>4}  import os" for number in range(1, 216))),
    events.ToolCalled(id="b", name="Bash", summary="pytest tests/auth -q", input={"command": "pytest tests/auth -q"}),
    events.ToolReturned(id="b", ok=False, text="12 passed, 1 failed\nE  AssertionError: expected 401, got 200"),
    events.Retrying(attempt=2, of=10, wait=1.5, why="overloaded"),
    events.Steered(text="also update the README", taken=True),
    events.ToolCalled(id="c", name="Edit", summary="src/auth/session.py +24 -3", input={"file_path": "src/auth/session.py"}),
    events.Typing(text="The refresh path still trusts the old cookie. Fix"),
]


async def nothing(pilot: Pilot[None], writer: Writer) -> None:
    """Do nothing."""


async def scrolled(pilot: Pilot[None], writer: Writer) -> None:
    pane = pilot.app.query_one(EventPane)
    writer.lines(20)
    pane.refresh_rows()
    await pilot.press("up", "up")
    writer.lines(18, 20)
    await until(lambda: visible_rows(pane)[-1].endswith("18 new lines"))


async def searched(pilot: Pilot[None], writer: Writer) -> None:
    await pilot.press("slash", *"ses", "enter")
    await until(lambda: not isinstance(pilot.app.focused, Input))
    await pilot.press("N")


async def filtered(pilot: Pilot[None], writer: Writer) -> None:
    await pilot.press("F", *"@tool", "enter")


async def unfolded(pilot: Pilot[None], writer: Writer) -> None:
    await pilot.press(*["left_square_bracket"] * 8, "enter")


async def not_wrapped(pilot: Pilot[None], writer: Writer) -> None:
    await pilot.press("w")


async def light(pilot: Pilot[None], writer: Writer) -> None:
    pilot.app.theme = "textual-light"


async def every_kind(pilot: Pilot[None], writer: Writer) -> None:
    writer.write(*(event for event, _ in EVERY_KIND.values()))


async def other_scripts(pilot: Pilot[None], writer: Writer) -> None:
    writer.write(events.Said(text="日本語のテキスト、 한국어, العربية, Ελληνικά, 👩‍👩‍👧 🇩🇪 e\u0301\n" * 4))


async def markdown(pilot: Pilot[None], writer: Writer) -> None:
    app = pilot.app
    assert isinstance(app, PaneApp)
    writer.write(
        events.Said(
            text="## What was wrong\n\nThe *refresh* path trusted `session.old`, see [the guide](https://example.org/guide):\n\n"
            "1. it read the cookie\n   - and **never** looked at its age, which is why a cookie of last year still let people in\n\n"
            '```python\ndef fresh(cookie: Cookie) -> bool:\n    # at most a day\n    return cookie.age < 86_400 and cookie.kind != "old"\n```\n\n'
            "| test | before | after |\n|---|---|---|\n| `test_login` | passed | passed |\n| `test_old_cookie` | **failed** | passed |\n\n"
            "> Old cookies end with this change.\n\n---\nAll done."
        )
    )
    app.query_one(EventPane).refresh_rows()
    await until(lambda: app.clock.lexers.version)


@pytest.fixture
def coloured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the app use colours."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")


Doing = Callable[[Pilot[None], Writer], Awaitable[None]]


@pytest.mark.parametrize("size", SIZES, ids=["small", "large"])
@pytest.mark.parametrize(
    "doing",
    [nothing, scrolled, searched, filtered, unfolded, not_wrapped, light, every_kind, other_scripts, markdown],
    ids=lambda each: each.__name__,
)
@pytest.mark.usefixtures("coloured")
def test_pane_snapshot(snap_compare: Compare, writer: Writer, doing: Doing, size: tuple[int, int]) -> None:
    writer.write(*STORY)

    async def act(pilot: Pilot[None]) -> None:
        await pilot.pause()
        await doing(pilot, writer)
        pilot.app.query_one(EventPane).refresh_rows()
        await pilot.pause()

    assert snap_compare(PaneApp(writer.store), run_before=act, terminal_size=size)


def test_pane_without_colours_snapshot(snap_compare: Compare, writer: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    writer.write(*STORY)
    assert snap_compare(PaneApp(writer.store), run_before=_paint, terminal_size=SIZES[0])


def test_empty_pane_snapshot(snap_compare: Compare, tmp_path: Path) -> None:
    assert snap_compare(PaneApp(tmp_path / "transcript.ndjson"), run_before=_paint, terminal_size=(40, 6))


async def _paint(pilot: Pilot[None]) -> None:
    await pilot.pause()
