"""Every git is bounded in time, memory and output."""

import io
import os
import sys
import time
from pathlib import Path

import pytest

from ccterm.git.child import BoundedChild, ChildResult, ChildStopped
from ccterm.git.git import Git, GitError
from ccterm.git.memory import most_memory, with_memory
from ccterm.processes import ProcessMark

ENV = {"PATH": os.environ["PATH"]}


def python(code: str, **bounds: float | int | bytes) -> ChildResult:
    with BoundedChild([sys.executable, "-I", "-S", "-c", code], ENV, **bounds) as child:  # type: ignore[arg-type]
        return child.result()


def git_that(tmp_path: Path, does: str) -> Git:
    """Return a Git whose program does something else."""
    program = tmp_path / "bin" / "git"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\n{does}\n")
    program.chmod(0o755)
    return Git(env={"PATH": f"{program.parent}:{os.environ['PATH']}"})


def test_more_goes_in_and_comes_out_than_pipes_hold() -> None:
    data = os.urandom(1 << 20)
    copy = "import sys; d = sys.stdin.buffer.read(); sys.stderr.write('e' * 2_000_000); sys.stdout.buffer.write(d + d); sys.exit(3)"
    found = python(copy, stdin=data)
    assert (found.code, found.output, found.errors) == (3, data + data, b"e" * (1 << 20))


def test_one_that_reads_nothing_of_its_input_ends_all_the_same() -> None:
    assert python("print('done')", stdin=b"x" * (1 << 20)).output == b"done\n"


def test_one_that_does_not_end_is_killed_with_its_helpers() -> None:
    code = "import os, time\nif helper := os.fork(): print(helper, flush=True)\ntime.sleep(60)"
    with BoundedChild([sys.executable, "-I", "-S", "-c", code], ENV, seconds=2) as child:
        blocks = child.blocks()
        helper = ProcessMark.of(int(next(blocks)))
        with pytest.raises(ChildStopped, match="did not end within 2 s") as stopped:
            next(blocks)
    assert stopped.value.bound == "time"
    assert helper is not None
    while helper.alive:
        time.sleep(0.01)


def test_one_that_prints_without_end_is_stopped() -> None:
    with pytest.raises(ChildStopped, match="more than 1 MiB"):
        python("while True: print('x' * 4096)", output=1 << 20)


@pytest.mark.parametrize("text", ["", "a", "a\n", "\n\n", "a\nb", "é" * 300_000 + "\n" + "b\n" * 3])
def test_lines_are_those_of_a_file(text: str) -> None:
    code = "import sys; sys.stdout.buffer.write(sys.stdin.buffer.read())"
    with BoundedChild([sys.executable, "-I", "-S", "-c", code], ENV, stdin=text.encode() or b"") as child:
        assert list(child.lines()) == list(io.BytesIO(text.encode()))
        assert child.code == 0


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux bounds memory")
def test_memory_is_bounded_for_every_program_and_its_helpers() -> None:
    ask = "import resource, sys; sys.stdin.read(); print(resource.getrlimit(resource.RLIMIT_DATA)[0])"
    assert int(python(ask, stdin=b"now").output) == most_memory(), "nothing is given to it before it is bounded"
    helper = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {ask!r}])"
    with BoundedChild(with_memory([sys.executable, "-c", helper], ENV, 300 << 20), ENV) as child:
        assert int(child.result().output) == 300 << 20


def test_a_program_that_is_not_there_is_a_system_error_with_a_bound_on_memory_too() -> None:
    with pytest.raises(FileNotFoundError):
        with_memory(["no-such-program"], ENV, 1 << 30)


@pytest.mark.parametrize(("does", "reason"), [("exec sleep 60", "timeout"), ("exec yes", "output")])
def test_a_git_that_passes_a_bound_is_an_error_with_a_reason(tmp_path: Path, does: str, reason: str) -> None:
    with pytest.raises(GitError) as found:
        git_that(tmp_path, does).run("status", timeout=0.5 if reason == "timeout" else 30, output=1 << 20)
    assert found.value.reason == reason
    assert "git status" in found.value.detail


def test_a_git_without_memory_says_so(tmp_path: Path) -> None:
    with pytest.raises(GitError) as found:
        git_that(tmp_path, "echo 'fatal: Out of memory, malloc failed (tried to allocate 9 bytes)' >&2; exit 128").run("ls-tree")
    assert (found.value.reason, found.value.detail) == ("memory", "Out of memory, malloc failed (tried to allocate 9 bytes)")
