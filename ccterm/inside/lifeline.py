"""The life line: stdin is a pipe held by the host, and when it ends the host is gone and nothing of this box may live on."""

import os
import signal
import threading
import time

from ccterm.inside import tree
from ccterm.inside.protocol import MARK


def start() -> None:
    """Watch stdin from a thread. At its end the whole tree is killed, at once and without a word."""
    gone, frozen = threading.Event(), threading.Event()

    def freeze(*_: object) -> None:
        while gone.is_set():
            frozen.set()
            time.sleep(1)

    def watch() -> None:
        while os.read(0, 4096):
            continue
        gone.set()
        # the main thread stands still between two steps of its own, so that it cannot start a child behind our back
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)
        frozen.wait(0.2)
        tree.kill(os.environ.get(MARK, ""))
        if os.getpgrp() == os.getpid():
            os.killpg(0, signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGKILL)

    tree.adopt_orphans()
    signal.signal(signal.SIGUSR1, freeze)
    threading.Thread(target=watch, daemon=True).start()
