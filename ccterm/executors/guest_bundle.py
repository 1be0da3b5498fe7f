"""The guest bundle: a read-only copy of ccterm's own programs that every box gets. Made once per content, also by concurrent processes."""

import hashlib
import importlib.util
import marshal
import os
import shutil
import sys
import tempfile
import threading
from functools import cache
from pathlib import Path

from ccterm.errors import StateError

_PACKAGE = Path(__file__).parent.parent
_ROOMS = ("box", "git")
"""The packages whose modules run in boxes: standard library only."""
_UNCHECKED_HASH = (1).to_bytes(4, "little")


class LazyBundle:
    """The bundle below a directory, made when it is first needed: most commands, and runs in containers, do without it."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._making = threading.Lock()
        self._made: Path | None = None

    def path(self) -> Path:
        """Return the bundle. Raises StateError when it cannot be written."""
        with self._making:
            self._made = self._made or guest_bundle(self._directory)
            return self._made


def guest_bundle(directory: Path) -> Path:
    """Return the bundle below `directory`, making it when it is missing. Raises StateError when it cannot be written."""
    sources = {str(path.relative_to(_PACKAGE)): path.read_bytes() for room in _ROOMS for path in sorted((_PACKAGE / room).rglob("*.py"))}
    digest = hashlib.sha256(repr(sorted(sources.items())).encode()).hexdigest()[:16]
    target = directory / f"{digest}-{sys.implementation.cache_tag}"
    if target.is_dir():
        return target
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        return _make(sources, target)
    except OSError as error:
        raise StateError(f"the programs for the boxes cannot be written to {directory}: {error.strerror}") from error


def _make(sources: dict[str, bytes], target: Path) -> Path:
    fresh = Path(tempfile.mkdtemp(prefix=".new-", dir=target.parent))
    _fill(fresh, sources)
    try:
        fresh.rename(target)
    except OSError:
        if not target.is_dir():
            raise
        shutil.rmtree(fresh)  # another process was faster; the content is the same
    return target


def _fill(root: Path, sources: dict[str, bytes]) -> None:
    package = root / "ccterm"
    _write_module(root / "__main__.py", sources["box/__main__.py"])
    _write_module(package / "__init__.py", b"")
    for name, content in sources.items():
        _write_module(package / name, content)
    for directory, _, _ in os.walk(root):
        Path(directory).chmod(0o755)  # others read it in containers; `rm -rf` removes it


def _write_module(path: Path, source: bytes) -> None:
    """Write a module with its bytecode beside it: the bundle is read-only later, and compiling would slow each start."""
    cached = Path(importlib.util.cache_from_source(str(path)))
    cached.parent.mkdir(parents=True, exist_ok=True)
    header = importlib.util.MAGIC_NUMBER + _UNCHECKED_HASH + importlib.util.source_hash(source)
    for file, content in ((path, source), (cached, header + _compiled(source, path.name))):
        file.write_bytes(content)
        file.chmod(0o444)


@cache
def _compiled(source: bytes, name: str) -> bytes:
    return marshal.dumps(compile(source, name, "exec", dont_inherit=True))
