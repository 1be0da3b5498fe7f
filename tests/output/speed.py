"""The speed of cleaning texts, for the benchmark: `python -m tests.output.speed` prints megabytes a second on one core."""

import itertools
import json
import random
import statistics
import time
from collections.abc import Callable, Iterator

from ccterm.output.clean import Cleaner
from ccterm.output.forms import forms_of
from ccterm.output.mask import Masker
from tests.output.secrets import benign_lines, opaque

ROUNDS = 7
_LINES = (
    "I'll read the scheduler first, then write the test that shows the bug, and only then change `submit`.",
    "The failure is in `tests/test_store.py`: the second writer waits for the lock and gives up after 5 s — as it should.",
    "    async def submit(self, task: Task, *, held: bool = False) -> RunId:",
    '        """Put a task in the queue; return its run\'s id."""',
    "        if (branch := task.branch) in self._busy and not held:",
    '            raise BranchBusy(f"{branch} is in use by {self._busy[branch]}")',
    "        return await asyncio.wait_for(self._queue.put(run), timeout=settings.queue_seconds)",
    "",
    '  - [x] größere Dateien lesen → `read_text(encoding="utf-8")`',
    "tests/test_scheduler.py ....................................                                        [ 71%]",
    "   142\t+        self._slots = max(1, min(limit, os.cpu_count() or 1))",
    "On branch feature/license, nothing to commit, working tree clean",
)


def secrets(forms: int) -> dict[str, str]:
    """Return tokens, passwords with odd characters and short ones, with at least that many forms in total."""
    dice, values, count = random.Random(3), dict[str, str](), 0
    while count < forms:
        kind = len(values) % 6
        value = opaque(40, dice) if kind < 4 else opaque(9, dice) if kind == 4 else f'pw "{opaque(6, dice)}" &c.'
        count += len(forms_of(value))
        values[f"SECRET_{len(values)}"] = value
    return values


def text(size: int) -> str:
    """Return typical agent output: prose and code, some non-ASCII characters, hashes or URLs in every fifth line."""
    odd = benign_lines(size // 40)
    plain = itertools.cycle(_LINES)
    return "\n".join(next(plain) if number % 5 else next(odd) for number in range(size // 40))[:size]


def megabytes_per_second(work: Callable[[str], object], chunk: int, size: int = 1_000_000) -> float:
    """Return how fast work is done on texts of `chunk` characters: the median of some rounds, by processor time."""
    whole = text(size)
    chunks = [whole[at : at + chunk] for at in range(0, len(whole), chunk)]
    return statistics.median(_rates(work, chunks, len(whole.encode()) / 1e6))


def _rates(work: Callable[[str], object], chunks: list[str], megabytes: float) -> Iterator[float]:
    for _ in range(ROUNDS):
        begin = time.process_time()
        for chunk in chunks:
            work(chunk)
        yield megabytes / (time.process_time() - begin)


def main() -> None:
    """Print a table."""
    cleaner = Cleaner(Masker(secrets(300)))
    line = json.dumps({"type": "user", "message": {"content": [{"type": "tool_result", "content": text(2_500)}]}}, ensure_ascii=False)
    print(f"300 forms, texts of   4 KiB {megabytes_per_second(cleaner.text, 4096):6.1f} MB/s")
    print(f"300 forms, texts of  64 KiB {megabytes_per_second(cleaner.text, 65536):6.1f} MB/s")
    print(f"300 forms, stream of  4 KiB {megabytes_per_second(cleaner.stream().feed, 4096):6.1f} MB/s")
    print(f"no secret, texts of   4 KiB {megabytes_per_second(Cleaner(Masker({})).text, 4096):6.1f} MB/s")
    rates = _rates(lambda _: cleaner.value(json.loads(line), line), [""] * 1_000, len(line.encode()) / 1e3)
    print(f"300 forms, JSON lines       {statistics.median(rates):6.1f} MB/s, with json.loads")


if __name__ == "__main__":
    main()
