"""Where the user writes to an agent: a few lines docked below its transcript, so that the question above them stays visible."""

from typing import ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip
from textual.widgets import TextArea

from ccterm.tui.widgets.header import SplitLine

OUR_KEYS = {"enter": "send", "shift+enter": "new_line", "ctrl+j": "new_line", "escape": "close"}


class AnswerText(TextArea):
    """The text: enter sends it, shift+enter or ctrl+j begins another line."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "send", "Send"),
        Binding("ctrl+j,shift+enter", "new_line", "New line"),  # ctrl+j first: not every terminal tells of shift+enter
        Binding("escape", "close", "Close"),
    ]

    class Sent(Message):
        """The user sends the text."""

    class Closed(Message):
        """The user does not."""

    def render_lines(self, crop: Region) -> list[Strip]:
        """Return the lines of a region; none are left once it was removed."""
        if not self.is_attached:  # a dialog that opens just then paints what it covers as it was, but the styles are gone
            return [Strip.blank(crop.width)] * crop.height
        return super().render_lines(crop)

    async def on_key(self, event: events.Key) -> None:
        """Take our keys before the text area does, which would insert a line for enter."""
        if event.key in OUR_KEYS:
            event.stop()
            event.prevent_default()
            await self.run_action(OUR_KEYS[event.key])

    def action_send(self) -> None:
        """Send the text."""
        self.post_message(self.Sent())

    def action_new_line(self) -> None:
        """Begin another line."""
        self.insert("\n")

    def action_close(self) -> None:
        """Close the box."""
        self.post_message(self.Closed())


class AnswerBox(Vertical):
    """A title and the text; the footer has the keys. fate: what becomes of the text. may_be_empty: whether one without a word is sent, too."""

    DEFAULT_CSS = """
    AnswerBox {
        height: auto; max-height: 60%; background: $surface; border-left: thick $accent; padding: 0 1;
        & > SplitLine { padding: 0; color: $text-accent; text-style: bold; }
        & > AnswerText, & > AnswerText:focus { height: auto; min-height: 1; max-height: 6; border: none; padding: 0; background: $surface; }
    }
    """

    class Sent(Message):
        """The text is complete."""

        def __init__(self, box: "AnswerBox", text: str) -> None:
            super().__init__()
            self.box = box
            self.text = text

    class Closed(Message):
        """The box is to be closed; its text was not sent."""

    def __init__(self, title: str, *, text: str = "", fate: str = "", may_be_empty: bool = False) -> None:
        super().__init__()
        self._title = title
        self._text = text
        self._fate = fate
        self._may_be_empty = may_be_empty

    def compose(self) -> ComposeResult:
        """Lay out title and text."""
        yield SplitLine(self._title, self._fate)
        yield AnswerText(self._text, compact=True, show_line_numbers=False, highlight_cursor_line=False)

    def on_mount(self) -> None:
        """Give the text the keyboard, behind what is already there."""
        text = self.query_one(AnswerText)
        text.focus()
        text.move_cursor(text.document.end)

    @property
    def text(self) -> str:
        """What is written now."""
        return self.query_one(AnswerText).text if self.is_mounted else self._text

    @on(AnswerText.Sent)
    def _send(self, event: AnswerText.Sent) -> None:
        event.stop()
        text = self.text.strip()
        if text or self._may_be_empty:
            self.post_message(self.Sent(self, text))

    @on(AnswerText.Closed)
    def _close(self, event: AnswerText.Closed) -> None:
        event.stop()
        self.post_message(self.Closed())
