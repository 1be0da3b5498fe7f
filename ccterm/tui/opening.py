"""The first frame: the fleet before the settings are read and its runs are known. It waits for none of the models: they take as long to load as Textual.

Its look is read from the user's files without them; what does not fit is as if it were not there. The settings are read again, and checked,
once it is on the screen.
"""

from pathlib import Path
from typing import ClassVar, NamedTuple

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container

from ccterm.git.bounded_json import read_json
from ccterm.tui.screen_base import CctermScreen
from ccterm.tui.widgets.footer import KeyFooter
from ccterm.tui.widgets.header import SplitLine, heading

FILE = "terminal.json"
"""What the terminal remembers, in the state directory."""
_LARGEST = 1024 * 1024
FILTER = Binding("f", "filter", "Filter", tooltip="Show only runs whose branch, prompt, state or model contains these words")
TABLE = Binding("t", "table", "Table", tooltip="List all runs, to sort, filter and select them")


class Look(NamedTuple):
    """How the terminal looks at its start. setting, picked: themes, by the settings and by the user. light: whether the terminal's background was."""

    setting: str | None = None
    picked: str | None = None
    light: bool = False
    own_keys: bool = False
    """Whether actions have keys of the user's own."""

    @classmethod
    def read(cls, settings: Path, directory: Path) -> "Look":
        """Return what the settings file and the state directory say."""
        chosen, remembered = _settings(settings), _remembered(directory / FILE)
        tui = chosen.get("tui")
        theme = tui.get("theme") if isinstance(tui, dict) else None
        return cls(_text(theme), _text(remembered.get("theme")), remembered.get("light") is True, bool(chosen.get("keys")))


class OpeningScreen(CctermScreen):
    """The fleet's header, and its keys that do something even without runs. One that is pressed waits for the fleet: nothing is carried out here."""

    BINDINGS: ClassVar[list[BindingType]] = [FILTER, TABLE]

    def __init__(self, *, with_keys: bool) -> None:
        """with_keys: show the keys; they are not known yet where the user has keys of their own."""
        super().__init__()
        self._with_keys = with_keys

    def compose(self) -> ComposeResult:
        """Lay out header and footer as the fleet does."""
        yield SplitLine(heading("connecting"))
        yield Container()
        if self._with_keys:
            yield KeyFooter()


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _settings(path: Path) -> dict[str, object]:
    if not (data := _content(path)):
        return {}
    import tomllib  # deferred: most users have no such file

    try:
        return tomllib.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return {}


def _remembered(path: Path) -> dict[str, object]:
    try:
        found: object = read_json(_content(path) or b"{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes() if path.is_file() and path.stat().st_size <= _LARGEST else b""
    except OSError:
        return b""
