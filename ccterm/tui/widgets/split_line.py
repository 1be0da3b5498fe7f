"""One line of the screen with something at its left and something at its right end; what does not fit is cut at the left part's end."""

from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget


class SplitLine(Widget):
    """A line of two ends."""

    DEFAULT_CSS = """
    SplitLine { height: 1; width: 1fr; padding: 0 1; }
    """

    left: reactive[Content] = reactive(Content(""))
    """What stands at the left end."""
    right: reactive[Content] = reactive(Content(""))
    """What stands at the right end, whole unless it alone is too long."""

    def __init__(self, left: Content | str = "", right: Content | str = "", *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self.set_reactive(SplitLine.left, _content(left))
        self.set_reactive(SplitLine.right, _content(right))

    def show(self, left: Content | str, right: Content | str = "") -> None:
        """Say something else; painted only when it differs."""
        self.left, self.right = _content(left), _content(right)

    def render(self) -> Content:
        """Lay both ends out over the width."""
        return spread(self.left, self.right, self.content_size.width)


def spread(left: Content, right: Content, width: int) -> Content:
    """Return both ends as one line of `width` cells."""
    right = right.truncate(max(0, width), ellipsis=True) if right.cell_length > width else right
    room = width - right.cell_length - (2 if right.cell_length else 0)
    left = left.truncate(max(0, room), ellipsis=True) if left.cell_length > room else left
    gap = width - left.cell_length - right.cell_length
    return Content.assemble(left, " " * max(0, gap), right)


def _content(what: Content | str) -> Content:
    return what if isinstance(what, Content) else Content(what)
