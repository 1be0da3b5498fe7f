"""`ccterm config`: what the settings come to, and what is wrong with them."""

import json
import sys
import tomllib
from pathlib import Path

import pytest

from ccterm.state_dir import settings_path
from tests.conftest import Command
from tests.support.core import EDIT, script
from tests.support.git import files_at

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
    monkeypatch.delenv("CCTERM_CLAUDE_BIN", raising=False)
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
    ("text", "variable", "told", "fix"),
    [
        ("max_concurrent = 0\n", "", 'line 1: "max_concurrent" is too small', "give at least 1"),
        ("[tui]\ntheme = 'pinkish'\n", "", "there is no theme 'pinkish'", "the themes are ansi-dark, "),
        ("", "CCTERM_MODUS", "CCTERM_MODUS is none of ccterm's variables and has no effect", "did you mean CCTERM_MODE?"),
        ("", "CCTERM_EXECUTION_MODE", "CCTERM_EXECUTION_MODE is none of ccterm's variables", "did you mean CCTERM_MODE?"),
        ("", "CCTERM_BASE_URL", "CCTERM_BASE_URL is none of ccterm's variables", "did you mean ANTHROPIC_BASE_URL?"),
        ("", "CCTERM_MODEL", "CCTERM_MODEL is none of ccterm's variables", "write model into "),
        ("", "CCTERM_XXXXXXXXXXXXXXX", "CCTERM_XXXXXXXXXXXXXXX is none of ccterm's variables", "unset it"),
        ("", "CCTERM_MAX_CONCURRENT", "CCTERM_MAX_CONCURRENT is not a whole number", "write one such as 3"),
    ],
)
def test_what_is_wrong_is_named_with_its_fix_below(
    text: str, variable: str, told: str, fix: str, command: Command, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text(text)
    if variable:
        monkeypatch.setenv(variable, "x")
    done = command("config", "check")
    assert done.returncode == 2
    problem, how = done.stdout.splitlines()
    assert problem.startswith("✗ ")
    assert told in problem
    assert how.startswith(f"  {fix}")
    assert json.loads(command("config", "check", "--json").stdout) == [f"{problem[2:]}; {how[2:]}"]


BROKEN = """max_concurent = 3
max_concurrent = 0
engines = [3, {host = "tcp://x:1", capacity = 0}]
[services.db]
port = 0
[repo."github.com/a/b"]
image = "a"
dockerfile = "b"
depth = 0
[env]
A = "b"
[secrets.A]
from = "env:A"
[tui]
theme = "pinkish"
[keys]
launch-one = "x"
quit = "ctrl+ö+ä"
"""


def test_everything_that_is_wrong_is_named(
    command: Command, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, isolation: Path
) -> None:
    file.write_text(BROKEN)
    copy = tmp_path / "copy"
    (copy / ".git").mkdir(parents=True)
    (copy / "below").mkdir()
    (copy / ".ccterm.toml").write_text("setup = 3\nverfy = 'x'\n")
    monkeypatch.setenv("CCTERM_MODE", "nowhere")
    monkeypatch.setenv("CCTERM_MAX_CONCURRENT", "many")
    monkeypatch.setenv("CCTERM_MODUS", "x")
    told = command("config", "check", cwd=copy / "below").stdout.replace(str(file), "FILE").replace(str(copy), "COPY")
    assert [line[2:] for line in told.splitlines() if line.startswith("✗")] == [
        "FILE: the file has A both in [env] and in [secrets]",
        'FILE, line 1: unknown key "max_concurent"',
        'FILE, line 2: "max_concurrent" is too small',
        'FILE, line 3: "engines" is not a table',
        'FILE, line 3: "capacity" in "engines" is too small',
        'FILE, line 4: "services.db.image" is missing',
        'FILE, line 5: "services.db.port" is too small',
        'FILE, line 6: "repo.github.com/a/b" has both image and dockerfile',
        'FILE, line 9: "repo.github.com/a/b.depth" is too small',
        "CCTERM_MODE has an unknown value",
        "CCTERM_MAX_CONCURRENT is not a whole number",
        "CCTERM_MODUS is none of ccterm's variables and has no effect",
        "[keys] there is no action 'launch-one'",
        "[keys] quit: there is no key 'ctrl+ö+ä'",
        "theme in [tui]: there is no theme 'pinkish'",
        'COPY/.ccterm.toml, line 1: "setup" is not text',
        'COPY/.ccterm.toml, line 2: unknown key "verfy"',
    ]


def test_a_run_is_started_with_a_note_of_variables_without_effect(
    command: Command, file: Path, remote: Path, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CCTERM_EXECUTION_MODE", "dagger")
    arguments = ("--repo", str(remote), "--branch", "agent/x", "--agent", "scripted", "--mode", "local", "--json")
    done = command("run", EDIT, *arguments)
    assert (done.returncode, done.stderr.count("CCTERM_EXECUTION_MODE is none of")) == (0, 1), done.stderr
    assert "  did you mean CCTERM_MODE?\n" in done.stderr
    for line in done.stdout.splitlines():
        json.loads(line)
    assert "CCTERM_EXECUTION_MODE" not in command("runs").stderr


def test_a_variable_that_the_settings_name_as_a_source_has_an_effect(
    command: Command, file: Path, remote: Path, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text('[host."git.example"]\ntoken = "env:CCTERM_GIT_TOKEN"\n')
    monkeypatch.setenv("CCTERM_GIT_TOKEN", "x")
    assert command("config", "check").returncode == 0
    arguments = ("--repo", str(remote), "--branch", "agent/x", "--agent", "scripted", "--mode", "local")
    assert "none of ccterm's variables" not in command("run", EDIT, *arguments).stderr
    assert "none of ccterm's variables" not in command("check", "--mode", "local").stdout


def test_what_an_agent_has_of_ccterm_is_no_fault_when_it_uses_ccterm(
    command: Command, file: Path, remote: Path, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    show = "import json, os; print(json.dumps([name for name in os.environ if name.startswith('CCTERM_')]))"
    task = script({"bash": f'{sys.executable} -c "{show}" > names.json'})
    done = command("run", task, "--repo", str(remote), "--branch", "agent/x", "--agent", "scripted", "--mode", "local")
    assert done.returncode == 0, done.stderr
    names = json.loads(files_at(remote, "agent/x")["names.json"])
    assert names
    for name in names:
        monkeypatch.setenv(name, "x")
    assert command("config", "check").returncode == 0


def test_the_checks_warn_of_variables_without_effect(command: Command, file: Path, state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CCTERM_EXECUTION_MODE", "dagger")
    [found] = [each for each in json.loads(command("check", "--mode", "local", "--json").stdout) if each["group"] == "settings"]
    assert (found["status"], found["fix"]) == ("warn", "did you mean CCTERM_MODE?")
    assert "CCTERM_EXECUTION_MODE is none of ccterm's variables" in found["text"]
