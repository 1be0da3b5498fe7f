"""Marks of processes, and small programs run with bounds."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from ccterm.processes import PIPE_BYTES, CommandResult, ProcessMark, run_command, run_command_async
from tests.support.waiting import until, wait_until


def test_this_process_is_alive() -> None:
    mark = ProcessMark.of(os.getpid())
    assert mark is not None
    assert mark.alive


def test_a_mark_is_the_same_each_time() -> None:
    assert ProcessMark.of(os.getpid()) == ProcessMark.of(os.getpid())


def test_a_zombie_is_not_alive() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        mark = ProcessMark.of(child.pid)
        assert mark is not None
        assert is_alive(mark)
        child.kill()
        wait_until(lambda: psutil.Process(child.pid).status() == psutil.STATUS_ZOMBIE)
        assert not is_alive(mark)
    assert not is_alive(mark)


def is_alive(mark: ProcessMark) -> bool:
    return mark.alive


def test_a_strange_program_name_is_no_problem() -> None:
    """The name is in brackets before the numbers that are read."""
    script = "import os; open('/proc/self/comm', 'w').write(') Z 1 (') if os.path.exists('/proc/self/comm') else 0; print(1, flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        mark = ProcessMark.of(child.pid)
        assert mark is not None
        assert mark.alive
        child.kill()


def test_an_unused_pid_has_no_mark() -> None:
    assert ProcessMark.of(2**22 + 1) is None


def script(text: str) -> list[str]:
    return [sys.executable, "-c", text]


def test_a_command_gets_its_own_environment_and_no_input() -> None:
    found = run_command(script("import os, sys; print(os.environ['NAME'], repr(sys.stdin.read()))"), env={"NAME": "x"}, seconds=60)
    assert found == CommandResult(0, b"x ''\n", cut=False)


def test_a_command_may_be_given_its_input() -> None:
    found = run_command(script("import sys; print(len(sys.stdin.read()))"), env=None, seconds=60, stdin=b"x" * PIPE_BYTES)
    assert found == CommandResult(0, b"%d\n" % PIPE_BYTES, cut=False)
    with pytest.raises(ValueError, match="input"):
        run_command(["true"], env=None, seconds=60, stdin=b"x" * (PIPE_BYTES + 1))


def test_the_errors_of_a_command_belong_to_its_output_on_request() -> None:
    both = script("import os; os.write(1, b'out '); os.write(2, b'err'); os._exit(3)")
    assert run_command(both, env=None, seconds=60) == CommandResult(3, b"out ", cut=False)
    assert run_command(both, env=None, seconds=60, stderr=True) == CommandResult(3, b"out err", cut=False)


def test_a_flood_is_cut_and_read_to_its_end() -> None:
    found = run_command(script("import os\nfor _ in range(64): os.write(1, b'x' * 65536)"), env=None, seconds=60, limit=1000)
    assert found == CommandResult(0, b"x" * 1000, cut=True)


def test_of_a_command_without_a_limit_only_the_end_is_known() -> None:
    assert run_command(script("import os; os.write(1, b'x' * 1000000); os.abort()"), env=None, seconds=60, limit=0).code == -signal.SIGABRT


def test_a_command_that_does_not_exist_cannot_be_started(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        run_command([tmp_path / "nothing"], env=None, seconds=60)


FAMILY = "import os, sys, time; child = os.fork(); child or os.execlp('sleep', 'sleep', '300'); os.write(1, b'%d' % child); "


@pytest.mark.parametrize("ending", ["time.sleep(300)", "os.close(1); os.close(2); time.sleep(300)", ""], ids=["hangs", "deaf", "ended"])
def test_a_command_is_killed_with_its_children_when_its_time_is_up(tmp_path: Path, ending: str) -> None:
    note = tmp_path / "pid"
    with pytest.raises(TimeoutError, match="did not end within 1 s"):
        run_command(script(f"{FAMILY}open({str(note)!r}, 'w').write(str(child)); {ending}"), env=None, seconds=1)
    left = ProcessMark.of(int(note.read_text()))
    wait_until(lambda: left is None or not left.alive)


def test_a_flood_without_end_is_ended_by_the_clock() -> None:
    with pytest.raises(TimeoutError):
        run_command(["yes"], env=None, seconds=0.2, limit=10)


async def test_a_command_leaves_the_loop_free() -> None:
    found = await run_command_async(script("print('done')"), env=None, seconds=60)
    assert found == CommandResult(0, b"done\n", cut=False)


async def test_a_cancelled_command_is_killed_with_its_children(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    text = f"{FAMILY}open({str(note)!r} + '~', 'w').write(str(child)); os.rename({str(note)!r} + '~', {str(note)!r}); time.sleep(300)"
    task = asyncio.create_task(run_command_async(script(text), env=None, seconds=300))
    await until(note.exists)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    left = ProcessMark.of(int(note.read_text()))
    wait_until(lambda: left is None or not left.alive)


@pytest.mark.parametrize(("soft", "hard", "wanted", "left"), [(64, 128, 100, 100), (64, 80, 100, 80), (120, 128, 100, 120)])
def test_the_limit_of_open_files_is_raised_as_far_as_it_may(soft: int, hard: int, wanted: int, left: int) -> None:
    program = (
        f"import resource; resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))\n"
        f"from ccterm.processes import raise_descriptor_limit; print(raise_descriptor_limit({wanted}))\n"
        "print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(left)] * 2
