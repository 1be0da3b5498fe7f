"""The terminal against its peers, on a pseudo-terminal of 200×50: a hello-world Textual app, and tmux showing the same lines. Prints; asserts nothing.

key      under the named load: key written → its mark read back from the terminal
jump     key written → a random position of a run of 1 M lines is on the screen
resize   window size changed → a complete frame in which all panes have their new size
CPU      user and system time of the program that shows the panes, without the one that writes the lines
"""

import contextlib
import fcntl
import os
import pty
import random
import re
import select
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil

PANES = 16
ROWS, COLUMNS = 50, 200
SMALL = (40, 160)
SECONDS = 5.0
ROUNDS = 5
"""How often each start is measured."""
HELLO = "from textual.app import App\nfrom textual.widgets import Static\nclass H(App):\n    def compose(self):\n        yield Static('READY')\nH().run()\n"
PROGRAMS = Path(__file__).resolve().parent / "tui_programs"
SHOW, WRITE = ([sys.executable, str(PROGRAMS / name)] for name in ("panes.py", "lines.py"))


# The programs -----------------------------------------------------------------------------------------------------------------------------


class Terminal:
    """A program on a pseudo-terminal."""

    def __init__(self, words: Sequence[str]) -> None:
        env = {name: value for name, value in os.environ.items() if name not in ("TMUX", "NO_COLOR")}
        self.begin = time.monotonic()
        self.pid, self._descriptor = pty.fork()
        if self.pid == 0:
            os.execvpe(words[0], list(words), {**env, "TERM": "xterm-256color", "COLORTERM": "truecolor"})
        self.resize(ROWS, COLUMNS)
        self._tail = b""

    def resize(self, rows: int, columns: int) -> None:
        """Change its size."""
        fcntl.ioctl(self._descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def read(self, seconds: float, until: str = "") -> float | None:
        """Read its output for `seconds`, or until a text appears; then return how long that took, in milliseconds."""
        start, wanted, tail = time.monotonic(), re.compile(until.encode()) if until else None, b""
        while (left := start + seconds - time.monotonic()) > 0:
            if not select.select([self._descriptor], [], [], left)[0]:
                break
            try:
                data = os.read(self._descriptor, 65536)
            except OSError:  # the program has ended
                return None
            if wanted and wanted.search(tail + data):
                return (time.monotonic() - start) * 1000
            tail = (tail + data)[-256:]
        return None

    def ask(self, key: str, mark: str) -> float | None:
        """Press a key; return the milliseconds until a text appears."""
        os.write(self._descriptor, key.encode())
        return self.read(5, mark)

    def family(self) -> list[psutil.Process]:
        """Return it and its descendants: the screen of ccterm runs in a child."""
        itself = psutil.Process(self.pid)
        return [itself, *itself.children(recursive=True)]

    def end(self) -> None:
        """End it, and wait until nothing of it is left that could write into its directory."""
        family = self.family()
        for process in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(family)
        os.close(self._descriptor)


def cpu(*pids: int) -> float:
    """Return the CPU time that processes have used, in seconds."""
    return sum(sum(psutil.Process(pid).cpu_times()[:2]) for pid in pids)


def memory(pid: int) -> float:
    """Return the memory of a process, in megabytes."""
    return float(psutil.Process(pid).memory_info().rss) / 1e6


# The measurements -------------------------------------------------------------------------------------------------------------------------


def row(name: str, value: float, unit: str, bar: str, peer: float | None = None) -> None:
    """Print one figure, and its peer's if there is one."""
    beside = f"{peer:>9.1f}  ratio {value / peer if peer else 0:>5.2f}" if peer is not None else " " * 22
    print(f"{name:<46} {value:>8.1f} {unit:<3} {beside}   bar: {bar}", flush=True)


def p95(values: Sequence[float | None]) -> float:
    """Return the 95th percentile; what never happened counts as five seconds."""
    ordered = sorted(5000.0 if value is None else value for value in values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * 0.95))]


def first_frame(words: Sequence[str], shows: str = "READY") -> tuple[float, float]:
    """Return the milliseconds until a program shows a text, and those of CPU time that it has used by then."""
    terminal = Terminal(words)
    terminal.read(10, shows)
    took = (time.monotonic() - terminal.begin) * 1000
    used = cpu(*(process.pid for process in terminal.family())) * 1000
    terminal.end()
    return took, used


def first_frame_rows(place: Path) -> None:
    """Print the start-up time of ccterm, and of panes, against a hello-world app: all by turns, after a round that warms the bytecode."""
    hello = place / "hello.py"
    hello.write_text(HELLO)
    itself = ["env", f"CCTERM_STATE_DIR={place / 'state'}", f"HOME={place}", sys.executable, "-m", "ccterm", "--foreground"]
    programs = {
        "hello": ([sys.executable, str(hello)], "READY"),
        "ccterm": (itself, "Quit"),
        "ccterm until its fleet is there": (itself, "No runs yet"),
        "4 panes": ([*SHOW, str(place), "4"], "READY"),
        "16 panes": ([*SHOW, str(place), "16"], "READY"),
    }
    rounds = [{name: first_frame(*program) for name, program in programs.items()} for _ in range(ROUNDS + 1)][1:]
    took, used = ({name: statistics.median(each[name][which] for each in rounds) for name in programs} for which in (0, 1))
    for name in list(programs)[1:]:
        bar = "-" if "until" in name else "1.5 x"
        row(f"first frame, {name}", took[name], "ms", bar, took["hello"])
        row("  CPU time by then", used[name], "ms", bar, used["hello"])


