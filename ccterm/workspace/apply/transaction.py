"""Applies change sets to working copies and undoes that: check, journal, apply, and recovery after a crash. One at a time per repository.

Only files of the working copy are touched: not the index, not HEAD, no ref, hook or configuration.
"""

import os
import secrets
import shutil
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path
from typing import NoReturn

from ccterm.causes import Cause
from ccterm.errors import CctermError, StateError, StepError, UsageError
from ccterm.git.names import shown
from ccterm.git.rooted import Root
from ccterm.machine_errors import machine_error
from ccterm.models import RunId
from ccterm.state_dir import StateDir
from ccterm.workspace.apply.changeset import ChangeSet, FileChange
from ccterm.workspace.apply.conflicts import ConflictCheck, changed
from ccterm.workspace.apply.forward import Conflict, QuickMark, RollForward
from ccterm.workspace.apply.journal import ID_LENGTH, UNDO, Backups, Directory, Journal, Phase, is_old, journals
from ccterm.workspace.apply.rollback import Rollback, clear_stage
from ccterm.workspace.apply.stage import any_stage
from ccterm.workspace.content import FileId
from ccterm.workspace.disk import Disk
from ccterm.workspace.repository import require_history, working_copy_lock

_SHOWN = 10


@dataclass(frozen=True)
class Applied:
    """What an apply did."""

    files: int
    notes: tuple[str, ...] = ()
    linked: int = 0
    """How many of the changed files have names elsewhere, which show the changes too."""


Guard = Callable[[Mapping[FileId, bytes], Collection[bytes]], str]
"""Says why files with several names must not be written in place, "" if they may: (file -> the path that changes it, all changed paths)."""


