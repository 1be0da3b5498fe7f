"""The commits of a user's repository as packs of our own, kept between runs: exactly what HEAD and the tags reach, and nothing else.

Not a clone: branches, stashes and history that the user threw away must not reach an agent. When what was kept is no longer part of the
history, everything is packed again.
"""

import json
import os
import shutil
from contextlib import suppress
from pathlib import Path

from ccterm.git.git import Git, init
from ccterm.git.refs import Ref, list_tags, write_packed_refs
from ccterm.state_dir import private_directory, write_private
from ccterm.storage import Storage
from ccterm.workspace.repository import Repository

_MANY_PACKS = 30


class History:
    """The packs of one repository. Its callers hold the repository's lock."""

    def __init__(self, directory: Path, repository: Repository, storage: Storage) -> None:
        self._directory = directory
        self._repository = repository
        self._storage = storage
        self._note = directory / "tips.json"
        self.tags: list[Ref] = []
        """Every tag, after `bring`."""

    def bring(self) -> None:
        """Bring the packs up to date. Raises GitError, OSError, StateError."""
        user = self._repository.git
        self.tags = list_tags(user)
        tips = sorted({self._repository.head, *(tag.sha for tag in self.tags)})
        shallow = self._shallow()
        known = self._known()
        if known == (tips, shallow):
            return
        have = known[0] if known and known[1] == shallow and self._within(user, known[0], tips) else []
        if not have:
            shutil.rmtree(self._directory, ignore_errors=True)
        packs = private_directory(self._directory) / "pack"
        packs.mkdir(mode=0o700, exist_ok=True)
        wanted = "".join([f"{tip}\n" for tip in tips] + [f"^{tip}\n" for tip in have]).encode()
        revs = ["--revs"]
        if self.partial:  # git can pack what is there only if it is given name by name
            wanted, revs = user.run("rev-list", "--objects", "--no-object-names", "--missing=allow-any", "--stdin", stdin=wanted), []
        command = ("-c", "pack.compression=1", "pack-objects", "-q", *revs, "--window=0", "--delta-base-offset", str(packs / "pack"))
        # git begins a pack in its object directory and then renames it: not the user's, which may be on another file system
        place = {"GIT_OBJECT_DIRECTORY": str(self._directory), "GIT_ALTERNATE_OBJECT_DIRECTORIES": _quoted(self._objects)}
        self._storage.bulk(packs, lambda: user.with_env(place).run(*command, stdin=wanted))
        for pack in packs.glob("*.pack") if self.partial else ():
            self._storage.create(pack.with_suffix(".promisor"), b"")  # so that git does not miss what is not there
        write_private(self._note, json.dumps({"tips": tips, "shallow": shallow.decode("ascii", "replace")}).encode(), self._storage)

    @property
    def partial(self) -> bool:
        """Whether the repository is a partial clone, which has only part of its history's content."""
        return any((self._objects / "pack").glob("*.promisor"))

    def clone(self, to: Path) -> Git:
        """Make a bare repository of the packs and the tags. It shares the packs, which are never written to. Raises OSError."""
        git = init(str(to), self._repository.head, self._repository.branch)
        target = to / "objects" / "pack"
        for path in (self._directory / "pack").iterdir():
            _share(path, target / path.name)
        if shallow := self._shallow():
            (to / "shallow").write_bytes(shallow)
        write_packed_refs(str(to), self.tags)
        return git

    @property
    def _objects(self) -> Path:
        return self._repository.common_dir / "objects"

    def _shallow(self) -> bytes:
        with suppress(OSError):
            return (self._repository.common_dir / "shallow").read_bytes()
        return b""

    def _known(self) -> tuple[list[str], bytes] | None:
        try:
            note = json.loads(self._note.read_bytes())
            tips, shallow = [str(tip) for tip in note["tips"]], str(note["shallow"]).encode()
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return (tips, shallow) if len(list((self._directory / "pack").glob("*.pack"))) <= _MANY_PACKS else None

    def _within(self, user: Git, old: list[str], tips: list[str]) -> bool:
        """Whether everything that is kept is part of what is wanted."""
        revisions = "".join([f"{tip}\n" for tip in old] + [f"^{tip}\n" for tip in tips])
        code, counted, _ = user.answer("rev-list", "--count", "--stdin", stdin=revisions.encode())
        return code == 0 and counted.strip() == b"0"


def _quoted(path: Path) -> str:
    """Return a path as git takes one in a list that colons separate."""
    return '"' + str(path).replace("\\", r"\\").replace('"', r"\"") + '"'


def _share(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without hard links
        shutil.copyfile(source, target)
