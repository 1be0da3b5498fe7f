"""One step's box on this machine: a private directory with the step's inputs, its request and links to shared directories."""

import json
import re
from dataclasses import dataclass
from pathlib import Path

from ccterm.causes import Cause
from ccterm.errors import StepError
from ccterm.executors.base import Artifact, Step
from ccterm.executors.control import Control
from ccterm.executors.local.copy import copy_tree
from ccterm.executors.temporary import make_temporary
from ccterm.machine_errors import machine_error
from ccterm.storage import STORAGE, Storage

_CACHE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class Box:
    """A box that is ready to run. left_out: what could not be copied of its inputs."""

    root: Path
    tmp: Path
    """Its private TMPDIR."""
    left_out: tuple[str, ...]
    moves: tuple[tuple[Path, Path], ...] = ()
    """Inputs that are moved instead of copied: from, to."""
    storage: Storage = STORAGE

    def move_inputs(self) -> None:
        """Move inputs into the box. Only after its record is written: the work must be in some recorded box if the daemon dies."""
        for source, target in self.moves:
            self.storage.rename(source, target)

    @property
    def outside_tmp(self) -> str | None:
        """The TMPDIR when it lies outside the box, else None."""
        return None if self.tmp.parent == self.root else str(self.tmp)

    @property
    def record(self) -> Path:
        """Path of the record of its process: beside the box, out of the step's sight."""
        return self.root.with_name(f"{self.root.name}.json")

    @property
    def stderr(self) -> Path:
        """Path of the program's stderr, which is shown when the program fails."""
        return self.root.with_name(f"{self.root.name}.stderr")

    def outputs(self, step: Step) -> dict[str, Artifact]:
        """Return the outputs of the step that exist."""
        return {name: Artifact(str(self.root / name)) for name in step.outputs if _is_directory(self.root / name)}


def make_box(root: Path, tmp: Path, step: Step, state_dir: Path, control: Control | None, storage: Storage) -> Box:
    """Fill the box of a step. Raises OSError."""
    left_out: list[str] = []
    for mount, artifact in step.inputs.items():
        (root / mount).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if mount not in step.last_use:
            left_out += _copied(Path(artifact.handle), root / mount, storage)
    for mount, name in step.caches.items():
        _link(root / mount, _cache(state_dir, "mirrors" if mount == "mirror" else "caches", name))
    for mount, path in step.all_sockets(control).items():
        _link(root / mount, path)
    request = json.dumps(dict(step.request))
    storage.bulk(root / "request.json", lambda: (root / "request.json").write_text(request, encoding="utf-8"))
    moves = tuple((Path(artifact.handle), root / mount) for mount, artifact in step.inputs.items() if mount in step.last_use)
    return Box(root, tmp, tuple(left_out), moves, storage)


def _copied(source: Path, target: Path, storage: Storage) -> list[str]:
    return storage.bulk(target, lambda: copy_tree(source, target))


def make_root(root: Path, step: Step) -> Path:
    """Make the box's directory and its TMPDIR; return the latter. Raises OSError.

    Where users' programs run, TMPDIR has a short path: many create sockets there, whose paths are limited to 103 bytes.
    """
    root.mkdir(mode=0o700, parents=True)
    if step.image == "agent":
        return make_temporary("box")
    (root / "tmp").mkdir(mode=0o700)
    return root / "tmp"


def _link(name: Path, target: Path) -> None:
    name.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    name.symlink_to(target)


def _cache(state_dir: Path, kind: str, name: str) -> Path:
    """Return a directory that is kept between runs; mirrors of remotes are kept apart from other caches."""
    if not _CACHE_NAME.fullmatch(name):
        raise ValueError(f"{name!r} is not a valid cache name")
    path = state_dir / kind / name
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def _is_directory(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def box_error(what: str, error: OSError) -> StepError:
    """Return a failure of this machine as the error that ends a run."""
    message = f"{what}: {error.strerror or error}"
    if found := machine_error(error):
        return StepError(found.cause, message, reason=found.reason)
    return StepError(Cause.ENGINE, message, "check the state directory", reason="box")
