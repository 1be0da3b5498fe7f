"""No text is taken for markup: every widget and toast is told so, and clicking on what looks like an action does nothing."""

import ast
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from textual.widgets import OptionList

import ccterm.tui
from ccterm.models import CheckResult
from ccterm.tui.screens.preflight import PreflightScreen
from tests.tui.conftest import Show
from tests.tui.fake_service import FakeService
from tests.tui.on_screen import wait_for_text

PACKAGE = Path(ccterm.tui.__file__).parent
TAKE_MARKUP = frozenset({"notify", "Static", "Label", "Button", "RichLog", "Log", "Collapsible", "Tooltip"})
"""What takes a text for markup unless it is told otherwise."""
PIECES = (
    "[/]",
    "[red]",
    "[bold",
    "[link=https://evil.example]",
    "[@click=app.quit]",
    "[@click=app.pop_screen]x[/]",
    "\\[",
    "]",
    "[[",
    "[b]]",
    "a",
    " b ",
)


def calls() -> Iterator[tuple[str, ast.Call]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) in TAKE_MARKUP:
                yield f"{path.relative_to(PACKAGE)}:{node.lineno}", node


def is_plain(call: ast.Call) -> bool:
    """Whether a call says that its text is no markup, or hands over content that is made already."""
    told = any(word.arg == "markup" and isinstance(word.value, ast.Constant) and word.value.value is False for word in call.keywords)
    made = bool(call.args) and isinstance(call.args[0], ast.Call) and "Content" in ast.unparse(call.args[0].func)
    return told or made or not call.args


def test_no_widget_and_no_toast_takes_a_text_for_markup() -> None:
    found = list(calls())
    assert len(found) > 15
    assert [where for where, call in found if not is_plain(call)] == []


@pytest.mark.slow
@pytest.mark.parametrize("part", range(5))
async def test_texts_are_shown_as_they_are_and_clicks_on_them_do_nothing(show: Show, service: FakeService, part: int) -> None:
    dice = random.Random(part)
    texts = ["".join(dice.choices(PIECES, k=dice.randrange(1, 6))) + f" {number}" for number in range(40)]
    service.check_results = [
        CheckResult(name=f"{number:02}", group="g", status="warn", text=f"<{text}>", fix=text) for number, text in enumerate(texts)
    ]
    async with show((120, 90)) as pilot:
        for text in texts:
            pilot.app.notify(text, title=text, markup=False, timeout=0.1)
        await pilot.press("p")
        await wait_for_text(pilot, f"<{' '.join(texts[0].split())}>", "40 warnings")
        shown = [" ".join(str(option.prompt).split()) for option in pilot.app.screen.query_one("#checks", OptionList).options]
        assert [text for text, prompt in zip(texts, shown, strict=True) if " ".join(f"<{text}>".split()) not in prompt] == []
        for _ in range(200):
            await pilot.click(offset=(dice.randrange(60), dice.randrange(2, 84)))
        assert isinstance(pilot.app.screen, PreflightScreen)
        assert pilot.app.return_code is None