@contextlib.contextmanager
def writing(place: Path, rate: float) -> Iterator[None]:
    """Write to all transcripts from another process."""
    author = subprocess.Popen([*WRITE, "write", str(place), str(PANES), str(rate)])
    try:
        yield
    finally:
        author.kill()
        author.wait()


def used(terminal: Terminal, pids: Sequence[int], seconds: float = SECONDS) -> float:
    """Return how much of a core processes use, in percent, while no key is pressed."""
    before, start = cpu(*pids), time.monotonic()
    terminal.read(seconds)
    return 100 * (cpu(*pids) - before) / (time.monotonic() - start)


def tmux_use(place: Path, rate: float) -> float:
    """Return how much of a core tmux uses to show the same lines."""
    tmux = ["tmux", "-S", str(place / "tmux"), "-f", "/dev/null"]
    command = "exec " + " ".join([*WRITE, "print", str(rate)])
    subprocess.run([*tmux, "new-session", "-d", "-x", str(COLUMNS), "-y", str(ROWS), command], check=True)
    for _ in range(PANES - 1):
        subprocess.run([*tmux, "split-window", command], check=True)
        subprocess.run([*tmux, "select-layout", "tiled"], check=True)
    server = int(subprocess.run([*tmux, "display", "-p", "#{pid}"], capture_output=True, text=True, check=True).stdout)
    terminal = Terminal([*tmux, "attach"])
    try:
        terminal.read(2.0)
        return used(terminal, (server, terminal.pid))
    finally:
        terminal.end()
        subprocess.run([*tmux, "kill-server"], capture_output=True, check=False)


def rate_rows(place: Path, terminal: Terminal, name: str, rate: float, bar: str) -> None:
    """Print key times and CPU use under a rate of lines, and tmux's CPU use under the same."""
    with writing(place, rate):
        terminal.read(1.0)
        share = used(terminal, (terminal.pid,))
        keys = [_press(terminal, letter) for letter in "abcdefhilmopqrstuvxz" * 2]
    row(f"{name}: key to paint, median", statistics.median(key or 5000.0 for key in keys), "ms", "-")
    row(f"{name}: key to paint, p95", p95(keys), "ms", "50 ms")
    row(f"{name}: CPU, tmux beside it", share, "%", bar, tmux_use(place, rate))


def _press(terminal: Terminal, letter: str) -> float | None:
    took = terminal.ask(letter, letter.upper() * 6)
    terminal.read(random.uniform(0.05, 0.15))
    return took


def main(parts: Sequence[str]) -> None:
    """Print the figures of some parts: frame, panes."""
    print(f"load of this machine: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores; above 1 a core, times are not comparable")
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary)
        if "frame" in parts:
            first_frame_rows(place)
        if "panes" in parts:
            panes_rows(place)


def panes_rows(place: Path) -> None:
    """Print the figures of sixteen panes, the first of which shows a long run."""
    subprocess.run([*WRITE, "long", str(place / "0.ndjson")], check=True)
    terminal = Terminal([*SHOW, str(place), str(PANES)])
    try:
        terminal.read(10, "READY")
        terminal.read(2.0)
        before = memory(terminal.pid)
        row("idle: CPU", used(terminal, (terminal.pid,), 3.0), "%", "1 % of a core")
        rate_rows(place, terminal, "16 panes, 80 lines/s in all", 80 / PANES, "3 x")
        rate_rows(place, terminal, "16 panes x 5,000 lines/s", 5000, "2 x")
        with writing(place, 5000):
            terminal.read(0.5)
            jumps = [_jump(terminal, n) for n in range(1, 31)]
            resizes = [_resize(terminal, n) for n in range(12)]
        row("jump in a run of 1 M lines, median", statistics.median(took or 5000.0 for took in jumps), "ms", "-")
        row("jump in a run of 1 M lines, p95", p95(jumps), "ms", "50 ms")
        row("resize, median", statistics.median(took or 5000.0 for took in resizes), "ms", "-")
        row("resize, p95", p95(resizes), "ms", "100 ms")
        lines = sum(path.stat().st_size for path in place.glob("*.ndjson")) / 1e6
        row(f"growth of memory, {lines:,.0f} MB of transcripts", memory(terminal.pid) - before, "MB", "60 MB")
    finally:
        terminal.end()


def _jump(terminal: Terminal, number: int) -> float | None:
    took = terminal.ask("J", f"jump{number:04d}")
    terminal.read(0.1)
    return took


def _resize(terminal: Terminal, number: int) -> float | None:
    rows, columns = SMALL if number % 2 == 0 else (ROWS, COLUMNS)
    terminal.resize(rows, columns)
    took = terminal.read(3, f"w{columns}")
    terminal.read(0.3)
    return took


if __name__ == "__main__":
    main(sys.argv[1:] or ("frame", "panes"))
