"""Which working copies may run the commands of their .ccterm.toml on this machine: trusted by content, until it changes."""

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ccterm.errors import SettingsError, StateError
from ccterm.settings.toml_file import read_bytes
from ccterm.state_dir import private_directory, private_file, write_private

PROJECT_FILE = ".ccterm.toml"


class Trust:
    """What the user trusts, kept as {real path of the working copy: SHA-256 of the file's content} in the state directory."""

    def __init__(self, state: Path) -> None:
        self._path = state / "trust.json"

    def holds(self, directory: Path, content: bytes) -> bool:
        """Whether the user trusts this content in this working copy."""
        return self._read().get(os.path.realpath(directory)) == _digest(content)

    def add(self, directory: Path, content: bytes) -> None:
        """Trust this content in this working copy. Raises StateError when that cannot be saved."""
        private_directory(self._path.parent)
        with self._alone():
            known = self._read() | {os.path.realpath(directory): _digest(content)}
            write_private(self._path, json.dumps(known, indent=1, sort_keys=True).encode())

    @contextmanager
    def _alone(self) -> Iterator[None]:
        descriptor = private_file(self._path.with_suffix(".lock"))
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _read(self) -> dict[str, str]:
        data = read_bytes(self._path, follow=False)
        try:
            known = json.loads(data or b"{}")
        except ValueError as error:
            raise StateError(f"{self._path} is damaged", "remove it and run ccterm trust again") from error
        return {str(key): str(value) for key, value in known.items()} if isinstance(known, dict) else {}


def trust_path(directory: Path, trust: Trust) -> Path:
    """Trust the .ccterm.toml of a working copy as it is now; returns its path. Raises SettingsError when there is none."""
    path = Path(os.path.realpath(directory)) / PROJECT_FILE
    content = read_bytes(path, follow=False, own=False)
    if content is None:
        raise SettingsError(f"{path} does not exist", "name a working copy that has one")
    trust.add(path.parent, content)
    return path


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
