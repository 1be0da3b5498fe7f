"""Lines with text at both ends: the header at the top of every screen, and others. Knows no runs: the first frame shows one."""

from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget


class SplitLine(Widget):
    """A line with a left and a right end; what does not fit is cut from the left part."""

    DEFAULT_CSS = """
    SplitLine { height: 1; width: 1fr; padding: 0 1; }
    """

    left: reactive[Content] = reactive(Content(""))
    """The text at the left end."""
    right: reactive[Content] = reactive(Content(""))
    """The text at the right end, cut only when it alone is too long."""

    def __init__(self, left: Content | str = "", right: Content | str = "", *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self.set_reactive(SplitLine.left, _content(left))
        self.set_reactive(SplitLine.right, _content(right))

    def show(self, left: Content | str, right: Content | str = "") -> None:
        """Show other texts; repaints only when they differ, be it in their colours alone, which `==` does not compare."""
        left, right = _content(left), _content(right)
        if not (left.is_same(self.left) and right.is_same(self.right)):
            self.set_reactive(SplitLine.left, left)
            self.set_reactive(SplitLine.right, right)
            self.refresh()

    def render(self) -> Content:
        """Spread both ends over the width."""
        return split_line(self.left, self.right, self.content_size.width)


def split_line(left: Content, right: Content, width: int) -> Content:
    """Return both ends as one line of `width` cells."""
    right = right.truncate(max(0, width), ellipsis=True) if right.cell_length > width else right
    room = width - right.cell_length - (2 if right.cell_length else 0)
    left = left.truncate(max(0, room), ellipsis=True) if left.cell_length > room else left
    gap = width - left.cell_length - right.cell_length
    return Content.assemble(left, " " * max(0, gap), right)


def _content(text: Content | str) -> Content:
    return text if isinstance(text, Content) else Content(text)


def heading(title: str, more: str = "") -> Content:
    """Return the left end of a screen's header."""
    tail = [(f"  {more}", "$text-accent")] if more else []
    return Content.assemble(("ccterm", "bold $text-primary"), "  ", title, *tail)
