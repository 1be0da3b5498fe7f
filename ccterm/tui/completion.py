"""Completes the repository as it is typed: from those that were used before, and from the file system."""

import asyncio
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from textual.suggester import Suggester


class RepositorySuggester(Suggester):
    """Suggests the rest of a repository's name; the right arrow takes it. known: those used before, the newest first."""

    def __init__(self, known: Callable[[], Sequence[str]]) -> None:
        super().__init__(use_cache=False, case_sensitive=True)
        self._known = known

    async def get_suggestion(self, value: str) -> str | None:
        """Return what `value` may become, or None."""
        return next(iter(await asyncio.to_thread(offers, value, self._known())), None)


def offers(text: str, known: Sequence[str]) -> list[str]:
    """Return what begins with `text`: repositories used before, then directories."""
    used = [name for name in known if name.startswith(text) and name != text]
    return list(dict.fromkeys([*used, *(_directories(text) if "/" in text and "://" not in text else ())]))


def _directories(text: str) -> Iterator[str]:
    head, _, begin = text.rpartition("/")
    try:
        with os.scandir(Path(head or "/").expanduser()) as entries:
            names = sorted(entry.name for entry in entries if entry.is_dir())
    except (OSError, RuntimeError):
        return
    for name in names:
        if name.startswith(begin) and name != begin and (begin.startswith(".") or not name.startswith(".")):
            yield f"{head}/{name}"
