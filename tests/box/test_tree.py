"""Finding and killing process trees from a program that adopts orphans."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BEGIN = f"""
import os, subprocess, sys, time
sys.path.insert(0, {str(ROOT)!r})
from ccterm.box.process import tree
tree.adopt_orphans()
def wait_until(happened):
    while not happened():
        time.sleep(0.01)
"""
Run = Callable[[str], str]


@pytest.fixture
def run() -> Run:
    """Run a piece of Python after BEGIN in a process of its own; return what it printed."""

    def run(code: str) -> str:
        done = subprocess.run([sys.executable, "-c", BEGIN + code], capture_output=True, text=True, timeout=30, check=False)
        assert done.stderr == ""
        return done.stdout

    return run


def test_an_orphan_without_environment_is_found_and_killed(run: Run) -> None:
    code = """
subprocess.run(["sh", "-c", "env -i setsid sleep 600 & exit"], env={"PATH": os.defpath})
wait_until(lambda: len(tree.members("m")) == 1)
print(tree.kill("m"), tree.members("m"))
"""
    assert run(code) == "[] []\n"


def test_a_marked_process_of_another_tree_is_found(run: Run) -> None:
    mark = os.urandom(8).hex()
    stranger = subprocess.Popen(["sleep", "600"], env={"CCTERM_MARK": mark}, start_new_session=True)
    try:
        assert run(f"print([process.pid for process in tree.members({mark!r})])") == f"[{stranger.pid}]\n"
        assert run("print(tree.members('another'), tree.members(''))") == "[] []\n"
        assert run(f"print(tree.kill({mark!r}))") == "[]\n"
        assert stranger.wait(30) == -9
    finally:
        stranger.kill()


def test_zombies_are_no_members_and_are_reaped(run: Run) -> None:
    code = """
subprocess.run(["sh", "-c", "true & exit"])
wait_until(lambda: not tree.members("m"))
def children():
    return open(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read()
tree.reap()
print(repr(children()))
"""
    assert run(code) == "''\n"


def test_the_child_itself_is_not_reaped(run: Run) -> None:
    code = """
child = subprocess.Popen(["sh", "-c", "exit 7"])
wait_until(lambda: not tree.members("m"))
tree.reap(keep=child.pid)
print(child.wait())
"""
    assert run(code) == "7\n"


def test_a_process_whose_first_thread_is_dead_is_alive(run: Run) -> None:
    program = (
        "import ctypes, threading, time; threading.Thread(target=time.sleep, args=(600,)).start(); ctypes.CDLL(None).pthread_exit(None)"
    )
    code = f"""
child = subprocess.Popen([sys.executable, "-c", {program!r}])
def state():
    return open(f"/proc/{{child.pid}}/stat").read().rpartition(")")[2].split()[0]
wait_until(lambda: state() == "Z")
print(len(tree.members("m")), tree.kill("m"), os.path.exists(f"/proc/{{child.pid}}"))
"""
    assert run(code) == "1 [] False\n"


def test_no_signal_reaches_a_later_process_with_the_same_pid(run: Run) -> None:
    code = """
import signal
child = subprocess.Popen(["sleep", "600"])
[found] = tree.members("m")
tree.send(found._replace(start="1"), signal.SIGKILL)
print(child.poll())
tree.send(found, signal.SIGKILL)
print(child.wait())
"""
    assert run(code) == "None\n-9\n"
