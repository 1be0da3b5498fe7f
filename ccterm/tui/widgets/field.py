"""A labelled input of a form, with what is wrong with it, and completion for the one that names a repository."""

import asyncio
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.suggester import Suggester
from textual.widgets import Input, Label, Static


class Field(Vertical):
    """A labelled input. Its id is the name of the field."""

    DEFAULT_CSS = """
    Field {
        height: auto; width: 1fr;
        Horizontal { height: 1; }
        Label { width: 13; color: $text-muted; padding: 0 1; }
        &:focus-within Label { color: $text-accent; text-style: bold; }
        Input { width: 1fr; background: $surface; }
        &:focus-within Input { background: $panel; }
        #note { width: auto; max-width: 50%; height: 1; color: $text-muted; padding: 0 1; text-wrap: nowrap; text-overflow: ellipsis; }
        #problem { height: auto; color: $text-error; padding: 0 1 0 14; display: none; }
        &.-wrong #problem { display: block; }
    }
    """

    def __init__(self, name: str, label: str, *, value: str = "", placeholder: str = "") -> None:
        super().__init__(id=name)
        self._label = label
        self.input = Input(value, placeholder=placeholder, compact=True, select_on_focus=False)
        self._note = Static("", id="note", markup=False)
        self._problem = Static("", id="problem", markup=False)

    def compose(self) -> ComposeResult:
        """Lay out label, input, note and problem."""
        with Horizontal():
            yield Label(self._label, markup=False)
            yield self.input
            yield self._note
        yield self._problem

    def show(self, *, problem: str = "", note: str = "") -> None:
        """Show what is wrong with the input, and a note beside it."""
        self.set_class(bool(problem), "-wrong")
        self._problem.update(problem)
        self._note.update(note)


class RepositorySuggester(Suggester):
    """Suggests the rest of a repository's name; the right arrow accepts it. recent: those used before, the newest first."""

    def __init__(self, recent: Callable[[], Sequence[str]]) -> None:
        super().__init__(use_cache=False, case_sensitive=True)
        self._recent = recent

    async def get_suggestion(self, value: str) -> str | None:
        """Return a completion of `value`, or None."""
        return next(iter(await asyncio.to_thread(completions, value, self._recent())), None)


def completions(text: str, recent: Sequence[str]) -> list[str]:
    """Return what begins with `text`: recent repositories, then directories."""
    used = [name for name in recent if name.startswith(text) and name != text]
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
