"""The colours of a patch's lines: made a block at a time when they become visible, and kept for a while."""

from collections import OrderedDict
from collections.abc import Callable, Sequence

from ccterm.tui.code import Lexers, Pieces
from ccterm.tui.patch.decorate import block_of, decorate
from ccterm.tui.patch.parse import FilePatch

KEPT_BLOCKS = 200
"""More than a screen shows, of at least two rows each."""


class PatchColours:
    """Colours blocks after the frame that first shows them plain."""

    def __init__(self, call_later: Callable[[Callable[[], None]], object], changed: Callable[[], object]) -> None:
        """call_later: calls something once what is waiting has been done. changed: called when lines that were plain have colours."""
        self._files: Sequence[FilePatch] = ()
        self._lexers = Lexers()
        self._blocks: OrderedDict[tuple[int, int], dict[int, Pieces]] = OrderedDict()
        self._wanted: dict[tuple[int, int], None] = {}
        self._call_later = call_later
        self._changed = changed

    def forget(self, files: Sequence[FilePatch]) -> None:
        """Colour these files from now on."""
        self._files = files
        self._blocks.clear()
        self._wanted.clear()

    def skip(self) -> None:
        """Leave out what was visible: something else is now."""
        self._wanted.clear()

    def pieces(self, file: int, index: int) -> Pieces | None:
        """Return a line's coloured pieces; None when it is plain, or for now: those that are not known are made after this frame."""
        key = (file, block_of(self._files[file], index).start)
        if key in self._blocks:
            self._blocks.move_to_end(key)
            return self._blocks[key].get(index)
        if not self._wanted:
            self._call_later(self._colour_one)
        self._wanted[key] = None
        return None

    def _colour_one(self) -> None:
        """Colour one block, and leave the others for later: the keys come first."""
        if not self._wanted:
            return
        file, start = key = next(iter(self._wanted))
        del self._wanted[key]
        self._blocks[key] = decorate(self._files[file], block_of(self._files[file], start), self._lexers, self._start_again)
        if len(self._blocks) > KEPT_BLOCKS:
            self._blocks.popitem(last=False)
        if self._wanted:
            self._call_later(self._colour_one)
        else:
            self._changed()

    def _start_again(self) -> None:
        """Use a lexer that has been loaded."""
        self._blocks.clear()
        self._changed()
