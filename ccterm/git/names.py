"""The rules about names: what git or some file system takes for .git, what cannot be shown, and what differs only to the eye."""

import re
import unicodedata

IGNORABLE = (
    r"\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"
    r"\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
"""Characters that cannot be seen, or that turn the direction of a text, as the inside of a set in a pattern."""
_IGNORED = re.compile(f"[{IGNORABLE}]")
# Joiners and variation selectors shape the script or the emoji beside them; between ASCII characters they shape nothing.
_UNSEEN = re.compile(f"(?![\u200c\u200d\ufe00-\ufe0f])[{IGNORABLE}]|(?<![^\0-\x7f])[\u200c\u200d\ufe00-\ufe0f]")
_HFS_IGNORES = re.compile("[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]")
_DOTGIT = re.compile(r"(\.git|git~[1-9])[. ]*", re.IGNORECASE)
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_DEVICES = re.compile(r"(?:con|prn|aux|nul|(?:com|lpt)[0-9\u00b9\u00b2\u00b3]|conin\$|conout\$) *(?:[.:].*)?", re.IGNORECASE | re.DOTALL)
_NOT_ON_WINDOWS = re.compile(r'[<>:"|?*\\]')
LONGEST_NAME = 255
LONGEST_PATH = 4000
DEEPEST = 64


def is_dotgit(name: bytes) -> bool:
    """Whether git, NTFS or HFS+ takes one component of a path, or what Windows would split off it, for .git."""
    text = _HFS_IGNORES.sub("", name.decode("utf-8", "surrogateescape"))
    pieces = re.split(r"[\\/]", text)
    if len(pieces) > 1 and ".." in (piece.strip(" ") for piece in pieces):
        return True
    return any(_DOTGIT.fullmatch(piece.split(":", 1)[0]) for piece in pieces)


def is_gitmodules(name: bytes) -> bool:
    """Whether one component of a path may be taken for .gitmodules."""
    text = _HFS_IGNORES.sub("", name.decode("utf-8", "surrogateescape")).split(":", 1)[0].rstrip(". ").lower()
    return text == ".gitmodules" or re.fullmatch(r"gitmod~\d|gi7eba~\d", text) is not None


def unfit(name: bytes) -> str:
    """Return what is wrong with one component of a path, or ""."""
    try:
        text = name.decode("utf-8")
    except UnicodeDecodeError:
        return "the name is not UTF-8"
    if _CONTROL.search(text):
        return "the name holds control characters"
    return f"the name is longer than {LONGEST_NAME} bytes" if len(name) > LONGEST_NAME else ""


def not_on_windows(name: str) -> str:
    """Return why Windows cannot have one component of a path, or ""."""
    if _DEVICES.fullmatch(name):
        return "is the name of a device on Windows"
    if name.endswith((".", " ")):
        return "ends in what Windows leaves out of a name"
    return "holds a character that Windows does not allow" if _NOT_ON_WINDOWS.search(name) else ""


def too_deep(path: bytes) -> str:
    """Return how a path is too deep or too long, or ""."""
    if path.count(b"/") >= DEEPEST:
        return f"more than {DEEPEST} directories deep"
    return f"longer than {LONGEST_PATH} bytes" if len(path) > LONGEST_PATH else ""


def folded(path: bytes) -> bytes:
    """Return a form of a path that is equal for two paths which some file system, or the eye, takes for one."""
    if path.isascii():
        return path.lower()
    text = unicodedata.normalize("NFC", _IGNORED.sub("", path.decode("utf-8", "surrogateescape")))
    return unicodedata.normalize("NFC", text.casefold()).encode("utf-8", "surrogateescape")


def unseen(path: str) -> bool:
    """Whether a path holds a character that nobody sees, or that turns the direction of what follows."""
    return not path.isascii() and _UNSEEN.search(path) is not None


def shown(path: bytes) -> str:
    """Return a path as text for a report; bytes that are not UTF-8 stand as escapes."""
    return path.decode("utf-8", "backslashreplace")