class ApplyTransaction:
    """Brings change sets into working copies. Its methods block; they raise StepError(conflict), UsageError and StateError."""

    def __init__(self, state: StateDir, disk: Disk | None = None) -> None:
        self._state = state
        self._storage = state.storage
        self._disk = disk or Disk(state.storage)

    def apply(self, run: RunId, root: Path, changes: ChangeSet, guard: Guard | None = None) -> Applied:
        """Bring all changes into the working copy, or none. Paths that hold the new content already are skipped."""
        with working_copy_lock(self._state, root):
            require_history(root, changes.history)
            first = self._state.applied(run)
            later = (first.with_name(f"{first.name}-{number}") for number in count(2))  # if some paths were applied before
            journal_dir = next(journal_dir for journal_dir in chain([first], later) if not journal_dir.exists())
            return self._carry_out(journal_dir, root, changes, guard)

    def undo(self, run: RunId, guard: Guard | None = None) -> Applied:
        """Put back what the changed paths held, if they still hold what the run brought."""
        applied = self._applied(run)
        if not applied:
            what = "was undone already" if self._state.applied(run).exists() else "has no changes that can still be undone"
            raise UsageError(f"the run {what}", "ccterm runs lists what became of it")
        root = Path(applied[0][1].root)
        done = list[Applied]()
        with working_copy_lock(self._state, root):
            require_history(root, applied[0][1].history)
            for journal_dir, journal in reversed(applied):
                done.append(self._carry_out(self._undo_dir(journal_dir), root, self._reverse(journal_dir, journal), guard, journal))
                self._forget_undo(journal_dir, journal)
        return Applied(
            sum(each.files for each in done), tuple(note for each in done for note in each.notes), max(each.linked for each in done)
        )

    def _applied(self, run: RunId) -> list[tuple[Path, Journal]]:
        """Return the journals of a run whose changes are in the working copy, in order."""
        found = [(journal_dir, journal) for journal_dir, journal in journals(self._state.journal) if journal_dir.name.startswith(run)]
        return [
            (journal_dir, journal) for journal_dir, journal in found if journal.phase is Phase.DONE and not journal_dir.name.endswith(UNDO)
        ]

    def _reverse(self, journal_dir: Path, journal: Journal) -> ChangeSet:
        """Return the reverse of an apply as a change set, with the bytes that were kept."""
        directory = journal_dir / "back"
        shutil.rmtree(directory, ignore_errors=True)
        self._storage.make_directory(directory)
        ops = []
        for number, change in enumerate(journal.ops):
            self._storage.create(directory / str(number), journal.backup(journal_dir, number))
            ops.append(FileChange(name=change.name, old=change.new, new=change.old, file=str(number)))
        return ChangeSet(directory, tuple(ops), journal.history)

    def _undo_dir(self, journal_dir: Path) -> Path:
        return journal_dir.with_name(f"{journal_dir.name}{UNDO}")

    def _forget_undo(self, journal_dir: Path, journal: Journal) -> None:
        journal.at(Phase.UNDONE).write(journal_dir, self._storage)
        for left in (self._undo_dir(journal_dir), journal_dir / "back"):
            shutil.rmtree(left, ignore_errors=True)

    def _carry_out(
        self, journal_dir: Path, directory: Path, changes: ChangeSet, guard: Guard | None, undone: Journal | None = None
    ) -> Applied:
        """Check, write the journal, apply. undone: the journal that this undoes."""
        try:
            with Root(directory) as root:
                found = ConflictCheck(root, changes)
                if found.linked and guard:
                    _require_free(found, changes, guard)
                if found.ops:
                    journal = self._plan(journal_dir, directory, found, undone, changes.history)
                    self._apply(root, journal_dir, journal, changes, found.marks)
                return Applied(len(changes.ops), found.notes, found.elsewhere)
        except Conflict as conflict:
            raise changed([shown(conflict.path)]) from conflict
        except OSError as error:
            name = f"{os.fsdecode(error.filename)}: " if isinstance(error.filename, str | bytes) else ""
            raise _unwritten(f"{directory} cannot be written: {name}{error.strerror or error}", "nothing was changed", error) from error

    def _plan(self, journal_dir: Path, directory: Path, found: ConflictCheck, undone: Journal | None, history: tuple[str, ...]) -> Journal:
        """Write the journal: from now on the next start undoes a crash. Raises OSError, StateError."""
        directories = found.directories
        if undone:  # what the apply made may be removed; what it removed is restored
            directories = {name: mode for name, mode in directories.items() if name in undone.made}
            directories |= {each.name: each.mode for each in undone.directories}
        backups = Backups(journal_dir, self._storage)
        for data in found.kept:
            backups.add(data)
        backups.close()
        stage = f".ccterm-{secrets.token_hex(8)}"
        journal = Journal(
            root=str(directory),
            stage=stage,
            mounts=found.mounts,
            history=history,
            ops=tuple(found.ops),
            backups=tuple(backups.kept),
            linked=tuple(found.linked),
            made=tuple(found.made),
            directories=tuple(Directory(name=name, mode=mode) for name, mode in directories.items()),
            exact=undone is not None,
        )
        return journal.write(journal_dir, self._storage)

    def _apply(self, root: Root, journal_dir: Path, journal: Journal, changes: ChangeSet, marks: Sequence[QuickMark | None]) -> None:
        try:
            RollForward(root, self._disk, journal, changes, marks).run()
            journal.at(Phase.DONE).write(journal_dir, self._storage)
        except (Conflict, OSError, StateError) as error:
            self._give_up(root, journal_dir, journal, error)
        with suppress(OSError):  # everything is done; the next start removes what is left
            clear_stage(root, self._disk, journal)

    def _give_up(self, root: Root, journal_dir: Path, journal: Journal, error: Conflict | OSError | StateError) -> NoReturn:
        """Undo what was done, and raise the reason why nothing is applied."""
        try:
            foreign = self._roll_back(root, journal_dir, journal)
        except OSError as worse:
            message = f"{journal.root} holds some of the changes, and they cannot be undone: {worse.strerror or worse}"
            raise _unwritten(message, "the next start of ccterm undoes them", worse) from worse
        if isinstance(error, Conflict) or foreign:
            paths = [shown(error.path)] if isinstance(error, Conflict) else []
            raise changed(list(dict.fromkeys([*paths, *foreign]))) from error
        raise error

    def _roll_back(self, root: Root, journal_dir: Path, journal: Journal) -> list[str]:
        rollback = Rollback(root, self._disk, journal, lambda number: journal.backup(journal_dir, number))
        rollback.run()
        if rollback.foreign:
            journal.at(Phase.UNDONE).write(journal_dir, self._storage)  # keeps what these paths held
        else:
            shutil.rmtree(journal_dir, ignore_errors=True)
        return rollback.foreign

    def recover(self) -> Mapping[RunId, str]:
        """Undo every apply whose process died before the end, and remove old journals. Returns run -> what the user should know."""
        notes: dict[RunId, str] = {}
        for journal_dir, journal in list(journals(self._state.journal)):
            run = RunId(journal_dir.name[:ID_LENGTH])
            try:
                if note := self._recovered(journal_dir, journal):
                    notes[run] = note
            except (CctermError, OSError) as error:
                notes[run] = f"an apply to {journal.root} was interrupted and cannot be undone yet: {error}"
        return notes

    def _recovered(self, journal_dir: Path, journal: Journal) -> str:
        if journal.phase is Phase.APPLYING:
            return self._undone(journal_dir, journal)
        if journal_dir.name.endswith(UNDO):  # the undo is complete, only its record is missing
            self._clear_left_stage(journal)
            first = journal_dir.with_name(journal_dir.name.removesuffix(UNDO))
            if done := Journal.read(first):
                self._forget_undo(first, done)
        elif is_old(journal_dir):
            shutil.rmtree(journal_dir, ignore_errors=True)
        else:
            self._clear_left_stage(journal)
        return ""

    def _undone(self, journal_dir: Path, journal: Journal) -> str:
        directory = Path(journal.root)
        with working_copy_lock(self._state, directory), Root(directory) as root:
            foreign = self._roll_back(root, journal_dir, journal)
        what = "an undo" if journal_dir.name.endswith(UNDO) else "an apply"
        left = f"; changed by someone else and left alone: {', '.join(foreign[:_SHOWN])}" if foreign else ""
        return f"{what} to {directory} was interrupted and has been undone{left}"

    def _clear_left_stage(self, journal: Journal) -> None:
        with suppress(FileNotFoundError), Root(Path(journal.root)) as root:
            if any_stage(root, journal):
                clear_stage(root, self._disk, journal)

    def applied(self) -> Mapping[RunId, int]:
        """Return, by run, how many paths were brought into working copies."""
        counts = Counter[RunId]()
        for journal_dir, journal in journals(self._state.journal):
            if journal.phase is Phase.DONE and not journal_dir.name.endswith(UNDO):
                counts[RunId(journal_dir.name[:ID_LENGTH])] += len(journal.ops)
        return counts


def _require_free(found: ConflictCheck, changes: ChangeSet, guard: Guard) -> None:
    files = {found.files[writer]: found.ops[writer].path for writer, *_ in found.linked}
    if why := guard(files, {change.path for change in changes.ops}):
        fix = "nothing was changed; give the file content of its own (cp -p FILE FILE.new; mv FILE.new FILE), then try again"
        raise StepError(Cause.CONFLICT, why, fix, reason="linked")


def _unwritten(message: str, now: str, error: OSError) -> StepError:
    """Return what a working copy that cannot be written amounts to. now: how things stand."""
    if found := machine_error(error):
        return StepError(found.cause, message, f"{now}; {found.fix}", reason=found.reason)
    return StepError(Cause.CONFLICT, message, f"{now}; make it writable, then try again", reason="io")
