"""`ccterm config`: what the settings come to, and what is wrong with them."""

import json
import tomllib
from pathlib import Path

import pytest

from ccterm.state_dir import settings_path
from tests.conftest import Command

FILE = """
max_concurrent = 6
engines = ["unix:///run/dagger.sock", {host = "tcp://build-1:1234", capacity = 8}]
checkpoint = "3m"
[repo."github.com/acme/shop"]
setup = "npm ci"
[secrets.NPM_TOKEN]
from = "env:NPM_TOKEN"
[services.db]
image = "postgres:17"
port = 5432
env = {POSTGRES_DB = "test"}
"""


@pytest.fixture
def file(isolation: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's settings file, and an environment without any variable of ccterm's."""
    for name in ("CCTERM_REQUIRE_CLAUDE", "CCTERM_REQUIRE_TMPFS", "CCTERM_CLAUDE_BIN"):
        monkeypatch.delenv(name, raising=False)
    settings_path().parent.mkdir(parents=True, exist_ok=True)
    return settings_path()


def test_the_paths_are_printed(command: Command, state: Path, file: Path) -> None:
    assert json.loads(command("config", "path", "--json").stdout) == {"settings": str(file), "state": str(state)}
    assert command("config", "path").stdout == f"settings  {file}\nstate     {state}\n"


def test_what_is_shown_says_the_same_again_as_a_settings_file(command: Command, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text(FILE)
    monkeypatch.setenv("CCTERM_MODE", "local")
    shown = command("config", "show").stdout
    assert 'execution_mode = "local"  # CCTERM_MODE\n' in shown
    assert "max_concurrent = 6  # settings file\n" in shown
    assert 'agent = "claude"\n' in shown
    monkeypatch.delenv("CCTERM_MODE")
    file.write_text(shown)
    assert command("config", "show").stdout == shown.replace("# CCTERM_MODE", "# settings file")
    told, written = tomllib.loads(shown), tomllib.loads(FILE)
    assert {name: told[name] for name in written if name != "engines"} == {
        name: value for name, value in written.items() if name != "engines"
    }


def test_durations_in_json_are_what_the_file_takes(command: Command, file: Path) -> None:
    file.write_text('checkpoint = "90s"\n[limits]\ntimeout = "1h 30m"\n')
    shown = json.loads(command("config", "show", "--json").stdout)
    assert (shown["checkpoint"], shown["waiting_frees_slot"], shown["limits"]["timeout"]) == ("90s", "1m", "90m")


def test_a_sound_file_is_said_to_be_sound(command: Command, file: Path) -> None:
    assert "all defaults" in command("config", "check").stderr
    file.write_text(FILE)
    done = command("config", "check")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", f"nothing is wrong with {file}\n")


@pytest.mark.parametrize(
    ("text", "variable", "told"),
    [
        ("max_concurrent = 0\n", "", "max_concurrent"),
        ("[tui]\ntheme = 'pinkish'\n", "", "there is no theme 'pinkish'; the themes are ansi-dark, "),
        ("", "CCTERM_MODUS", "CCTERM_MODUS is none of ccterm's variables; did you mean CCTERM_MODE?"),
        ("", "CCTERM_XXXXXXXXXXXXXXX", "CCTERM_XXXXXXXXXXXXXXX is none of ccterm's variables; unset it"),
    ],
)
def test_what_is_wrong_is_named(text: str, variable: str, told: str, command: Command, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text(text)
    if variable:
        monkeypatch.setenv(variable, "1")
    done = command("config", "check")
    assert done.returncode == 2
    assert told in done.stdout
    assert json.loads(command("config", "check", "--json").stdout)[0] in done.stdout
