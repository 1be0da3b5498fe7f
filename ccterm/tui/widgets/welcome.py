"""What the fleet shows while there are no runs: where one would start, whether it could, and the three keys to begin with."""

from collections.abc import Sequence
from pathlib import Path

from textual.binding import Binding
from textual.content import Content
from textual.widgets import Static

from ccterm.draft import starting_directory
from ccterm.git.refs import checked_out
from ccterm.models import CheckResult, ExecutionMode
from ccterm.tui.app_base import AppBase
from ccterm.tui.start_form import repository_above, short

_KEYS = (
    ("n", "write a task and launch it, or several at once"),
    ("p", "check what runs need, with a fix for every problem"),
    ("question_mark", "show all keys"),
)
_SIGNS = {"pass": ("✓ ", "$text-success"), "warn": ("! ", "$text-warning"), "fail": ("✗ ", "bold $text-error")}
_SHOWN = {"login": "Login", "engine": "Engine"}
"""What is shown of the checks: their names, or that of their group."""
NAMES = 12
"""Cells of a fact's name."""


class Welcome(Static):
    """Repository, login, engine and keys."""

    DEFAULT_CSS = """
    Welcome { width: 100%; height: 100%; padding: 2 4; }
    """

    def __init__(self, app: AppBase) -> None:
        super().__init__(markup=False)
        self._ccterm = app
        self.filtered = False
        """Whether only some of the runs are to be shown."""

    def on_resize(self) -> None:
        """Show what is known in this width."""
        self.show()

    def show(self) -> None:
        """Show what is known by now; of runs that are filtered, that none of them passes."""
        app, count = self._ccterm, len(self._ccterm.runs)
        if self.filtered and count:
            self.update(f"{'the run does not pass' if count == 1 else f'none of {count} runs passes'} the filter; esc shows all")
            return
        facts = {"Repository": _repository(starting_directory()), **dict(_checked(app.checked, running=app.checking))}
        if app.settings.execution_mode is ExecutionMode.LOCAL:
            facts["Engine"] = Content("none needed")
        keys = [(app.get_key_display(Binding(app.key(key), "")), text) for key, text in _KEYS]
        lines = [
            Content.styled("No runs yet", "bold") if app.runs.known else Content.styled("looking for runs…", "dim"),
            Content(""),
            *(self._line(name, text) for name, text in facts.items()),
            Content(""),
            *(Content.assemble((f"{key:<4}", "bold $text-accent"), text) for key, text in keys),
        ]
        self.update(Content("\n").join(lines))

    def _line(self, name: str, text: Content) -> Content:
        """Return a fact with all its lines behind its name."""
        room = max(self.content_size.width - NAMES, 20)
        return Content.assemble((f"{name:<{NAMES}}", "dim"), Content(f"\n{' ' * NAMES}").join(text.wrap(room)))


def _repository(here: Path) -> Content:
    """Return the repository that a run would start from, and what it is on."""
    top = repository_above(here)
    if top is None:
        return Content.assemble("none: ", short(here), (" is in no working copy; a task can name one", "dim"))
    try:
        branch = checked_out(str(top))
    except OSError:
        branch = None
    return Content.assemble(short(top), ("" if branch is None else f", on {branch or 'no branch'}", "dim"))


def _checked(results: Sequence[CheckResult], *, running: bool) -> list[tuple[str, Content]]:
    """Return what the checks say: for each part the worst of its results."""
    found = []
    for part, name in _SHOWN.items():
        of_part = [result for result in results if part in (result.name, result.group)]
        if of_part:
            worst = max(of_part, key=lambda result: list(_SIGNS).index(result.status))
            fix = f"; {worst.fix}" if worst.fix and worst.status != "pass" else ""
            found.append((name, Content.assemble(_SIGNS[worst.status], worst.text, (fix, "dim"))))
        elif running:
            found.append((name, Content.styled("checking…", "dim")))
    return found
