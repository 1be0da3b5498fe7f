"""The first frame: true before the settings are read, and in the look that they and the last session chose."""

import json
from pathlib import Path

import pytest

from ccterm.settings import Settings
from ccterm.tui.app import CctermApp
from ccterm.tui.memory import Memory
from ccterm.tui.opening import Look
from tests.support.waiting import until
from tests.tui.on_screen import screen_text


def look(tmp_path: Path, settings: str = "", remembered: str = "") -> Look:
    (tmp_path / "config.toml").write_text(settings)
    (tmp_path / "terminal.json").write_text(remembered)
    return Look.read(tmp_path / "config.toml", tmp_path)


async def test_it_shows_the_keys_and_says_nothing_of_runs_it_does_not_know() -> None:
    async with CctermApp(Look()).run_test(size=(80, 24)) as pilot:
        text = screen_text(pilot.app)
        assert "connecting" in text
        assert "n New" in text
        assert "q Quit" in text
        assert "no runs" not in text.casefold()


async def test_keys_of_the_users_own_are_shown_once_they_are_known() -> None:
    app = CctermApp(Look(own_keys=True))
    async with app.run_test(size=(80, 24)):
        assert "New" not in screen_text(app)
        app.provide(Settings.model_validate({"mode": "local", "keys": {"new": "ctrl+n"}}), Memory(None))
        app.call_later(app.begin)
        await until(lambda: "^n New" in screen_text(app))


async def test_a_key_that_was_pressed_too_early_reaches_the_fleet() -> None:
    app = CctermApp(Look())
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("question_mark")
        assert app.screen_stack[0] is app.screen
        app.provide(Settings.model_validate({"mode": "local"}), Memory(None))
        app.call_later(app.begin)
        await until(lambda: "All keys" in screen_text(app) or len(app.screen_stack) > 1)


def test_the_theme_is_that_of_the_settings_and_of_the_last_session(tmp_path: Path) -> None:
    found = look(tmp_path, '[tui]\ntheme = "nord"\n', json.dumps({"theme": "dracula", "light": True}))
    assert found == Look("nord", "dracula", light=True)


def test_what_this_session_remembers_is_how_the_next_one_looks(tmp_path: Path) -> None:
    memory = Memory(tmp_path)
    memory.pick("nord")
    memory.see(light=True)
    assert Look.read(tmp_path / "none.toml", tmp_path) == Look(None, "nord", light=True)


@pytest.mark.parametrize("settings", ["[tui", "tui = 1\nkeys = 2", "[tui]\ntheme = 3", "\x00", "a = " + "[" * 5000])
@pytest.mark.parametrize("remembered", ["", "{", "[]", '{"theme": 3, "light": "yes"}', "[" * 100_000])
def test_what_cannot_be_read_is_as_if_it_were_not_there(tmp_path: Path, settings: str, remembered: str) -> None:
    assert look(tmp_path, settings, remembered)._replace(own_keys=False) == Look()
