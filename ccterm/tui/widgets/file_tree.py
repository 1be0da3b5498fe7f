"""The files of a patch as a tree of directories; those with one entry are on one line with it."""

from collections.abc import Sequence
from typing import ClassVar

from rich.style import Style
from rich.text import Text
from textual.binding import Binding, BindingType
from textual.widgets import Tree
from textual.widgets.tree import TreeNode

from ccterm.tui.patch import FilePatch

OPEN = 300
"""With more files than these, directories are closed at first."""
Branch = dict[str, "Branch | int"]
_LETTERS = {"added": "A", "deleted": "D", "modified": "M"}


class FileTree(Tree[int | None]):
    """Files by directory; a node's data is the number of its file, or None."""

    DEFAULT_CSS = """
    FileTree {
        height: auto; max-height: 50%; background: $surface; padding: 0 1; scrollbar-size: 1 1; overflow-x: hidden;
        & > .tree--added { color: $text-success; }
        & > .tree--removed { color: $text-error; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("j", "cursor_down", "Down", show=False), Binding("k", "cursor_up", "Up", show=False)]
    COMPONENT_CLASSES: ClassVar[set[str]] = {"tree--added", "tree--removed"}
    ICON_NODE, ICON_NODE_EXPANDED = "▸ ", "▾ "

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__("", id=id)
        self.show_root, self.show_guides, self.guide_depth = False, False, 2
        self._leaves: dict[int, TreeNode[int | None]] = {}
        self._files: Sequence[FilePatch] = ()

    def show(self, files: Sequence[FilePatch]) -> None:
        """Show these files."""
        self._files, self._leaves = files, {}
        self.root.remove_children()
        top: Branch = {}
        for number, file in enumerate(files):
            *directories, name = file.path.split("/")
            branch = top
            for directory in directories:
                inner = branch.setdefault(f"{directory}/", {})
                if isinstance(inner, dict):
                    branch = inner
            branch[name if name not in branch else f"{name} ({number})"] = number
        self._grow(self.root, top, expand=len(files) <= OPEN)
        self.root.expand()
        self.call_after_refresh(self.refresh, layout=True)  # a layout that is under way may keep the height before

    def _grow(self, node: TreeNode[int | None], branch: Branch, *, expand: bool) -> None:
        for name, inner in sorted(branch.items(), key=lambda item: (isinstance(item[1], int), item[0])):
            while isinstance(inner, dict) and len(inner) == 1:
                (more, inner) = next(iter(inner.items()))
                name += more
            if isinstance(inner, dict):
                self._grow(node.add(Text(name), expand=expand), inner, expand=expand)
            else:
                self._leaves[inner] = node.add_leaf(Text(name), inner)

    def choose(self, number: int) -> None:
        """Put the cursor on a file, and open what it is in."""
        node = self._leaves.get(number)
        above = node.parent if node else None
        while above is not None:
            above.expand()
            above = above.parent
        if node is not None:
            self.move_cursor(node)

    def render_label(self, node: TreeNode[int | None], base_style: Style, style: Style) -> Text:
        """Return a directory's name; a file with what happened to it, and its numbers."""
        if node.data is None:
            return super().render_label(node, base_style, style)
        file = self._files[node.data]
        numbers = Text.assemble(
            "  ",
            (f"+{file.added}", self.get_component_rich_style("tree--added", partial=True)),
            " ",
            (f"-{file.removed}", self.get_component_rich_style("tree--removed", partial=True)),
        )
        return Text.assemble((f"{_LETTERS.get(file.action, 'R')} ", "bold"), str(node.label), numbers, style=style)
