"""Bad input gets one clear error and the right exit code, and nothing is done by halves."""

import inspect
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
import typer
from typer.models import OptionInfo

from ccterm.cli.commands import app
from tests.conftest import Command, MakeRemote
from tests.support.core import ccterm, ccterm_here, local
from tests.support.git import branches
from tests.support.machine import small_disk


def one_sentence(stderr: str) -> str:
    """Return what was printed: one line, and its fix on another; fail on a traceback or on more lines."""
    said, *fix = [line for line in stderr.splitlines() if line.strip()]
    assert said.startswith("ccterm: ")
    assert [line[:2] for line in fix] in ([], ["  "]), stderr
    return "; ".join([said, *map(str.strip, fix)])


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        pytest.param(["run", ""], 2, "the task is empty", id="empty prompt"),
        pytest.param(["run", "  \n "], 2, "the task is empty", id="blank prompt"),
        pytest.param(["run"], 2, "give the task once", id="no prompt"),
        pytest.param(["run", "x", "-f", "y"], 2, "give the task once", id="two prompts"),
        pytest.param(["run", "-f", "nowhere.md"], 2, "nowhere.md", id="missing file"),
        pytest.param(
            ["run", "x", "--mode", "local", "--agent", "scripted"], 2, "is not a git repository; git init makes one", id="no branch"
        ),
        pytest.param(["run", "x", "--yes", "--branch", "b"], 2, "leave out --yes and --ask, or --branch", id="yes and branch"),
        pytest.param(["run", "x", "--yes", "--ask"], 2, "--ask and --yes contradict each other", id="yes and ask"),
        pytest.param(["run", "x", "--ask"], 2, "--ask needs a terminal", id="ask without terminal"),
        pytest.param(
            ["run", "x", "--mode", "local", "--agent", "scripted", "--base", "main"], 2, "leave out --base", id="base without branch"
        ),
        pytest.param(["apply", "last"], 2, "there is no run yet", id="apply"),
        pytest.param(["undo", "last"], 2, "there is no run yet", id="undo"),
        pytest.param(["run", "x", "--branch", "--force", "--mode", "local"], 2, "--force", id="branch like an option"),
        pytest.param(["run", "x", "--branch", "a..b", "--mode", "local"], 2, '"a..b"', id="bad branch"),
        pytest.param(["run", "x", "--branch", "b", "--mode", "local", "--agent", "codex"], 2, "codex", id="unknown agent"),
        pytest.param(
            ["run", "x", "--branch", "b", "--mode", "local", "--timeout", "soon"], 2, "timeout is not a duration", id="bad duration"
        ),
        pytest.param(["run", "x", "--branch", "b", "--mode", "local", "--budget", "-1"], 2, "budget", id="bad budget"),
        pytest.param(["run", "x", "--branch", "b", "--mode", "local", "--repo", "ext::sh -c id"], 2, "remote helper", id="ext url"),
        pytest.param(
            ["run", "x", "--branch", "b", "--mode", "local", "--agent", "scripted", "--repo", "nowhere"],
            2,
            "nowhere",
            id="missing repository",
        ),
        pytest.param(["run", "x", "--branch", "b", "--mode", "local", "--repo", "https://u:p@h/o/r"], 2, "password", id="userinfo"),
        pytest.param(["show", "last"], 2, "no run", id="no run yet"),
        pytest.param(["show", "01ARZ"], 2, "01ARZ", id="unknown run"),
        pytest.param(["logs", "last"], 2, "no run", id="no logs yet"),
        pytest.param(["cancel"], 2, "--all", id="cancel nothing"),
        pytest.param(["steer", "last", "x"], 2, "no run", id="steer nothing"),
        pytest.param(["push", "last"], 2, "no run", id="push nothing"),
        pytest.param(["fetch", "last"], 2, "no run", id="fetch nothing"),
        pytest.param(["runs", "--since", "soon"], 2, "soon", id="bad since"),
        pytest.param(["batch", "nowhere.yaml"], 2, "nowhere.yaml", id="missing batch"),
        pytest.param(["trust", "."], 2, ".ccterm.toml", id="nothing to trust"),
    ],
)
def test_bad_input_is_one_clear_error_with_its_exit_code(
    args: list[str], code: int, said: str, state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = ccterm_here(*args, cwd=tmp_path, monkeypatch=monkeypatch)
    assert done.returncode == code, done.stderr
    assert said in one_sentence(done.stderr)
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("run x --mode cloud", "--mode 'cloud' is unknown; give local or dagger"),
        ("run x --max-tokens 1k", "--max-tokens '1k' is not a whole number; give one such as 3"),
        (f"run x --max-turns {'9' * 5000}", f"--max-turns '{'9' * 60}…' has too many digits; give one such as 3"),
        ("run x --allow-files -1", "--allow-files is too small; give at least 0"),
        ("run x --max-turns 0", "--max-turns is too small; give at least 1"),
        ("run x --budget much", "--budget 'much' is not a number; give one such as 2.5"),
        ("run x --budget 0", "--budget is too small; give at least 0.001"),
        ("run x --budget inf", "--budget is not a finite number; write one such as 10"),
        ("run x --model ''", "--model is empty; write something"),
        ("batch f --max-concurrent 0", "--max-concurrent 0 is too small; give a number from 1 up"),
        ("runs -n -5", "-n -5 is too small; give a number from 1 up"),
        ("runs -n x", "-n 'x' is not a whole number; give a number from 1 up"),
        ("runs --since soon", '--since \'soon\' is not a duration; write it as "90s", "45m" or "2h"'),
        ("serve --port abc", "--port 'abc' is not a whole number; give a number from 0 to 65535"),
        ("serve --port 65536", "--port 65536 is too large; give a number from 0 to 65535"),
        ("daemon --idle x", "--idle 'x' is not a number; give one such as 2.5"),
        ("cancel 3 --all", "--all and one run contradict each other; leave one of them out"),
        ("retry", "say which run, or --refused; ccterm runs lists them"),
        ("image rm ''", "there is no image ''; ccterm image show lists them"),
        ("run -f .", "the task cannot be read from .: is a directory; give a readable UTF-8 file"),
        ("runs -n", "-n needs a value; write -n VALUE"),
        ("runs --json=yes", "--json takes no value; write --json alone"),
        ("retry 1 --model", "there is no flag '--model'; ccterm retry --help lists those that there are"),
        ("runs --fialed", "there is no flag '--fialed'; did you mean --failed?"),
        ("runs --\x1b[31m", "there is no flag '--\\x1b[31m'; ccterm runs --help lists those that there are"),
        ("egress allow 3", "HOST is missing; ccterm egress allow RUN HOST"),
        (
            "steer 3 two words",
            "this is more than ccterm steer takes: 'words'; ccterm steer --help explains it; a text with spaces needs quotes",
        ),
        ("confg show", "there is no command 'confg'; did you mean config?"),
        ("config xyz", "there is no command 'xyz'; ccterm config --help lists those that there are"),
        ("help securty", "'securty' is neither a command nor a topic; did you mean security?"),
        ("help xyz", "'xyz' is neither a command nor a topic; ccterm --help and ccterm help list them"),
    ],
)
def test_a_wrong_command_line_is_refused_in_our_words(
    line: str, said: str, state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = ccterm_here(*shlex.split(line), cwd=tmp_path, monkeypatch=monkeypatch)
    assert (done.returncode, done.stdout) == (2, "")
    assert one_sentence(done.stderr) == f"ccterm: {said}"


def test_no_flag_of_any_command_leaves_it_to_typer_to_refuse_a_value() -> None:
    def flags(group: typer.Typer) -> Iterator[tuple[str, inspect.Parameter, OptionInfo]]:
        for each in group.registered_commands:
            assert each.callback
            for name, parameter in inspect.signature(each.callback).parameters.items():
                for told in get_args(parameter.annotation)[1:]:
                    yield f"{each.callback.__name__} {name}", parameter, told
        for other in group.registered_groups:
            assert other.typer_instance
            yield from flags(other.typer_instance)

    found = {name: (get_args(parameter.annotation)[0], told.parser) for name, parameter, told in flags(app)}
    assert found["serve port"][1]
    assert found["run budget"][1]
    unread = {name: kind for name, (kind, parser) in found.items() if not parser}
    assert set(unread.values()) <= {str, str | None, list[str], list[str] | None, Path, Path | None, bool, bool | None}, unread


def test_an_unknown_key_of_the_settings_names_the_nearest(command: Command, state: Path, tmp_path: Path, isolation: Path) -> None:
    config = isolation / "config" / "ccterm"
    config.mkdir(parents=True)
    (config / "config.toml").write_text("max_concurent = 3\n")
    done = command("run", "x", "--branch", "b", "--mode", "local", cwd=tmp_path)
    assert done.returncode == 2
    assert "did you mean max_concurrent?" in one_sentence(done.stderr)


def test_a_batch_file_with_an_error_starts_nothing(command: Command, state: Path, tmp_path: Path, make_remote: MakeRemote) -> None:
    remote = make_remote({"a": "a\n"})
    lines = [
        "defaults:",
        f"  repo: {remote}",
        "  mode: local",
        "  agent: scripted",
        "tasks:",
        "  - {prompt: one, branch: one}",
        "  - {prompt: two, brunch: two}",
    ]
    (tmp_path / "tasks.yaml").write_text("\n".join(lines) + "\n")
    done = command("batch", "tasks.yaml", cwd=tmp_path)
    assert done.returncode == 2
    said = one_sentence(done.stderr)
    assert "tasks.yaml" in said
    assert "line 7" in said
    assert "branch" in said
    assert set(branches(remote)) == {"main"}
    assert command("runs", "--json").stdout.strip() == "[]"


def test_a_directory_that_is_not_a_repository_is_named(command: Command, state: Path, tmp_path: Path) -> None:
    done = command(*local(tmp_path, "b"))
    assert done.returncode == 2
    assert str(tmp_path) in one_sentence(done.stderr)


def test_an_unreachable_remote_is_a_failed_run_with_its_reason(command: Command, state: Path, tmp_path: Path) -> None:
    done = command(*local("http://127.0.0.1:9/o/r.git", "b"))
    assert done.returncode == 1
    assert "checkout/network" in done.stdout
    assert "b: The repository could not be fetched" in done.stderr


def test_a_state_directory_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = ccterm("runs", env={"CCTERM_STATE_DIR": str(tmp_path / "file")})
    assert done.returncode == 3
    assert str(tmp_path / "file") in one_sentence(done.stderr)


@pytest.mark.slow
def test_a_full_disk_ends_the_run_with_a_clear_error(tmp_path: Path, make_remote: MakeRemote) -> None:
    remote = make_remote({"a": "a\n"})
    with small_disk(tmp_path / "disk", "14m") as disk:
        flood = '[{"write": "n", "text": "n"}, {"flood": 400000}, {"say": "never told"}]'
        done = ccterm(*local(remote, "b", flood), env={"CCTERM_STATE_DIR": str(disk / "state")}, timeout=120)
        after = ccterm("runs", "--json", env={"CCTERM_STATE_DIR": str(disk / "state")})
    assert done.returncode == 1
    assert "No space left" in done.stderr + done.stdout + after.stdout
    assert '"state": "failed"' in after.stdout
    assert set(branches(remote)) == {"main"}


def test_an_invalid_engine_address_is_one_clear_error(state: Path) -> None:
    done = ccterm("check", env={"CCTERM_ENGINE": "nonsense"})
    assert done.returncode == 2
    assert "is not the address of an engine; write it as unix:///PATH" in one_sentence(done.stderr)
