import os
import subprocess
import sys

import psutil

from ccterm.processes import ProcessMark
from tests.support.waiting import wait_until


def test_this_process_is_alive() -> None:
    mark = ProcessMark.of(os.getpid())
    assert mark is not None
    assert mark.alive


def test_a_mark_is_the_same_each_time() -> None:
    assert ProcessMark.of(os.getpid()) == ProcessMark.of(os.getpid())


def test_a_process_that_ended_is_not_alive_though_nobody_waited_for_it() -> None:
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


def test_a_strange_program_name_confuses_nobody() -> None:
    """The name stands in brackets in front of the numbers that are read."""
    script = "import os; open('/proc/self/comm', 'w').write(') Z 1 (') if os.path.exists('/proc/self/comm') else 0; print(1, flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        mark = ProcessMark.of(child.pid)
        assert mark is not None
        assert mark.alive
        child.kill()


def test_a_number_that_no_process_has_has_no_mark() -> None:
    assert ProcessMark.of(2**22 + 1) is None
