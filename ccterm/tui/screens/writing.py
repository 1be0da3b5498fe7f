"""Screens on which the user writes to agents: in a box below the agent's transcript where there is one, else in a dialog."""

from collections.abc import Callable

from textual import on
from textual.widget import Widget

from ccterm.models import RunId
from ccterm.tui.screen_base import CctermScreen
from ccterm.tui.screens.dialogs import LineDialog
from ccterm.tui.widgets.answer_box import AnswerBox

Send = Callable[[str], None]


class WritingScreen(CctermScreen):
    """A screen with at most one open box. What was written and not sent is there again the next time."""

    def __init__(self) -> None:
        super().__init__()
        self._box: tuple[AnswerBox, RunId, Send] | None = None
        self._unsent: dict[RunId, str] = {}

    def answer_place(self) -> Widget | None:
        """Return what the box is put below; None = there is no room for one."""
        return None

    def write(self, run: RunId, title: str, send: Send, *, fate: str = "", begun: str = "", may_be_empty: bool = False) -> None:
        """Have the user write to the agent of a run, and pass on what is sent. fate: what becomes of it. begun: what the text is at first."""
        place = self.answer_place()
        if place is None:
            self._ask_for_line(run, title, send, fate=fate, begun=begun)
            return
        self._put_away()
        box = AnswerBox(title, text=self._unsent.pop(run, "") or begun, fate=fate, may_be_empty=may_be_empty)
        self._box = (box, run, send)
        self.mount(box, after=place)

    def _ask_for_line(self, run: RunId, title: str, send: Send, *, fate: str, begun: str) -> None:
        def answer(text: str | None) -> None:
            if text:
                self._unsent.pop(run, None)
                send(text)

        value = " ".join(self._unsent.get(run, "").split()) or begun
        self.app.push_screen(LineDialog(title, foot=" · ".join(filter(None, (fate, "enter send · esc cancel"))), value=value), answer)

    def keep_unsent(self, run: RunId, text: str) -> None:
        """Have a text that could not be delivered there again the next time, unless something else is written by then."""
        self._unsent.setdefault(run, text)

    def _put_away(self, run: RunId | None = None) -> None:
        """Close the open box, and keep its text. run: only if it is that of this run, which is about to lose its place."""
        if self._box and run in (None, self._box[1]):
            (box, run, _), self._box = self._box, None
            if box.text:  # else a message that was refused meanwhile is what there is to keep
                self._unsent[run] = box.text
            box.remove()

    @on(AnswerBox.Closed)
    def _close(self, event: AnswerBox.Closed) -> None:
        event.stop()
        self._put_away()

    @on(AnswerBox.Sent)
    def _send(self, event: AnswerBox.Sent) -> None:
        event.stop()
        if self._box and self._box[0] is event.box:
            (box, _, send), self._box = self._box, None
            box.remove()
            send(event.text)
