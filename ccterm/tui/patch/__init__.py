"""A run's changes as they are read on the screen: parsed, laid out, coloured, and commented on. Pure but for the loading of lexers."""

from ccterm.tui.patch.comments import Comment, Comments, with_comments
from ccterm.tui.patch.parse import FilePatch, Kind, PatchLine, parse_patch, side_by_side

__all__ = ["Comment", "Comments", "FilePatch", "Kind", "PatchLine", "parse_patch", "side_by_side", "with_comments"]
