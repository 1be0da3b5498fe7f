"""Output that is closed, full, or read by something that goes away; a current directory that is gone: one sentence, never a traceback."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccterm.causes import ExitCode
from ccterm.cli.errors import explain
from ccterm.cli.streams import Output, ReaderGone, escaped
from ccterm.errors import UsageError
from ccterm.output.sanitise import suspicious
from tests.support.core import ccterm, local, script
from tests.support.git import branches, files_at, make_repository

FULL = "the output cannot be written: No space left on device"
CLOSED = "the output cannot be written: stdout is closed"


def in_shell(rest: str, *args: str, before: str = "", cwd: Path | None = None) -> "subprocess.CompletedProcess[str]":
    """Run the command line with redirections, or a pipe, behind it."""
    command = f'{before} {sys.executable} -m ccterm "$@" {rest}'
    return subprocess.run(["sh", "-c", command, "sh", *args], cwd=cwd, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(
    ("args", "rest", "code", "said"),
    [
        pytest.param(["--help"], ">/dev/full", 1, FULL, id="help to a full disk"),
        pytest.param(["runs", "--json"], ">/dev/full", 1, FULL, id="data to a full disk"),
        pytest.param(["runs", "--json"], ">&-", 1, CLOSED, id="closed stdout"),
        pytest.param(["run", "-"], "<&-", 2, "the task cannot be read: stdin is closed", id="closed stdin"),
        pytest.param(["show", "last"], "2>&-", 2, "", id="closed stderr"),
        pytest.param(["show", "last"], "2>/dev/full", 2, "", id="full stderr"),
    ],
)
def test_a_stream_that_cannot_be_used_is_one_sentence(args: list[str], rest: str, code: int, said: str, state: Path) -> None:
    done = in_shell(rest, *args)
    assert done.returncode == code
    assert done.stderr.startswith(f"ccterm: {said}") if said else not done.stderr
    assert done.stderr.count("\n") <= 2 * bool(said)


@pytest.mark.slow
def test_signs_that_an_encoding_does_not_have_are_replaced(state: Path, remote: Path) -> None:
    env = {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    done = ccterm(*local(remote, "x", script({"write": "new.txt", "text": "n\n"}, {"say": "fertig: größer…"})), env=env)
    assert (done.returncode, done.stdout[:3]) == (0, "+  "), done.stderr
    assert "summary    fertig: gr??er..." in ccterm("show", "last", env=env).stdout
    assert json.loads(ccterm("show", "last", "--json", env=env).stdout)["summary"] == "fertig: größer…"


def test_runs_go_on_when_the_reader_of_their_output_goes_away(state: Path, remote: Path) -> None:
    task = script({"flood": 50, "bytes": 2000}, {"write": "new.txt", "text": "new\n"})
    done = in_shell("| head -1; exit", *local(remote, "x", task), "--json")
    assert (done.stdout.count("\n"), done.stderr) == (1, "")
    assert files_at(remote, "x")["new.txt"] == b"new\n"


def test_runs_go_on_without_room_for_their_output_and_it_is_said(state: Path, remote: Path) -> None:
    done = in_shell(">/dev/full", *local(remote, "x"))
    assert (done.returncode, done.stderr.splitlines()[-2].startswith(f"ccterm: {FULL}")) == (1, True)
    assert "new.txt" in files_at(remote, "x")


def test_no_file_gets_the_number_of_a_closed_stream() -> None:
    program = (
        "import os, sys; [os.close(n) for n in (0, 1, 2)]; sys.stdin = None\n"
        "from ccterm.cli.streams import guard_streams; guard_streams()\n"
        "os._exit(os.open('/dev/null', os.O_RDONLY))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode > 2


@given(st.text(max_size=50))
def test_json_for_a_terminal_says_the_same_and_drives_nothing(text: str) -> None:
    line = json.dumps({text: [text]}, ensure_ascii=False)
    assert json.loads(escaped(line)) == {text: [text]}
    assert not suspicious(escaped(line))


PRINTS = "import sys; from ccterm.cli.streams import guard_streams; guard_streams(); print({0!r}); print({0!r}, file=sys.stderr)"


def test_whatever_is_printed_drives_no_terminal() -> None:
    text = "a\x1b]0;title\x07b\u202ec\x9b31md\u200be\x7f ü"
    done = subprocess.run([sys.executable, "-c", PRINTS.format(text)], capture_output=True, encoding="utf-8", check=False)
    assert (done.stdout, done.stderr) == ("abcde ü\n", "abcde ü\n")


@pytest.mark.parametrize("word", ["\x1b]0;x\x07", "\x9b31m"])
def test_an_argument_that_is_echoed_drives_no_terminal(word: str, state: Path) -> None:
    for args in (["show", word], [word], ["runs", f"--{word}"]):
        done = in_shell("", *args)
        assert done.returncode == 2
        assert not suspicious(done.stdout + done.stderr), args


@pytest.fixture
def gone(tmp_path: Path) -> str:
    """Return what makes a shell work in a directory that does not exist."""
    return f"mkdir {tmp_path}/gone && cd {tmp_path}/gone && rmdir ../gone &&"


def test_a_removed_current_directory_is_one_sentence(gone: str, state: Path) -> None:
    done = in_shell("", "run", "x", "--mode", "local", "--agent", "scripted", before=gone)
    assert (done.returncode, done.stderr) == (
        2,
        "ccterm: the current directory no longer exists\n  cd to one that does, or give full paths\n",
    )


@pytest.mark.slow
def test_a_removed_current_directory_does_not_matter_where_paths_are_full(gone: str, state: Path, tmp_path: Path) -> None:
    copy = make_repository(tmp_path / "copy", {"README.md": "hello\n"})
    task = script({"write": "new.txt", "text": "new\n"})
    done = in_shell("", "run", task, "--mode", "local", "--agent", "scripted", "--repo", str(copy), "--yes", before=gone)
    assert (done.returncode, (copy / "new.txt").read_text()) == (0, "new\n")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        pytest.param(
            OSError(28, "No space left on device", "/x"), "/x: No space left on device; free some space, then try again", id="full"
        ),
        pytest.param(
            OSError(5, "Input/output error"), "Input/output error; check the disk and its file system, then try again", id="failing"
        ),
        pytest.param(OSError(24, "Too many open files"), "Too many open files; raise the limit with ulimit -n, then try again", id="files"),
        pytest.param(KeyError("x"), "KeyError: 'x'; this is a bug in ccterm, please report it", id="defect"),
        pytest.param(ExceptionGroup("g", [UsageError("one"), UsageError("two")]), "one", id="group"),
        pytest.param(
            ExceptionGroup("g", [UsageError("one"), KeyError("x")]),
            "KeyError: 'x'; this is a bug in ccterm, please report it",
            id="defect in a group",
        ),
    ],
)
def test_a_defect_is_called_one_and_nothing_else_is(error: Exception, said: str, state: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert explain(error) in (ExitCode.FAILED, ExitCode.USAGE)
    assert capfd.readouterr().err == "ccterm: " + said.replace("; ", "\n  ", 1) + "\n"


def test_what_cannot_be_printed_does_not_end_what_is_under_way() -> None:
    printed = list[str]()

    def printing(text: str) -> None:
        if printed:
            raise ReaderGone("gone")
        printed.append(text)

    output = Output(printing)
    for text in ("one", "two", "three"):
        output.print(text)
    assert printed == ["one"]


@pytest.mark.slow
def test_with_few_file_descriptors_runs_wait_for_each_other(state: Path, remote: Path, tmp_path: Path) -> None:
    tasks = "\n".join(f"  - {{prompt: '{script({'write': f'{n}.txt', 'text': 'x'})}', branch: b{n}}}" for n in range(3))
    (tmp_path / "tasks.yaml").write_text(f"defaults: {{repo: {remote}, mode: local, agent: scripted}}\ntasks:\n{tasks}\n")
    done = in_shell("", "batch", str(tmp_path / "tasks.yaml"), "--max-concurrent", "3", "--json", before="ulimit -n 64 &&")
    assert (done.returncode, done.stderr) == (0, "")
    assert "64 file descriptors are enough for 1 run at once; 40 at once need ulimit -n 384" in done.stdout
    assert branches(remote).keys() >= {"b0", "b1", "b2"}
