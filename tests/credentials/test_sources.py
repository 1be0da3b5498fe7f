"""Secrets are fetched from their sources; an error message never contains what a command printed."""

import os
import traceback
from pathlib import Path

import pytest

from ccterm.credentials.sources import resolve_source, user_secrets
from ccterm.errors import SettingsError
from ccterm.processes import ProcessMark
from tests.credentials.conftest import MakeProgram, settings
from tests.support.waiting import wait_until

SECRET = "s3cretValue"


def said(source: str, env: dict[str, str], seconds: float = 10.0) -> str:
    """Return the message of a failure; the secret must not appear anywhere in its traceback."""
    with pytest.raises(SettingsError) as caught:
        resolve_source(source, env, seconds=seconds)
    story = "".join(traceback.format_exception(caught.value))
    assert SECRET not in story
    return str(caught.value)


def test_a_variable_gives_its_value(env: dict[str, str]) -> None:
    assert resolve_source("env:TOKEN", {**env, "TOKEN": SECRET}).get_secret_value() == SECRET


@pytest.mark.parametrize("given", [{}, {"TOKEN": ""}], ids=["missing", "empty"])
def test_a_variable_that_is_not_set_is_named(env: dict[str, str], given: dict[str, str]) -> None:
    assert "TOKEN is not set; export TOKEN" in said("env:TOKEN", {**env, **given})


def test_a_command_gives_what_it_prints(env: dict[str, str], programs: MakeProgram) -> None:
    programs("op", f'[ "$1 $2" = "read op://private/a b" ] && echo {SECRET}')
    assert resolve_source("cmd:op read 'op://private/a b'", env).get_secret_value() == SECRET


def test_only_the_last_line_break_is_removed(env: dict[str, str], programs: MakeProgram) -> None:
    programs("two", "printf ' a\\nb \\r\\n'")
    assert resolve_source("cmd:two", env).get_secret_value() == " a\nb "


def test_a_command_is_not_run_by_a_shell(env: dict[str, str], programs: MakeProgram) -> None:
    programs("show", 'printf "%s|" "$@"')
    assert resolve_source("cmd:show $HOME ; touch x && $(id) `id` *", env).get_secret_value() == "$HOME|;|touch|x|&&|$(id)|`id`|*|"


def test_a_command_has_no_input_and_no_terminal(env: dict[str, str], programs: MakeProgram) -> None:
    programs("ask", "if read answer; then echo answered; else echo nothing; fi; tty -s <&1 || true")
    assert resolve_source("cmd:ask", env).get_secret_value() == "nothing"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (f"echo {SECRET}; echo {SECRET} >&2; exit 3", "failed with exit code 3"),
        ("kill -9 $$", "failed with exit code -9"),
        ("true", "printed nothing"),
        ("echo", "printed nothing"),
        ("head -c 70000 /dev/zero | tr '\\0' x", "printed more than 64 KiB"),
        (f"printf '{SECRET}\\377'", "printed bytes that are not UTF-8"),
    ],
    ids=["fails", "killed", "silent", "empty", "large", "binary"],
)
def test_a_failing_command_is_named_without_its_output(env: dict[str, str], programs: MakeProgram, body: str, words: str) -> None:
    programs("give", body)
    assert f"the command give {words}" in said("cmd:give", env)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("cmd:missing-program", "cannot be started; install it"),
        ("cmd:/dev/null", "cannot be started"),
        ("cmd:give 'open", "an unclosed quote"),
        ("cmd:", "is empty"),
        ("keyring:github", "there is no keyring, which should hold github of ccterm"),
        (SECRET, "unknown kind"),
        (f"file:/{SECRET}", "unknown kind"),
    ],
)
def test_a_source_that_cannot_be_read_is_one_sentence(env: dict[str, str], source: str, words: str) -> None:
    assert words in said(source, env)


@pytest.mark.parametrize("ending", ["wait", "exit 0"])
def test_a_command_that_hangs_is_killed_with_its_children(env: dict[str, str], programs: MakeProgram, tmp_path: Path, ending: str) -> None:
    note = tmp_path / "pid"
    programs("hang", f"sleep 300 & echo $! > {note}; {ending}")
    assert "took longer than 1 s" in said("cmd:hang", env, seconds=1)
    left = ProcessMark.of(int(note.read_text()))
    wait_until(lambda: left is None or not left.alive)


def test_a_grandchild_that_holds_the_output_does_not_block(env: dict[str, str], programs: MakeProgram, tmp_path: Path) -> None:
    note = tmp_path / "pid"
    programs("leave", f"setsid sh -c 'echo $$ > {note}; exec sleep 300' & exit 0")
    try:
        assert "took longer than 2 s" in said("cmd:leave", env, seconds=2)
    finally:
        os.kill(int(note.read_text()), 9)


def test_user_secrets_go_to_the_steps_they_name(env: dict[str, str]) -> None:
    chosen = settings(secrets={"NPM": {"from": "env:A"}, "KEY": {"from": "env:B", "steps": ["setup", "agent"]}})
    given = user_secrets(chosen, ("setup", "agent", "verify"), {**env, "A": "a", "B": "b"})
    assert {step: sorted(values) for step, values in given.items()} == {"setup": ["KEY", "NPM"], "agent": ["KEY"], "verify": []}
    assert given["agent"]["KEY"].get_secret_value() == "b"


def test_a_secret_that_cannot_be_read_names_its_table(env: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match=r"\[secrets.NPM\]: the environment variable A is not set"):
        user_secrets(settings(secrets={"NPM": {"from": "env:A"}}), ["setup"], env)


def test_a_source_is_asked_once_for_all_steps(env: dict[str, str], programs: MakeProgram, tmp_path: Path) -> None:
    programs("give", f"echo >> {tmp_path / 'asked'}; echo {SECRET}")
    user_secrets(settings(secrets={"KEY": {"from": "cmd:give", "steps": ["setup", "agent", "verify"]}}), ["setup", "agent", "verify"], env)
    assert len((tmp_path / "asked").read_text()) == 1


def test_a_secret_reaches_the_agent_only_when_that_is_written_out(env: dict[str, str]) -> None:
    given = user_secrets(settings(secrets={"NPM": {"from": "env:A"}}), ["setup", "agent", "verify"], {**env, "A": "a"})
    assert {step: list(values) for step, values in given.items()} == {"setup": ["NPM"], "agent": [], "verify": []}


def test_a_secret_that_no_step_wants_is_never_fetched(env: dict[str, str]) -> None:
    assert user_secrets(settings(secrets={"NPM": {"from": "cmd:missing-program"}}), ["agent"], env) == {"agent": {}}
