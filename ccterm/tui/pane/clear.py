"""A container that its children cover."""

from textual.containers import Vertical
from textual.geometry import Region
from textual.strip import Strip


class Clear(Vertical):
    """Paints nothing: what its children leave free shows what lies beneath. Textual would put an empty row behind each of theirs, each frame."""

    def render_lines(self, crop: Region) -> list[Strip]:  # noqa: ARG002 - as Textual calls it
        """Return no rows."""
        return []
