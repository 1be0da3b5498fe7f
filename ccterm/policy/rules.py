"""What may leave a run: one table of rules, each with a severity per mode, and the verdict with its numbers. Pure.

People review a pushed branch before it takes effect; files that appear in a working copy take effect at once. So what destroys much, or
configures tools, is refused in testing mode and reported in pipeline mode. What does harm by its mere presence is refused in both.
"""

import posixpath
import re
import shlex
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter
from typing import Literal

from ccterm.git.names import IGNORABLE, not_on_windows, unseen
from ccterm.models import Allowances, Mode
from ccterm.output.sanitise import sanitise
from ccterm.policy.protected import allowed, is_above_protected, is_key_file, is_protected
from ccterm.values import Finding, Numbers, Verdict
from ccterm.workspace.work import PathChange, Refusal

SHOWN = 20
"""How many paths a finding lists at most."""
_FLAGS = 5
"""How many paths get a flag each."""
MOST_LINES = 500
MOST_FILES = 1000
MOST_RENAMES = 200
"""How many renames at most are not counted as deletions."""
_SHARE = 0.25
_REGULAR = ("100644", "100755")
_LINK = "120000"

Severity = Literal["refuse", "warn"]

_LEFT_OUT = {
    "dotgit": "a path that git or a file system may treat as .git",
    "nested": "a repository inside the repository",
    "gitlink": "a change inside a submodule",
    "special": "a file that is neither a regular file nor a symlink",
    "symlink": "a symlink that leaves the repository",
    "name": "a file name that has control characters or is not UTF-8",
    "case_collision": "names that differ only in case or in Unicode form",
    "size": "a file that is too large",
    "total": "too many new bytes in all",
    "depth": "a path that is nested too deeply",
    "unreadable": "a file that cannot be read",
    "content": "a file that git itself rejects",
    "lfs": "a changed Git LFS file, which ccterm does not upload",
}


@dataclass(frozen=True)
class PolicyFacts:
    """What is known about a commit."""

    changes: Sequence[PathChange] = ()
    refusals: Sequence[Refusal] = ()
    secrets: Collection[str] = ()
    """Names of the registered secrets whose values it adds."""
    shaped: Sequence[str] = ()
    """Paths that add something shaped like a token or a private key."""
    ignored: Sequence[str] = ()
    """New paths that the user's own ignore rules exclude."""
    obeyed: Sequence[str] = ()
    """Changed paths that git obeys in the user's working copy, because its configuration names them."""
    tracked_lines: int | None = None
    unscanned: Sequence[str] = ()
    """Secrets of the run that it was not searched for, because they could not be read then."""


@dataclass(frozen=True)
class PolicyLimits:
    """How much is too much, and what the user allows."""

    deletions: int = 20
    allow: Allowances = field(default_factory=Allowances)
    strict: bool = False


@dataclass(frozen=True)
class Rule:
    """One rule: its severity in each mode, and what finds its breaches, each with a text and the paths."""

    name: str
    pipeline: Severity
    testing: Severity
    find: Callable[[PolicyFacts, Numbers, PolicyLimits], Iterator[tuple[str, Sequence[str]]]]

    def severity(self, mode: Mode, *, strict: bool) -> Severity:
        """Return how severe a breach is."""
        return self.pipeline if mode is Mode.PIPELINE and not strict else self.testing


Breaches = Iterator[tuple[str, Sequence[str]]]


def _secrets(facts: PolicyFacts, _: Numbers, __: PolicyLimits) -> Breaches:
    if facts.secrets:
        yield f"the commit adds the value of {', '.join(sorted(facts.secrets))}", ()


def _unscanned(facts: PolicyFacts, _: Numbers, __: PolicyLimits) -> Breaches:
    if facts.unscanned:
        yield f"it was not searched for secrets that could not be read: {', '.join(facts.unscanned)}", ()


def _shapes(facts: PolicyFacts, _: Numbers, limits: PolicyLimits) -> Breaches:
    if paths := [path for path in facts.shaped if not allowed(path, limits.allow.paths)]:
        yield f"what looks like a token or a key is added: {_some(paths)}; {allowing(paths)} allows it", paths


def _key_files(facts: PolicyFacts, _: Numbers, limits: PolicyLimits) -> Breaches:
    added = [change.path for change in facts.changes if change.old_mode is None and is_key_file(change.path)]
    if paths := [path for path in added if not allowed(path, limits.allow.paths)]:
        yield f"a file whose name suggests keys or passwords: {_some(paths)}; {allowing(paths)} allows it", paths


