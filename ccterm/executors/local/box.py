"""One step's box on this machine: a private directory with the step's inputs, its request and links to what it may share."""

import json
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ccterm.causes import Cause
from ccterm.errors import StepError
from ccterm.executors.base import Artifact, Step
from ccterm.executors.control import Control
from ccterm.executors.local.copy import copy_tree

_CACHE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
TMP_PREFIX = "ccterm-box-"


@dataclass(frozen=True)
class Box:
    """A box ready to run in. left_out: what of its inputs could not be copied."""

    root: Path
    tmp: Path
    """Its private TMPDIR."""
    left_out: tuple[str, ...]
    moves: tuple[tuple[Path, Path], ...] = ()
    """Inputs that are handed over instead of copied: from, to."""

    def take_over(self) -> None:
        """Move in what is handed over: after the record is written, so that at no moment a dead owner's work is in no record's box."""
        for source, target in self.moves:
            source.rename(target)

    @property
    def outside(self) -> str | None:
        """The TMPDIR, when it is not in the box."""
        return None if self.tmp.parent == self.root else str(self.tmp)

    @property
    def record(self) -> Path:
        """Where the record of its process lies: beside the box, where the step does not see it."""
        return self.root.with_name(f"{self.root.name}.json")

    @property
    def complaints(self) -> Path:
        """Where the program's stderr goes: for people, when it broke."""
        return self.root.with_name(f"{self.root.name}.stderr")

    def outputs(self, step: Step) -> dict[str, Artifact]:
        """Return those outputs of the step that are there."""
        return {name: Artifact(str(self.root / name)) for name in step.outputs if _is_directory(self.root / name)}


def make_box(root: Path, tmp: Path, step: Step, state_dir: Path, control: Control | None) -> Box:
    """Fill the box of a step. Raises OSError when it cannot be done."""
    left_out: list[str] = []
    for mount, artifact in step.inputs.items():
        (root / mount).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if mount not in step.last_use:
            left_out += copy_tree(Path(artifact.handle), root / mount)
    for mount, name in step.caches.items():
        _link(root / mount, _cache(state_dir, "mirrors" if mount == "mirror" else "caches", name))
    for mount, path in _sockets(step, control).items():
        _link(root / mount, path)
    (root / "request.json").write_text(json.dumps(dict(step.request)), encoding="utf-8")
    moves = tuple((Path(artifact.handle), root / mount) for mount, artifact in step.inputs.items() if mount in step.last_use)
    return Box(root, tmp, tuple(left_out), moves)


def make_root(root: Path, step: Step) -> Path:
    """Make the box's directory and its TMPDIR, which is returned. Raises OSError when they cannot be made.

    Where users' programs run, TMPDIR has a short name: many put sockets there, and those end at 103 bytes.
    """
    root.mkdir(mode=0o700, parents=True)
    if step.image == "agent":
        return Path(tempfile.mkdtemp(prefix=TMP_PREFIX))
    (root / "tmp").mkdir(mode=0o700)
    return root / "tmp"


def _link(name: Path, target: Path) -> None:
    name.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    name.symlink_to(target)


def _cache(state_dir: Path, kind: str, name: str) -> Path:
    """Return the directory of a store kept between runs; mirrors of remotes lie apart from the rest."""
    if not _CACHE_NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no name of a cache")
    path = state_dir / kind / name
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def _sockets(step: Step, control: Control | None) -> Mapping[str, Path]:
    name = step.request.get("control")
    return {**step.sockets, **({name: control.path} if control and isinstance(name, str) else {})}


def _is_directory(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def box_fault(what: str, error: OSError) -> StepError:
    """Return a fault of this machine as the error that ends a run."""
    return StepError(Cause.ENGINE, f"{what}: {error.strerror or error}", "check the state directory and the free space on its disk")
