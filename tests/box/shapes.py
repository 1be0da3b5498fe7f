"""An agent that starts processes which are hard to get rid of: `python3 shapes.py SHAPE END`.

Each of them holds the named pipe `life` open, so that its end is theirs. END: "stay" or "leave", whether the agent itself stays.
"""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable

STORM = 200


def forked(child: Callable[[], None]) -> int:
    pid = os.fork()
    if pid:
        return pid
    child()
    while True:
        time.sleep(60)


def sleeper(*before: str, env: dict[str, str] | None = None, renamed: str = "sleep") -> None:
    argv = [*before, renamed, "600"]
    os.execvpe(before[0] if before else "sleep", argv, os.environ if env is None else env)


def nothing() -> None:
    pass


def double_fork() -> None:
    def child() -> None:
        forked(nothing)
        os._exit(0)

    forked(child)
    os.wait()


def setsid() -> None:
    forked(os.setsid)


def nohup() -> None:
    forked(lambda: sleeper("nohup"))


def sigterm_ignored() -> None:
    def deaf() -> None:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)

    forked(deaf)


def stopped() -> None:
    os.kill(forked(nothing), signal.SIGSTOP)


def stdout_held() -> None:
    def child() -> None:
        os.setsid()
        sleeper()

    forked(child)


def fork_storm() -> None:
    def spark() -> None:
        time.sleep(0.05)
        os._exit(0)

    def storm() -> None:
        living = 0
        while True:
            living += 1
            forked(spark)
            while living > STORM:
                os.wait()
                living -= 1

    forked(storm)


def runaway() -> None:
    """No process of it lives longer than it takes to fork the next one."""

    def run() -> None:
        while True:
            if os.fork():
                os._exit(0)

    forked(run)


def new_group() -> None:
    forked(lambda: os.setpgid(0, 0))


def renamed() -> None:
    forked(lambda: sleeper(renamed="[kworker/0:1]"))


def env_cleared() -> None:
    def child() -> None:
        os.setsid()
        if forked(lambda: sleeper(env={"PATH": os.environ["PATH"]})):
            os._exit(0)

    forked(child)


def zombie_parent() -> None:
    """The parent is a zombie; its children live on."""

    def child() -> None:
        forked(nothing)
        os._exit(0)

    forked(child)


def uninterruptible() -> None:
    """A process waits in vfork for its child: the nearest thing to a D state without a broken disk."""

    def child() -> None:
        if ctypes.CDLL(None).vfork() == 0:
            os.kill(os.getpid(), signal.SIGSTOP)

    forked(child)


SHAPES = {
    shape.__name__: shape
    for shape in (
        double_fork, setsid, nohup, sigterm_ignored, stopped, stdout_held, fork_storm, runaway, new_group, renamed, env_cleared, zombie_parent,
        uninterruptible,
    )
}  # fmt: skip

if __name__ == "__main__":
    os.set_inheritable(os.open("life", os.O_WRONLY), True)
    SHAPES[sys.argv[1]]()
    subprocess.run(["echo", "ready"], check=True)
    if sys.argv[2] == "stay":
        signal.pause()