def _destroyed(facts: PolicyFacts, numbers: Numbers, limits: PolicyLimits) -> Breaches:
    most = limits.deletions if limits.allow.deletions is None else limits.allow.deletions
    if numbers.destroyed > most:
        parts = {"deleted": numbers.deleted, "changed in type": numbers.retyped, "gutted": numbers.gutted}
        detail = ", ".join(f"{count} {what}" for what, count in parts.items() if count)
        text = f"{numbers.destroyed} files destroyed ({detail}), more than {most}; --allow-deletions {numbers.destroyed} allows it"
        yield text, [change.path for change in facts.changes if _destroys(change)]


def _lines(facts: PolicyFacts, numbers: Numbers, limits: PolicyLimits) -> Breaches:
    most = max(MOST_LINES, int(_SHARE * (facts.tracked_lines or 0)))
    if limits.allow.lines is not None:
        most = limits.allow.lines
    if numbers.removed > most:
        yield f"{numbers.removed:,} lines removed, more than {most:,}; --allow-lines {numbers.removed} allows it", ()


def _files(_: PolicyFacts, numbers: Numbers, limits: PolicyLimits) -> Breaches:
    most = MOST_FILES if limits.allow.files is None else limits.allow.files
    if numbers.files > most:
        yield f"{numbers.files:,} files changed, more than {most:,}; --allow-files {numbers.files} allows it", ()


def _protected(facts: PolicyFacts, _: Numbers, limits: PolicyLimits) -> Breaches:
    obeyed = frozenset(facts.obeyed)
    touched = [
        change.path
        for change in facts.changes
        if change.path in obeyed or is_protected(change.path) or (change.new_mode == _LINK and is_above_protected(change.path))
    ]
    if paths := [path for path in touched if not allowed(path, limits.allow.paths)]:
        yield f"a path that tools obey without asking: {_some(paths)}; {allowing(paths)} allows it", paths


def _windows(facts: PolicyFacts, _: Numbers, __: PolicyLimits) -> Breaches:
    added = [(change.path, _unfit_for_windows(change.path)) for change in facts.changes if change.old_mode is None]
    if paths := [path for path, why in added if why]:
        yield f"nobody on Windows can check this out: {_some(paths)}, which {_unfit_for_windows(paths[0])}", paths


def _unfit_for_windows(path: str) -> str:
    return next((why for name in path.split("/") if (why := not_on_windows(name))), "")


def _unseen(facts: PolicyFacts, _: Numbers, limits: PolicyLimits) -> Breaches:
    added = [change.path for change in facts.changes if change.old_mode is None and unseen(change.path)]
    if paths := [path for path in added if not allowed(path, limits.allow.paths)]:
        yield f"a name with invisible characters: {_some(paths)}; {allowing(paths)} allows it", paths


def _ignored(facts: PolicyFacts, _: Numbers, limits: PolicyLimits) -> Breaches:
    if paths := [path for path in facts.ignored if not allowed(path, limits.allow.paths)]:
        yield f"left out because the working copy ignores it: {_some(paths)}; {allowing(paths)} includes it", paths


def _left_out(name: str) -> Rule:
    def find(facts: PolicyFacts, _: Numbers, __: PolicyLimits) -> Breaches:
        for rule, group in groupby(sorted(facts.refusals), key=itemgetter(0)):
            if rule == name:
                yield _refused(rule, list(group))

    return Rule(name, "refuse", "refuse", find)


RULES = (
    Rule("secret", "refuse", "refuse", _secrets),
    Rule("unscanned", "refuse", "refuse", _unscanned),
    *map(_left_out, _LEFT_OUT),
    Rule("shape", "refuse", "refuse", _shapes),
    Rule("key_file", "refuse", "refuse", _key_files),
    Rule("deletions", "warn", "refuse", _destroyed),
    Rule("lines", "warn", "refuse", _lines),
    Rule("files", "warn", "refuse", _files),
    Rule("protected", "warn", "refuse", _protected),
    Rule("windows", "warn", "warn", _windows),
    Rule("unseen", "warn", "refuse", _unseen),
    Rule("ignored", "warn", "warn", _ignored),
)


def judge(facts: PolicyFacts, mode: Mode, limits: PolicyLimits) -> Verdict:
    """Return the verdict on a commit: ok unless this mode refuses one of its breaches."""
    numbers = measure(facts.changes)
    findings = tuple(
        Finding(rule=rule.name, severity=rule.severity(mode, strict=limits.strict), text=sanitise(text), paths=_shown(paths))
        for rule in RULES
        for text, paths in rule.find(facts, numbers, limits)
    )
    return Verdict(ok=all(finding.severity == "warn" for finding in findings), findings=findings, numbers=numbers)


