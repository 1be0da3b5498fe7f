"""Themes: picked with a preview, by the settings, or as the terminal's background is."""

import pytest
from textual.drivers import linux_driver

from ccterm.tui.memory import Memory
from ccterm.tui.messages import BackgroundAnswered
from ccterm.tui.opening import Look
from ccterm.tui.textual_private import BACKGROUND_ANSWER, Answered, take_answers, takes_answers
from ccterm.tui.themes import ThemeChoice, light_by_answer, light_by_environment
from tests.support.waiting import until
from tests.tui.conftest import Show
from tests.tui.on_screen import as_ccterm, wait_for_text


async def test_a_theme_is_shown_while_it_is_highlighted_and_kept_with_enter(show: Show) -> None:
    memory = Memory(None)
    async with show(memory=memory) as pilot:
        await wait_for_text(pilot, "No runs yet")
        await pilot.press("T", "home", "end")
        await until(lambda: pilot.app.theme != "textual-dark")
        previewed = pilot.app.theme
        await pilot.press("escape")
        await until(lambda: pilot.app.theme == "textual-dark")
        await pilot.press("T", "end", "enter")
        await until(lambda: pilot.app.theme == memory.now.theme == previewed)
    async with show(memory=memory) as pilot:
        assert pilot.app.theme == previewed
        await pilot.press("T", "home", "enter")
        await until(lambda: (pilot.app.theme, memory.now.theme) == ("textual-dark", None))


async def test_the_settings_choose_the_theme(show: Show) -> None:
    async with show(settings={"mode": "local", "tui": {"theme": "nord"}}) as pilot:
        await wait_for_text(pilot, "No runs yet")
        assert pilot.app.theme == "nord"
        await pilot.press("T")
        await wait_for_text(pilot, "for now; the settings decide later")


async def test_a_light_terminal_gets_a_light_theme_at_once_and_the_next_time(show: Show) -> None:
    memory = Memory(None)
    async with show(memory=memory) as pilot:
        app = as_ccterm(pilot)
        app.post_message(BackgroundAnswered("rgb:ffff/ffff/dddd"))
        await until(lambda: app.theme == "textual-light")
    async with show(memory=memory) as pilot:
        assert pilot.app.theme == "textual-light"


@pytest.mark.parametrize(
    ("answer", "light"),
    [("rgb:0000/0000/0000", False), ("rgb:fdfd/f6f6/e3e3", True), ("rgba:ff/ff/ff/ff", True), ("#1e1e2e", False), ("?", None), ("", None)],
)
def test_the_answer_of_a_terminal_is_light_or_dark(answer: str, light: bool | None) -> None:
    assert light_by_answer(answer) is light


@pytest.mark.parametrize(
    ("variable", "light"), [("0;15", True), ("15;default;0", False), ("15;8", False), ("", None), ("15;default", None)]
)
def test_the_environment_may_say_so(variable: str, light: bool | None) -> None:
    assert light_by_environment({"COLORFGBG": variable}) is light


def test_a_terminal_of_sixteen_colours_keeps_its_own() -> None:
    choice = ThemeChoice(Look(), light=True)
    choice.sixteen = True
    assert choice.name == "ansi-light"


@pytest.mark.parametrize("cut", range(2, 26))
def test_an_answer_never_becomes_keys(cut: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever way it is cut in two behind its first character: it would press r, which starts a run again."""
    monkeypatch.setattr(linux_driver, "XTermParser", vars(linux_driver)["XTermParser"])
    take_answers(BACKGROUND_ANSWER, Answered)
    assert takes_answers(BACKGROUND_ANSWER)
    sent = "a\x1b]11;rgb:1e1e/1e1e/2e2e\x1b\\b"
    parser = vars(linux_driver)["XTermParser"]()
    got = [*parser.feed(sent[: cut + 1]), *parser.feed(sent[cut + 1 :])]
    answers = [message.text for message in got if isinstance(message, Answered)]
    assert answers == ["rgb:1e1e/1e1e/2e2e"]
    assert [getattr(message, "key", "") for message in got if not isinstance(message, Answered)] == ["a", "b"]
