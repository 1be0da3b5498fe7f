"""The pane: a run's transcript on the screen, as it grows. Keys, search, filter and copy; its view paints the rows.

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

from ccterm.events import Event
from ccterm.tui.own_keys import named
from ccterm.tui.pane.clock import FrameClock
from ccterm.tui.pane.lines import plain_text
from ccterm.tui.pane.prompt import Prompt
from ccterm.tui.pane.query import Query
from ccterm.tui.pane.source import ByteStore, FileStore, MemoryStore
from ccterm.tui.pane.view import ViewportView


class EventPane(Vertical):
    """Shows one run's transcript: follows its end unless the user has scrolled, searches, filters, folds and copies.

    It has neither border nor title: put it into something that has. The focus is in its view; style by `:focus-within`.
    """

    DEFAULT_CSS = """
    EventPane { width: 1fr; height: 1fr; }
    """
    BINDINGS: ClassVar[list[BindingType]] = named([
        Binding("up,k", "scroll_rows(-1)", "Up", show=False),
        Binding("down,j", "scroll_rows(1)", "Down", show=False),
        Binding("pageup", "scroll_pages(-1)", "Page up", show=False),
        Binding("pagedown", "scroll_pages(1)", "Page down", show=False),
        Binding("home,g", "scroll_start", "Scroll to the start", show=False),
        Binding("end,G", "follow", "Follow the end", show=False),
        Binding("left_square_bracket", "choose(False)", "Previous event", show=False),
        Binding("right_square_bracket", "choose(True)", "Next event", show=False),
        Binding("enter", "fold", "Unfold"),
        Binding("slash", "search", "Search"),
        Binding("n", "find(True)", "Next match"),
        Binding("N", "find(False)", "Previous match", show=False),
        Binding("E", "find_error", "Last error", show=False),
        Binding("F", "filter", "Filter lines", show=False),
        Binding("w", "wrap", "Wrap", show=False),
        Binding("M", "markdown", "Markdown", show=False, tooltip="Show what the agent says as Markdown, or as it was written"),
        Binding("y", "copy", "Copy", show=False),
        Binding("escape", "leave", "Clear", show=False),
    ])  # fmt: skip

    following: reactive[bool] = reactive(True)
    """Whether the end is shown as it grows. Scrolling changes it; set it to follow again."""
    new_lines: reactive[int] = reactive(0)
    """Lines that were added while the end is not followed; counted up to 9,999."""
    wrap: reactive[bool] = reactive(True)
    """Whether long lines continue in the next row; else they are cut."""

    markdown: reactive[bool] = reactive(True)
    """Whether what the agent says is shown as Markdown."""

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
        what: Path | ByteStore | None = None,
        *,
        run: str = "",
        clock: FrameClock | None = None,
        name: str | None = None,
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        """Show a transcript, whose file need not exist yet; None shows nothing until `show`.

        run: id of the run, for those who receive the pane's messages. clock: one for all panes of an app; None = one of its own.
        """
        super().__init__(name=name, id=id, classes=classes)
        self.run = run
        self._view = ViewportView(_store(what), clock or FrameClock())
        self._prompt: Prompt | None = None

    def compose(self) -> ComposeResult:
        """Lay out the rows."""
        yield self._view

    def render_lines(self, crop: Region) -> list[Strip]:  # noqa: ARG002 - as Textual calls it
        """Return no rows: Textual would put an empty one behind each row of the view, in every frame."""
        return []

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
        """Mark what matches a query; `find` goes to the matches. See `Query`."""
        self._view.viewport.start_search(Query(text))
        self._view.refresh_rows()

    def filter(self, text: str) -> None:
        """Show only events that match a query. See `Query`."""
        self._view.viewport.filter(Query(text))
        self._view.refresh_rows()

    def scroll_to_fraction(self, fraction: float) -> None:
        """Scroll to a fraction of the transcript: 0 is its start, 1 its end."""
        self._view.viewport.scroll_to_fraction(fraction)
        self._view.refresh_rows()

    def refresh_rows(self) -> None:
        """Read what is new and paint, without waiting for the clock."""
        self._view.refresh_rows()

    def watch_following(self, following: bool) -> None:
        """Follow the end when told so."""
        if following and not self._view.viewport.following:
            self.action_follow()

    def watch_wrap(self, wrap: bool) -> None:
        """Wrap or cut."""
        self._view.viewport.set_wrap(wrap)
        self._view.paint()

    def watch_markdown(self, markdown: bool) -> None:
        """Show Markdown, or the text as it was written."""
        self._view.viewport.set_markdown(markdown)
        self._view.paint()

    @on(ViewportView.Updated)
    def _follow_view(self, event: ViewportView.Updated) -> None:
        event.stop()
        viewport = self._view.viewport
        self.new_lines = viewport.new_lines
        if self.following != viewport.following:
            self.following = viewport.following
            self.post_message(self.Scrolled(self, following=viewport.following))
        if self._prompt:
            self._prompt.show_count(viewport.count())
        self.refresh_bindings()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Leave keys to others while they would do nothing here."""
        viewport = self._view.viewport
        match action:
            case "find" if viewport.search is None:  # n means something else then
                return False if parameters == (True,) else None
            case "fold":
                return viewport.can_fold()
            case "leave":
                return (
                    self._view.text_selection is not None
                    or self._prompt is not None
                    or viewport.cursor is not None
                    or not viewport.following
                )
            case _:
                return True

    def why_not(self, action: str) -> str:
        """Return why an action cannot be done now; "" when it can be."""
        return "nothing is searched for; / searches" if action == "find" and self._view.viewport.search is None else ""

    def _say(self, reason: str) -> None:
        self.notify(reason, severity="warning", markup=False)

    def action_scroll_rows(self, by: int) -> None:
        """Scroll by rows."""
        self._view.viewport.scroll(by)
        self._view.paint()

    def action_scroll_pages(self, by: int) -> None:
        """Scroll by pages, which overlap by two rows."""
        self.action_scroll_rows(by * max(1, self._view.height - 2))

    def action_scroll_start(self) -> None:
        """Scroll to the start."""
        self._view.viewport.scroll_to_start()
        self._view.paint()

    def action_follow(self) -> None:
        """Show the end, and follow it."""
        self._view.viewport.follow()
        self._view.refresh_rows()

    def action_choose(self, forward: bool) -> None:
        """Choose the next or the previous event."""
        if not self._view.viewport.move_cursor(forward=forward):
            self._say(f"there is no event {'after' if forward else 'before'} this one")
        self._view.paint()

    def action_fold(self) -> None:
        """Unfold the chosen event, or fold it again."""
        self._view.viewport.fold()
        self._view.paint()

    def action_wrap(self) -> None:
        """Wrap long lines, or cut them."""
        self.wrap = not self.wrap
        self.notify("long lines continue in the next row" if self.wrap else "long lines are cut", markup=False)

    def action_markdown(self) -> None:
        """Show what the agent says as Markdown, or as it was written."""
        self.markdown = not self.markdown
        self.notify(f"what the agent says is shown as {'Markdown' if self.markdown else 'it was written'}", markup=False)

    @property
    def chosen(self) -> Event | None:
        """The event that the user has chosen."""
        cursor = self._view.viewport.cursor
        return self._view.viewport.event(cursor) if cursor is not None else None

    def action_copy(self) -> None:
        """Copy the chosen event, or the last one on the screen."""
        if event := self._view.viewport.current_event():
            text = plain_text(event)
            self.app.copy_to_clipboard(text)
            self.post_message(self.Copied(self, text))
        else:
            self._say("there is nothing to copy")

    def action_find(self, forward: bool) -> None:
        """Go to the next or the previous match."""
        self._view.viewport.find(forward=forward)
        self._view.refresh_rows()

    def action_find_error(self) -> None:
        """Go to the last error; again, to the one before it."""
        if not self._view.viewport.find_error():
            self._say("there is no error in this transcript")
        self._view.paint()

    def action_leave(self) -> None:
        """Clear the selection; else end the search or filter; else the choice of an event; else follow the end again."""
        viewport = self._view.viewport
        if self._view.text_selection is not None:
            self.screen.clear_selection()
        elif self._prompt:
            self._close_prompt()
        elif viewport.cursor is not None:
            viewport.cursor = None
        else:
            viewport.follow()
        self._view.refresh_rows()

    async def action_search(self) -> None:
        """Ask what to search for."""
        await self._ask(filters=False)

    async def action_filter(self) -> None:
        """Ask what to filter by."""
        await self._ask(filters=True)

    async def _ask(self, *, filters: bool) -> None:
        if self._prompt and self._prompt.filters == filters:
            self._prompt.ask()
            return
        self._close_prompt()
        if self.is_attached:  # not when the app is closing
            self._prompt = Prompt(filters=filters)
            await self.mount(self._prompt)

    def _close_prompt(self) -> None:
        """End search and filter."""
        if self._prompt:
            self.call_next(self._prompt.remove)
            self._prompt = None
            self._view.viewport.start_search(Query(""))
            self._view.viewport.filter(Query(""))
            self._view.focus()

    @on(Prompt.Changed)
    def _apply_query(self, event: Prompt.Changed) -> None:
        event.stop()
        if self._prompt and self._prompt.filters:
            self.filter(event.text)
        else:
            self.search(event.text)

    @on(Prompt.Accepted)
    def _go_to_match(self, event: Prompt.Accepted) -> None:
        event.stop()
        self._view.focus()
        if self._view.viewport.search:
            self.action_find(forward=True)

    @on(Prompt.Closed)
    def _close(self, event: Prompt.Closed) -> None:
        event.stop()
        self._close_prompt()
        self._view.refresh_rows()


def _store(what: Path | ByteStore | None) -> ByteStore:
    return FileStore(what) if isinstance(what, Path) else what or MemoryStore()
