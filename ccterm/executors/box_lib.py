"""The read-only copy of ccterm's own programs that every box gets: made once for each content, whoever else makes it at the same time."""

import hashlib
import os
import py_compile
import shutil
import sys
import tempfile
from pathlib import Path

from ccterm.errors import StateError

_INSIDE = Path(__file__).parent.parent / "inside"


def box_lib(directory: Path) -> Path:
    """Return the copy below `directory`, made when it is not there yet. Raises StateError when it cannot be."""
    sources = {path.name: path.read_bytes() for path in sorted(_INSIDE.glob("*.py"))}
    digest = hashlib.sha256(repr(sorted(sources.items())).encode()).hexdigest()[:16]
    target = directory / f"{digest}-{sys.implementation.cache_tag}"
    if target.is_dir():
        return target
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        return _made(sources, target)
    except OSError as error:
        raise StateError(f"the programs for the boxes cannot be written to {directory}: {error.strerror}") from error


def _made(sources: dict[str, bytes], target: Path) -> Path:
    fresh = Path(tempfile.mkdtemp(prefix=".new-", dir=target.parent))
    _fill(fresh, sources)
    try:
        fresh.rename(target)
    except OSError:
        if not target.is_dir():
            raise
        _remove(fresh)  # somebody was faster; the content is the same
    return target


def _fill(root: Path, sources: dict[str, bytes]) -> None:
    inside = root / "ccterm" / "inside"
    inside.mkdir(parents=True)
    (root / "__main__.py").write_bytes(sources["__main__.py"])
    (root / "ccterm" / "__init__.py").touch()
    for name, content in sources.items():
        (inside / name).write_bytes(content)
    for path in root.rglob("*.py"):  # compiled beforehand: nothing may be written there later, and start-up time counts
        py_compile.compile(str(path), doraise=True, dfile=path.name, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
    for path in [*root.rglob("*"), root]:
        path.chmod(0o555 if path.is_dir() else 0o444)


def _remove(root: Path) -> None:
    for directory, _, _ in os.walk(root):
        Path(directory).chmod(0o700)
    shutil.rmtree(root)
