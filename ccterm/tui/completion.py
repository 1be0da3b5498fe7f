"""Completes the repository: from those that were used before, and from the file system."""

import os
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path

from textual.widgets import Input
from textual_autocomplete import AutoComplete, DropdownItem, TargetState

OFFERED = 12


class RepositoryComplete(AutoComplete):
    """Offers repositories below an input."""

    def __init__(self, target: Input, known: Callable[[], Sequence[str]]) -> None:
        super().__init__(target, lambda state: [DropdownItem(name) for name in offers(state.text, known())])

    def get_search_string(self, target_state: TargetState) -> str:
        """Match the whole text."""
        return target_state.text

    def get_matches(self, target_state: TargetState, candidates: list[DropdownItem], search_string: str) -> list[DropdownItem]:  # noqa: ARG002
        """Take the offers as they are: they fit already."""
        return candidates

    def post_completion(self) -> None:
        """Tell the form, which hears nothing of a completion otherwise."""
        super().post_completion()
        self.target.post_message(Input.Changed(self.target, self.target.value))


def offers(text: str, known: Sequence[str]) -> list[str]:
    """Return what `text` may become: repositories used before that hold it, then directories that begin with it."""
    used = [name for name in known if text.casefold() in name.casefold() and name != text]
    return list(dict.fromkeys([*used, *(islice(_directories(text), OFFERED) if "/" in text and "://" not in text else ())]))[:OFFERED]


def _directories(text: str) -> Iterator[str]:
    head, _, begin = text.rpartition("/")
    try:
        with os.scandir(Path(head or "/").expanduser()) as entries:
            names = sorted(entry.name for entry in entries if entry.is_dir())
    except (OSError, RuntimeError):
        return
    for name in names:
        if name.casefold().startswith(begin.casefold()) and (begin.startswith(".") or not name.startswith(".")):
            yield f"{head}/{name}"
