"""A screen whose terminal is gone ends, even when it hangs and hears no signal."""

import os
import pty
import signal
import subprocess
import sys

DEAF = """
import signal, threading
from ccterm.cli.tty_guard import guarded
def work(parent):
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    print("up", flush=True)
    threading.Event().wait()
    return 0
raise SystemExit(guarded(work, grace=0.2))
"""


def test_a_hanging_screen_ends_some_time_after_its_terminal() -> None:
    ours, theirs = pty.openpty()
    parent = subprocess.Popen([sys.executable, "-c", DEAF], stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True)
    os.close(theirs)
    said = b""
    while not said.endswith(b"\n"):  # the whole line: it is still writing until then
        said += os.read(ours, 100)
    assert said.strip() == b"up"
    os.close(ours)
    assert parent.wait(60) == 128 + signal.SIGHUP  # it waits for its child, the screen, and tells how that ended
