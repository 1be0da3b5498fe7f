"""The facts that the policy judged a run's work by, stored beside it: a later delivery asks again, with what the user allows by then."""

import json
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from ccterm.causes import FORMER_NAMES, Cause
from ccterm.errors import StepError
from ccterm.git.git import GitError
from ccterm.git.hazards import PARTS, Repositories
from ccterm.git.names import folded
from ccterm.git.patterns import ignored_by
from ccterm.output.secret_shapes import holds_key_or_token
from ccterm.policy.rules import PolicyFacts
from ccterm.values import Changes
from ccterm.workspace.repository import Repository
from ccterm.workspace.work import PathChange, Refusal, Work

_FILE = "judged.json"


def write_facts(directory: Path, facts: PolicyFacts) -> None:
    """Store the facts that are in no other file of the work. Raises OSError."""
    note = {
        "refusals": list(facts.refusals),
        "secrets": sorted(facts.secrets),
        "shaped": list(facts.shaped),
        "ignored": list(facts.ignored),
        "obeyed": list(facts.obeyed),
        "tracked_lines": facts.tracked_lines,
        "unscanned": list(facts.unscanned),
    }
    (directory / _FILE).write_text(json.dumps(note), "ascii")


def read_facts(directory: Path) -> PolicyFacts:
    """Return the stored facts. Raises OSError and ValueError."""
    note = json.loads((directory / _FILE).read_text("ascii"))
    listed = Work.read(directory, None, Changes()).listed
    refusals = tuple((FORMER_NAMES.get(rule, str(rule)), str(path), str(detail)) for rule, path, detail in note["refusals"])
    lines = note["tracked_lines"]
    return PolicyFacts(
        listed,
        refusals,
        note["secrets"],
        note["shaped"],
        note["ignored"],
        note.get("obeyed", ()),
        int(lines) if lines is not None else None,
        note.get("unscanned", ()),
    )


def shaped_paths(added: Path, changes: Iterable[PathChange]) -> list[str]:
    """Return the paths that add something shaped like a token or a private key. Raises OSError."""
    found = []
    with added.open("rb") as file:
        for change in changes:
            begin, end = change.span
            file.seek(begin)
            if end > begin and holds_key_or_token(file.read(end - begin)):
                found.append(change.path)
    return found


def ignored_paths(repository: Repository, excludes_file: Path, changes: Collection[PathChange]) -> list[str]:
    """Return the new paths that the ignore rules of the working copy on the host exclude. Raises StepError."""
    fresh = [change for change in changes if change.old_mode is None]
    if not fresh:
        return []
    try:
        ignored = ignored_by(repository.git, rules=str(excludes_file))([change.raw for change in fresh])
    except GitError as error:
        raise StepError(Cause.COMMIT, f"git could not apply the ignore rules: {error.detail}") from error
    return [change.path for change in fresh if change.raw in ignored]


def embedded_repositories(changes: Iterable[PathChange]) -> tuple[Refusal, ...]:
    """Return as refusals the new paths that alone make git take a directory for a repository."""
    added = [(folded(change.raw), change.path) for change in changes if change.old_mode is None]
    found = Repositories(whole for whole, _ in added)
    return tuple(
        ("nested", path, "makes git take the directory for a repository")
        for directory in found
        for whole, path in added
        if (whole.startswith(directory + b"/") if directory else whole.partition(b"/")[0] in PARTS)
    )


def merge_refusals(*parts: Sequence[Refusal]) -> tuple[Refusal, ...]:
    """Return the refusals from several sources, each once."""
    return tuple(dict.fromkeys(refusal for part in parts for refusal in part))
