"""What can be done to several runs at once: to those that are selected, or to the current one when none is."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TYPE_CHECKING, ClassVar

from ccterm.errors import CctermError
from ccterm.models import Run, RunId
from ccterm.tui.layout import in_order
from ccterm.tui.possible import why_not
from ccterm.tui.run_text import short_name
from ccterm.tui.run_view import RunView
from ccterm.tui.screen_base import CctermScreen
from ccterm.tui.screens.dialogs import Choice, ChoiceDialog

if TYPE_CHECKING:  # importing the service takes long, and the first frame does not need it
    from ccterm.service.protocol import Service


class SelectedRuns(CctermScreen):
    """A screen with a current run, and on some screens several selected ones."""

    SELECTS: ClassVar[bool] = False
    """Whether runs can be selected on this screen."""

    def current_run(self) -> RunView | None:
        """Return the run that actions apply to while none is selected."""
        raise NotImplementedError

    def selected_runs(self) -> list[RunView]:
        """Return the selected runs, in order; none on a screen on which nothing can be selected."""
        selected = self.ccterm.selected if self.SELECTS else ()
        return in_order(view for view in self.ccterm.runs if view.run.id in selected)

    def selection_changed(self) -> None:
        """Show what is selected now."""

    def select(self, runs: Iterable[RunId]) -> None:
        """Select these runs, and no others."""
        self.ccterm.selected = set(runs)
        self.selection_changed()
        self.refresh_bindings()

    def action_select(self) -> None:
        """Select the current run, or not any longer."""
        if view := self.current_run():
            self.select(self.ccterm.selected ^ {view.run.id})

    def why_not(self, action: str) -> str:
        """Return why an action can be done to none of the runs that it would apply to, as a sentence; "" when it can be."""
        selected = self.selected_runs() if action in _ON_SEVERAL else []
        if not selected:
            view = self.current_run()
            reason = why_not(action, view)
            return f"{short_name(view.run)} {reason}" if view and reason else reason
        reasons = [why_not(action, view) for view in selected]
        return "" if "" in reasons else f"none of the {len(selected)} selected runs: {short_name(selected[0].run)} {reasons[0]}"

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer only what can be done now."""
        if self.why_not(action):
            return False if action in _KEYS_OF_OTHERS else None
        return super().check_action(action, parameters)

    def action_cancel(self) -> None:
        """Ask how to stop, and stop."""
        runs = self._possible("cancel")[::-1]  # the newest first, or each that ends would start the next
        subject = _counted(runs)

        def stop(answer: str | None) -> None:
            if answer:
                self._on_each(
                    runs, lambda service, run: service.cancel(run.id, now=answer == "k"), lambda done: f"stopping {_counted(done)}"
                )

        it, its = ("it", "its") if len(runs) == 1 else ("them", "their")
        choices = [Choice("s", f"stop {it} and keep {its} work"), Choice("k", f"kill {it} now and keep nothing")]
        self.app.push_screen(ChoiceDialog(f"Stop {subject}?", choices), stop)

    def action_retry(self) -> None:
        """Run the same tasks again."""

        async def retry(service: "Service", run: Run) -> None:
            self.ccterm.find_new_runs(focus=(await service.retry(run.id)).id)

        self._on_each(self._possible("retry"), retry, lambda done: f"{_counted(done)} {_are(done)} queued again")

    def action_push(self) -> None:
        """Push the work that was kept."""

        async def push(service: "Service", run: Run) -> None:
            self.ccterm.update_run(await service.push(run.id))

        self._on_each(self._possible("push"), push, lambda done: f"{_counted(done)} {_are(done)} pushed")

    def action_review(self) -> None:
        """Mark the runs as reviewed."""

        async def review(service: "Service", run: Run) -> None:
            self.ccterm.update_run(await service.review(run.id))

        self._on_each(self._possible("review"), review, lambda done: f"{len(done)} runs are reviewed" if len(done) > 1 else "")

    def _possible(self, action: str) -> list[Run]:
        """Return the runs that an action can be done to: of the selected ones, or of the current one alone."""
        current = self.current_run()
        views = self.selected_runs() or ([current] if current else [])
        return [view.run for view in views if not why_not(action, view)]

    def _on_each(
        self, runs: Sequence[Run], work: "Callable[[Service, Run], Awaitable[None]]", said: Callable[[Sequence[Run]], str]
    ) -> None:
        """Do something to each run, one after the other; an error ends it only for that run. said: what to say of those it was done to."""

        async def carry_out(service: "Service") -> str:
            done, errors = list[Run](), list[CctermError]()
            for run in runs:
                try:
                    await work(service, run)
                    done.append(run)
                except CctermError as error:
                    errors.append(error)
            if len(runs) > 1 or not errors:
                self.select([])
            if errors and len(runs) > 1:
                self.ccterm.notify(errors[0].message, title=f"{len(errors)} of {len(runs)} runs: not done", severity="error", markup=False)
            elif errors:
                raise errors[0]
            return said(done) if done else ""

        self.ccterm.perform(carry_out)


def _counted(runs: Sequence[Run]) -> str:
    return short_name(runs[0]) if len(runs) == 1 else f"{len(runs)} runs"


def _are(runs: Sequence[Run]) -> str:
    return "is" if len(runs) == 1 else "are"


_KEYS_OF_OTHERS = ("decide", "refuse")
"""Actions whose keys mean something else while they cannot be done."""
_ON_SEVERAL = ("cancel", "retry", "push", "review")
