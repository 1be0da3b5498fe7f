"""The pane: a run's transcript on the screen, as it grows. Keys, search, filter and copy; the rows are painted by its view.

A five-line app shows all there is to using it:

    class Example(App[None]):
        def compose(self) -> ComposeResult:
            yield EventPane(Path("transcript.ndjson"))
"""

from pathlib import Path
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.geometry import Region
from textual.message import Message
from textual.reactive import reactive
from textual.strip import Strip

from ccterm.tui.pane.clock import FrameClock
from ccterm.tui.pane.lines import words
from ccterm.tui.pane.prompt import Prompt
from ccterm.tui.pane.query import Query
from ccterm.tui.pane.source import ByteStore, FileStore, MemoryStore
from ccterm.tui.pane.view import ViewportView


class Clear(Vertical):
    """Paints nothing: what its children leave free shows what lies beneath. Textual would put an empty row behind each of theirs, each frame."""

    def render_lines(self, crop: Region) -> list[Strip]:  # noqa: ARG002 - as Textual calls it
        """Return no rows."""
        return []


class EventPane(Clear):
    """Shows one run's transcript: follows its end unless one has scrolled, finds, filters, folds and copies.

    It has neither border nor title: put it into something that has. The focus is in its view; style by `:focus-within`.
    """

    DEFAULT_CSS = """
    EventPane { width: 1fr; height: 1fr; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "scroll_rows(-1)", "Up", show=False),
        Binding("down,j", "scroll_rows(1)", "Down", show=False),
        Binding("pageup", "scroll_pages(-1)", "Page up", show=False),
        Binding("pagedown", "scroll_pages(1)", "Page down", show=False),
        Binding("home,g", "first_row", "Begin", show=False),
        Binding("end,G", "follow", "Follow", show=False),
        Binding("left_square_bracket", "choose(False)", "Event before", show=False),
        Binding("right_square_bracket", "choose(True)", "Next event", show=False),
        Binding("enter", "fold", "Unfold"),
        Binding("slash", "search", "Search"),
        Binding("n", "find(True)", "Next match"),
        Binding("N", "find(False)", "Match before", show=False),
        Binding("E", "find_error", "Last error", show=False),
        Binding("F", "filter", "Filter lines", show=False),
        Binding("w", "wrap", "Wrap", show=False),
        Binding("y", "copy", "Copy", show=False),
        Binding("escape", "leave", "Clear", show=False),
    ]

    following: reactive[bool] = reactive(True)
    """Whether the end is shown, whatever comes. Scrolling changes it; it may be set to follow again."""
    new_lines: reactive[int] = reactive(0)
    """Lines that came since the end is not followed; counted up to 9,999."""
    wrap: reactive[bool] = reactive(True)
    """Whether what is too long goes on in the next row; else it is cut."""

    class Scrolled(Message):
        """The pane follows the end again, or no longer does."""

        def __init__(self, pane: "EventPane", *, following: bool) -> None:
            super().__init__()
            self.pane = pane
            self.following = following

        @property
        def control(self) -> "EventPane":
            """The pane."""
            return self.pane

    class Copied(Message):
        """The text of an event is in the clipboard."""

        def __init__(self, pane: "EventPane", text: str) -> None:
            super().__init__()
            self.pane = pane
            self.text = text

        @property
        def control(self) -> "EventPane":
            """The pane."""
            return self.pane

    def __init__(
        self,
        path: Path | None = None,
        *,
        run: str = "",
        clock: FrameClock | None = None,
        name: str | None = None,
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        """Show the transcript at `path`, which need not be there yet; None shows nothing until `show`.

        run: id of the run, for whoever gets the pane's messages. clock: one for all panes of an app; None = one of its own.
        """
        super().__init__(name=name, id=id, classes=classes)
        self.run = run
        self._view = ViewportView(_store(path), clock or FrameClock())
        self._prompt: Prompt | None = None

    def compose(self) -> ComposeResult:
        """Lay out the rows."""
        yield self._view

    def focus(self, scroll_visible: bool = True) -> "EventPane":
        """Give the keys to this pane."""
        self._view.focus(scroll_visible)
        return self

    def show(self, what: Path | ByteStore | None, *, run: str = "") -> None:
        """Show another transcript, from its end; None shows nothing."""
        self.run = run
        self._close_prompt()
        self._view.show(_store(what))

    def search(self, text: str) -> None:
        """Look for words and mark them; `find` goes to them. See `Query`."""
        self._view.reel.look_for(Query(text))
        self._view.refresh_rows()

    def filter(self, text: str) -> None:
        """Show only events that hold these words, or are of these kinds. See `Query`."""
        self._view.reel.filter(Query(text))
        self._view.refresh_rows()

    def show_share(self, share: float) -> None:
        """Show the place so far down the transcript: 0 its begin, 1 its end."""
        self._view.reel.show_share(share)
        self._view.refresh_rows()

    def refresh_rows(self) -> None:
        """Look for news and paint, without waiting for the clock."""
        self._view.refresh_rows()

    def watch_following(self, following: bool) -> None:
        """Follow when told so."""
        if following and not self._view.reel.following:
            self.action_follow()

    def watch_wrap(self, wrap: bool) -> None:
        """Wrap or cut."""
        self._view.reel.set_wrap(wrap)
        self._view.paint()

    @on(ViewportView.Updated)
    def _follow_view(self, event: ViewportView.Updated) -> None:
        event.stop()
        reel = self._view.reel
        self.new_lines = reel.new_lines
        if self.following != reel.following:
            self.following = reel.following
            self.post_message(self.Scrolled(self, following=reel.following))
        if self._prompt:
            self._prompt.show_count(reel.count())
        self.refresh_bindings()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002 - as Textual calls it
        """Leave keys to others while they would do nothing here."""
        reel = self._view.reel
        match action:
            case "find":
                return reel.finding is not None
            case "fold":
                return reel.can_fold()
            case "leave":
                return self._view.text_selection is not None or self._prompt is not None or reel.cursor is not None or not reel.following
            case _:
                return True

    def action_scroll_rows(self, by: int) -> None:
        """Scroll by rows."""
        self._view.reel.scroll(by)
        self._view.paint()

    def action_scroll_pages(self, by: int) -> None:
        """Scroll by pages; two rows stay."""
        self.action_scroll_rows(by * max(1, self._view.height - 2))

    def action_first_row(self) -> None:
        """Show the begin."""
        self._view.reel.go_home()
        self._view.paint()

    def action_follow(self) -> None:
        """Show the end, and keep to it."""
        self._view.reel.follow()
        self._view.refresh_rows()

    def action_choose(self, forward: bool) -> None:
        """Choose the next event, or the one before."""
        self._view.reel.move_cursor(forward=forward)
        self._view.paint()

    def action_fold(self) -> None:
        """Show all of the chosen event, or less again."""
        self._view.reel.fold()
        self._view.paint()

    def action_wrap(self) -> None:
        """Wrap or cut what is too long."""
        self.wrap = not self.wrap

    def action_copy(self) -> None:
        """Copy the chosen event, or the last one on the screen."""
        if event := self._view.reel.event_at_hand():
            text = words(event)
            self.app.copy_to_clipboard(text)
            self.post_message(self.Copied(self, text))

    def action_find(self, forward: bool) -> None:
        """Go to the next line that is looked for, or to the one before."""
        self._view.reel.find(forward=forward)
        self._view.refresh_rows()

    def action_find_error(self) -> None:
        """Go to the last error; again, to the one before it."""
        if not self._view.reel.find_error():
            self.app.bell()
        self._view.paint()

    def action_leave(self) -> None:
        """End search or filter; then let go of the chosen event; then follow again."""
        reel = self._view.reel
        if self._view.text_selection is not None:
            self.screen.clear_selection()
        elif self._prompt:
            self._close_prompt()
        elif reel.cursor is not None:
            reel.cursor = None
        else:
            reel.follow()
        self._view.refresh_rows()

    async def action_search(self) -> None:
        """Ask what to look for."""
        await self._ask(filters=False)

    async def action_filter(self) -> None:
        """Ask what alone is to be shown."""
        await self._ask(filters=True)

    async def _ask(self, *, filters: bool) -> None:
        if self._prompt and self._prompt.filters == filters:
            self._prompt.ask()
            return
        self._close_prompt()
        self._prompt = Prompt(filters=filters)
        await self.mount(self._prompt)

    def _close_prompt(self) -> None:
        """Look for nothing and show everything again."""
        if self._prompt:
            self.call_next(self._prompt.remove)
            self._prompt = None
            self._view.reel.look_for(Query(""))
            self._view.reel.filter(Query(""))
            self._view.focus()

    @on(Prompt.Changed)
    def _take_words(self, event: Prompt.Changed) -> None:
        event.stop()
        if self._prompt and self._prompt.filters:
            self.filter(event.text)
        else:
            self.search(event.text)

    @on(Prompt.Accepted)
    def _go(self, event: Prompt.Accepted) -> None:
        event.stop()
        self._view.focus()
        if self._view.reel.finding:
            self.action_find(forward=True)

    @on(Prompt.Closed)
    def _close(self, event: Prompt.Closed) -> None:
        event.stop()
        self._close_prompt()
        self._view.refresh_rows()


def _store(what: Path | ByteStore | None) -> ByteStore:
    return FileStore(what) if isinstance(what, Path) else what or MemoryStore()
