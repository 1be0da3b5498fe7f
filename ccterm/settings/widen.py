"""Adds hosts to the list of a repository in the user's settings file, which otherwise stays as the user wrote it."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from json import dumps
from pathlib import Path

import tomlkit

from ccterm.settings.addresses import repo_key
from ccterm.settings.egress import covered, expanded, hosts_to_add, resolved
from ccterm.settings.model import Settings
from ccterm.settings.toml_file import parse, read_bytes
from ccterm.state_dir import write_private


@dataclass(frozen=True)
class WiderList:
    """A list of hosts that was made longer, and the table of the settings file that is to hold it."""

    path: Path
    key: str
    """The repository."""
    hosts: tuple[str, ...]

    @property
    def lines(self) -> tuple[str, ...]:
        """What the settings file will say."""
        return setting(self.key, self.hosts)

    def write(self) -> None:
        """Write it. Raises SettingsError and StateError when the file cannot be read or written, or would no longer be one."""
        path = Path(os.path.realpath(self.path))  # a link stays one
        before = read_bytes(path) or b""
        parse(self.path, before, Settings)
        data = self._over(before.decode("utf-8-sig"))
        parse(self.path, data, Settings)
        mode = path.stat().st_mode & 0o777 if before else 0o600
        path.parent.mkdir(parents=True, exist_ok=True)
        write_private(path, data)
        path.chmod(mode)

    def _over(self, before: str) -> bytes:
        """Return the content of a sound settings file with the list in its place."""
        document = tomlkit.parse(before)
        tables = document.setdefault("repo", tomlkit.table(is_super_table=True))
        name = next((name for name in tables if repo_key(name) == self.key), self.key)
        tables.setdefault(name, tomlkit.table())["egress"] = list(self.hosts)
        return tomlkit.dumps(document).encode()


def setting(key: str, hosts: Iterable[str]) -> tuple[str, ...]:
    """Return the lines of a settings file by which a repository has a list of hosts; without a key all have it."""
    return (*((f"[repo.{dumps(key)}]",) if key else ()), f"egress = [{', '.join(map(dumps, hosts))}]")


def wider_list(settings: Settings, path: Path, key: str, hosts: tuple[str, ...]) -> WiderList | None:
    """Return the list that the settings hold for a repository with more hosts; None where they hold none, or need no change."""
    now = settings.for_repo(key).egress
    if not isinstance(now, tuple) or not key:
        return None
    known = resolved(now).hosts
    more = tuple(word for word in hosts_to_add(hosts) if not all(covered(host, known) for host in expanded([word])))
    return WiderList(path, key, (*now, *more)) if more else None
