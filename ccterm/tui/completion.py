"""Completion of what names a repository, a batch file, or hosts."""

import asyncio
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from textual.suggester import Suggester

from ccterm.settings.egress import MODES, PRESETS

BATCH_ENDINGS = (".yaml", ".yml", ".jsonl", ".ndjson", ".json")


class RepositorySuggester(Suggester):
    """Suggests the rest of a repository's name; the right arrow accepts it. recent: those used before, the newest first."""

    def __init__(self, recent: Callable[[], Sequence[str]]) -> None:
        super().__init__(use_cache=False, case_sensitive=True)
        self._recent = recent

    async def get_suggestion(self, value: str) -> str | None:
        """Return a completion of `value`, or None."""
        return next(iter(await asyncio.to_thread(completions, value, self._recent())), None)


class PresetSuggester(Suggester):
    """Suggests the rest of the last word of a list of hosts: a preset, or what stands for no list."""

    def __init__(self) -> None:
        super().__init__(use_cache=False)

    async def get_suggestion(self, value: str) -> str | None:
        """Return a completion of `value`, or None."""
        _, comma, word = value.rpartition(",")
        begin = word.strip().lower()
        names = PRESETS if comma else (*MODES, *PRESETS)
        found = next((name for name in names if begin and name.startswith(begin) and name != begin), None)
        return f"{value}{found[len(begin) :]}" if found else None


def completions(text: str, recent: Sequence[str]) -> list[str]:
    """Return what begins with `text`: recent repositories, then directories."""
    used = [name for name in recent if name.startswith(text) and name != text]
    return list(dict.fromkeys([*used, *(_directories(text) if "/" in text and "://" not in text else ())]))


def batch_files(text: str) -> list[str]:
    """Return the batch files that begin with `text`, then the directories, which end with a slash."""
    found = _entries(text)
    files = [name for name, is_directory in found if not is_directory and name.endswith(BATCH_ENDINGS)]
    return [*files, *(f"{name}/" for name, is_directory in found if is_directory)]


def _directories(text: str) -> Iterator[str]:
    return (name for name, is_directory in _entries(text) if is_directory and name != text)


def _entries(text: str) -> list[tuple[str, bool]]:
    """Return what there is that begins with `text`, and whether it is a directory; what is hidden only when its dot was typed."""
    head, slash, begin = text.rpartition("/")
    try:
        with os.scandir(Path(f"{head}{slash}" or ".").expanduser()) as entries:
            found = sorted((entry.name, entry.is_dir()) for entry in entries)
    except (OSError, RuntimeError, ValueError):
        return []
    return [
        (f"{head}{slash}{name}", is_directory)
        for name, is_directory in found
        if name.startswith(begin) and (begin.startswith(".") or not name.startswith("."))
    ]
