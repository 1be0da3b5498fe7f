"""Which files the user has read and trusts: by place and by content, until it changes.

Trust is asked for what runs something on this machine or hands something out: the commands and `include` of a .ccterm.toml, a
.worktreeinclude, the agent settings of a repository, a batch file with commands.
"""

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from ccterm.errors import SettingsError, StateError
from ccterm.git.agent_files import CONFIG_DIRECTORY, NotDigestible, config_digest
from ccterm.settings.toml_file import read_bytes
from ccterm.state_dir import private_directory, private_file, write_private

PROJECT_FILE = ".ccterm.toml"
INCLUDE_FILE = ".worktreeinclude"
AGENT_SETTINGS = os.fsdecode(CONFIG_DIRECTORY)
"""Stands for all files of a repository that configure the agent."""
LARGEST_FILE = 16 * 1024 * 1024


class Trust:
    """The files that the user trusts, kept as {real path: sha256 of the content} in the state directory."""

    def __init__(self, state: Path) -> None:
        self._path = state / "trust.json"

    def holds(self, path: Path, content: bytes) -> bool:
        """Whether the user trusts this content in this place. Raises StateError if the record is damaged."""
        return self.digest(path) == digest_of(content)

    def digest(self, path: Path) -> str:
        """Return the digest of what the user trusts in this place, or "". Raises StateError if the record is damaged."""
        return self._read().get(os.path.realpath(path), "")

    def add(self, digests: Mapping[Path, str]) -> None:
        """Record that the user trusts these contents. Raises StateError if that cannot be stored."""
        private_directory(self._path.parent)
        with self._locked():
            known = self._read() | {os.path.realpath(path): digest for path, digest in digests.items()}
            write_private(self._path, json.dumps(known, indent=1, sort_keys=True).encode())

    @contextmanager
    def _locked(self) -> Iterator[None]:
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
        except (ValueError, RecursionError) as error:
            raise StateError(f"{self._path} is damaged", "remove it and run ccterm trust again") from error
        return {str(key): str(value) for key, value in known.items()} if isinstance(known, dict) else {}


class Trusted(NamedTuple):
    """What `ccterm trust` recorded. reasons: why something that it found could not be trusted."""

    paths: tuple[Path, ...]
    reasons: tuple[str, ...] = ()


def trust_path(path: Path, trust: Trust) -> Trusted:
    """Trust a file, or every file of a working copy that needs it, as it is now. Raises SettingsError if there is nothing to trust."""
    real = Path(os.path.realpath(path))
    digests, reasons = _of_working_copy(real) if real.is_dir() else ({real: _of_file(real)}, ())
    if not digests:
        fix = f"name a working copy with a {PROJECT_FILE}, a {INCLUDE_FILE} or agent settings in {AGENT_SETTINGS}, or a batch file"
        raise SettingsError("; ".join([f"there is nothing to trust in {real}", *reasons]), fix)
    trust.add(digests)
    return Trusted(tuple(digests), reasons)


def _of_working_copy(directory: Path) -> tuple[dict[Path, str], tuple[str, ...]]:
    found: dict[Path, str] = {}
    for name in (PROJECT_FILE, INCLUDE_FILE):
        content = read_bytes(directory / name, follow=False, own=False)
        if content is not None:
            found[directory / name] = digest_of(content)
    try:
        settings = config_digest(str(directory))
    except NotDigestible as error:
        return found, (f"the agent settings cannot be trusted: {error}",)
    except OSError as error:
        return found, (f"the agent settings cannot be read: {error.strerror}",)
    return found | ({directory / AGENT_SETTINGS: settings} if settings else {}), ()


def _of_file(path: Path) -> str:
    content = read_bytes(path, own=False, largest=LARGEST_FILE)
    if content is None:
        raise SettingsError(f"{path} does not exist", "name a working copy, or a batch file")
    return digest_of(content)


def digest_of(content: bytes) -> str:
    """Return the digest by which a file's content is trusted."""
    return hashlib.sha256(content).hexdigest()