def deliverable(verdict: Verdict) -> Verdict:
    """Return the verdict for a later delivery: what was left out of the commit stays out, as the user knows, and the rest is judged."""
    findings = tuple(finding for finding in verdict.findings if finding.rule not in _LEFT_OUT)
    return verdict.model_copy(update={"findings": findings, "ok": all(finding.severity == "warn" for finding in findings)})


def measure(changes: Sequence[PathChange]) -> Numbers:
    """Return how much changes destroy. A renamed file counts neither as deleted nor its lines as removed."""
    renamed = [change for change in changes if change.renamed_to][:MOST_RENAMES]
    credited = {change.path for change in renamed}
    return Numbers(
        files=len(changes),
        deleted=sum(change.new_mode is None and change.path not in credited for change in changes),
        retyped=sum(_retyped(change) for change in changes),
        gutted=int(sum(1 if _gutted(change) else _lost(change) for change in changes)),
        renamed=len(renamed),
        removed=sum(_removed(change) for change in changes if change.path not in credited),
    )


def _destroys(change: PathChange) -> bool:
    return (change.new_mode is None and not change.renamed_to) or _retyped(change) or _gutted(change) or _lost(change) > 0


def _retyped(change: PathChange) -> bool:
    return change.old_mode is not None and change.new_mode is not None and change.old_mode[:2] != change.new_mode[:2]


def _removed(change: PathChange) -> int:
    return change.removed if change.removed is not None else change.old_lines or 0


def _gutted(change: PathChange) -> bool:
    """Whether a file of some size lost more than nine tenths of its bytes or lines, or was text and is not any more."""
    if change.old_mode not in _REGULAR or change.new_mode not in _REGULAR:
        return False
    old_lines = change.old_lines or 0
    if not (old_lines >= 10 or change.old_size >= 256):
        return False
    if change.removed is None and change.old_lines is not None:
        return True
    new_lines = old_lines + (change.added or 0) - (change.removed or 0)
    return 10 * change.size < change.old_size or 10 * new_lines < old_lines


def _lost(change: PathChange) -> float:
    """Return which part of its bytes a text lost, if that is a quarter at least: many files, each a little under a bound, add up."""
    if change.old_mode not in _REGULAR or change.new_mode not in _REGULAR or change.removed is None or change.old_size < 256:
        return 0.0
    part = 1 - change.size / change.old_size
    return part if part >= _SHARE else 0.0


def _refused(rule: str, refusals: Sequence[Refusal]) -> tuple[str, Sequence[str]]:
    paths = [path for _, path, _ in refusals]
    more = f" and {len(refusals) - 1} more" if len(refusals) > 1 else ""
    text = f"{_LEFT_OUT.get(rule, rule)}: {sanitise(paths[0])}{more}"
    detail = sanitise(refusals[0][2])
    return (f"{text} ({detail})" if detail else text), paths


def _shown(paths: Iterable[str]) -> tuple[str, ...]:
    return tuple(_plain(path) for path in list(paths)[:SHOWN])


def _some(paths: Sequence[str]) -> str:
    return _plain(paths[0]) + (f" and {len(paths) - 1} more" if len(paths) > 1 else "")


def _plain(path: str) -> str:
    """Return a path as text for people; bytes that are not UTF-8, and invisible characters, appear as escapes."""
    if unseen(path):
        path = re.sub(f"[{IGNORABLE}]", lambda found: found[0].encode("ascii", "backslashreplace").decode(), path)
    return sanitise(path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace"))


def allowing(paths: Sequence[str]) -> str:
    """Return the flags that allow these paths, as a shell takes them: one for each of a few, else one for the directory that holds all."""
    if len(paths) > _FLAGS:
        above = posixpath.commonpath([posixpath.dirname(path) for path in paths])
        patterns = [f"{_glob(above)}/*" if above else "*"]
    else:
        patterns = [_glob(path) for path in paths]
    return " ".join(f"--allow-path {shlex.quote(pattern)}" for pattern in patterns)


def _glob(path: str) -> str:
    """Return a glob that matches a path and can be typed: what cannot be shown is any character, and a dash begins no option."""
    plain = "".join(f"[{char}]" if char in "*?[" else char if char.isprintable() and not unseen(char) else "?" for char in path)
    return f"[-]{plain[1:]}" if plain.startswith("-") else plain


def deciding(verdict: Verdict) -> str:
    """Return the rule that decides what a user can do about work that is refused: one that stands in the way of the rest, if there is any."""
    refused = [finding.rule for finding in verdict.findings if finding.severity == "refuse"]
    return next((rule for rule in refused if rule not in _LEFT_OUT), refused[0] if refused else "")


def sentence(verdict: Verdict) -> str:
    """Return in one sentence why a verdict refuses the work."""
    refused = [finding.text for finding in verdict.findings if finding.severity == "refuse"]
    return "; ".join(refused) or "no rule refuses it"
