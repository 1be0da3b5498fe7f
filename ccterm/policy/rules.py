"""What may leave a run: one table of rules, each with a severity per mode, and the verdict with its numbers. Pure.

A pushed branch is read by people before it counts; files that appear in a working copy are not. So what destroys much, or steers
tools, is refused in testing mode and told in pipeline mode. What could harm by being there at all is refused in both.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter
from typing import Literal

from ccterm.models import Allowances, Finding, Mode, Numbers, Verdict
from ccterm.output.sanitise import sanitise
from ccterm.policy.protected import allowed, is_key_file, is_protected
from ccterm.workspace.work import PathChange, Refusal

SHOWN = 20
"""How many paths a finding names at most."""
MOST_LINES = 500
MOST_FILES = 1000
MOST_RENAMES = 200
"""So many renames at most are credited back."""
_SHARE = 0.25
_REGULAR = ("100644", "100755")

Severity = Literal["refuse", "warn"]

_LEFT_OUT = {
    "dotgit": "a path that git or a file system may take for .git",
    "nested": "a repository inside the repository",
    "gitlink": "a change inside a submodule",
    "special": "a file that is neither a regular file nor a symlink",
    "symlink": "a symlink that leaves the repository",
    "name": "a file name with control characters or not in UTF-8",
    "case_collision": "names that differ only in case or in Unicode form",
    "size": "a file that is too large",
    "total": "too many new bytes in all",
    "depth": "a path that is nested too deeply",
    "unreadable": "a file that cannot be read",
    "content": "a file that git itself finds fault with",
    "lfs": "a changed file of Git LFS, which is not uploaded",
}


@dataclass(frozen=True)
class Facts:
    """What is known of a commit."""

    changes: Sequence[PathChange] = ()
    refusals: Sequence[Refusal] = ()
    secrets: Collection[str] = ()
    """Names of the registered secrets whose values it adds."""
    shaped: Sequence[str] = ()
    """Paths that add something with the shape of a secret."""
    ignored: Sequence[str] = ()
    """New paths that the user's own ignore rules leave out."""
    tracked_lines: int | None = None


@dataclass(frozen=True)
class PolicyLimits:
    """How much is too much, and what the user lets pass."""

    deletions: int = 20
    allow: Allowances = field(default_factory=Allowances)
    strict: bool = False


@dataclass(frozen=True)
class Rule:
    """One clause: its severities, and what finds its breaches: text and paths of each."""

    name: str
    pipeline: Severity
    testing: Severity
    find: Callable[[Facts, Numbers, PolicyLimits], Iterator[tuple[str, Sequence[str]]]]

    def severity(self, mode: Mode, *, strict: bool) -> Severity:
        """Return how bad a breach is."""
        return self.pipeline if mode is Mode.PIPELINE and not strict else self.testing


Breaches = Iterator[tuple[str, Sequence[str]]]


def _secrets(facts: Facts, _: Numbers, __: PolicyLimits) -> Breaches:
    if facts.secrets:
        yield f"the commit adds the value of {', '.join(sorted(facts.secrets))}", ()


def _shapes(facts: Facts, _: Numbers, measures: PolicyLimits) -> Breaches:
    if paths := [path for path in facts.shaped if not allowed(path, measures.allow.paths)]:
        yield f"something with the shape of a secret is added: {_some(paths)}; --allow-path {_quoted(paths[0])} lets it pass", paths


def _key_files(facts: Facts, _: Numbers, measures: PolicyLimits) -> Breaches:
    added = [change.path for change in facts.changes if change.old_mode is None and is_key_file(change.path)]
    if paths := [path for path in added if not allowed(path, measures.allow.paths)]:
        yield f"a file of a name that usually holds keys: {_some(paths)}; --allow-path {_quoted(paths[0])} lets it pass", paths


def _destroyed(facts: Facts, numbers: Numbers, measures: PolicyLimits) -> Breaches:
    most = measures.deletions if measures.allow.deletions is None else measures.allow.deletions
    if numbers.destroyed > most:
        parts = {"deleted": numbers.deleted, "replaced by another kind": numbers.retyped, "gutted": numbers.gutted}
        told = ", ".join(f"{count} {what}" for what, count in parts.items() if count)
        text = f"{numbers.destroyed} files destroyed ({told}), more than {most}; --allow-deletions {numbers.destroyed} lets it pass"
        yield text, [change.path for change in facts.changes if _destroys(change)]


def _lines(facts: Facts, numbers: Numbers, measures: PolicyLimits) -> Breaches:
    most = max(MOST_LINES, int(_SHARE * (facts.tracked_lines or 0)))
    if measures.allow.lines is not None:
        most = measures.allow.lines
    if numbers.removed > most:
        yield f"{numbers.removed:,} lines removed, more than {most:,}; --allow-lines {numbers.removed} lets it pass", ()


def _files(_: Facts, numbers: Numbers, measures: PolicyLimits) -> Breaches:
    most = MOST_FILES if measures.allow.files is None else measures.allow.files
    if numbers.files > most:
        yield f"{numbers.files:,} files changed, more than {most:,}; --allow-files {numbers.files} lets it pass", ()


def _protected(facts: Facts, _: Numbers, measures: PolicyLimits) -> Breaches:
    touched = [change.path for change in facts.changes if is_protected(change.path)]
    if paths := [path for path in touched if not allowed(path, measures.allow.paths)]:
        yield f"a path that tools obey without asking: {_some(paths)}; --allow-path {_quoted(paths[0])} lets it pass", paths


def _ignored(facts: Facts, _: Numbers, measures: PolicyLimits) -> Breaches:
    if paths := [path for path in facts.ignored if not allowed(path, measures.allow.paths)]:
        yield f"left out, for the working copy ignores it: {_some(paths)}; --allow-path {_quoted(paths[0])} takes it in", paths


def _left_out(name: str) -> Rule:
    def find(facts: Facts, _: Numbers, __: PolicyLimits) -> Breaches:
        for rule, group in groupby(sorted(facts.refusals), key=itemgetter(0)):
            if rule == name:
                yield _refused(rule, list(group))

    return Rule(name, "refuse", "refuse", find)


RULES = (
    Rule("secret", "refuse", "refuse", _secrets),
    *map(_left_out, _LEFT_OUT),
    Rule("shape", "refuse", "refuse", _shapes),
    Rule("key_file", "refuse", "refuse", _key_files),
    Rule("deletions", "warn", "refuse", _destroyed),
    Rule("lines", "warn", "refuse", _lines),
    Rule("files", "warn", "refuse", _files),
    Rule("protected", "warn", "refuse", _protected),
    Rule("ignored", "warn", "warn", _ignored),
)


def judge(facts: Facts, mode: Mode, measures: PolicyLimits) -> Verdict:
    """Return the verdict on a commit: ok unless a breach is one that this mode refuses."""
    numbers = measure(facts.changes)
    findings = tuple(
        Finding(rule=rule.name, severity=rule.severity(mode, strict=measures.strict), text=sanitise(text), paths=_shown(paths))
        for rule in RULES
        for text, paths in rule.find(facts, numbers, measures)
    )
    return Verdict(ok=all(finding.severity == "warn" for finding in findings), findings=findings, numbers=numbers)


def deliverable(verdict: Verdict) -> Verdict:
    """Return the verdict as it stands once what commit left out stays out for good: the user knows, and delivers the rest."""
    findings = tuple(finding for finding in verdict.findings if finding.rule not in _LEFT_OUT)
    return verdict.model_copy(update={"findings": findings, "ok": all(finding.severity == "warn" for finding in findings)})


def measure(changes: Sequence[PathChange]) -> Numbers:
    """Return how much changes destroy. The lines of a renamed file count as removed no more than its content does."""
    renamed = [change for change in changes if change.renamed_to][:MOST_RENAMES]
    credited = {change.path for change in renamed}
    return Numbers(
        files=len(changes),
        deleted=sum(change.new_mode is None and change.path not in credited for change in changes),
        retyped=sum(_retyped(change) for change in changes),
        gutted=sum(_gutted(change) for change in changes),
        renamed=len(renamed),
        removed=sum(change.removed or 0 for change in changes if change.path not in credited),
    )


def _destroys(change: PathChange) -> bool:
    return (change.new_mode is None and not change.renamed_to) or _retyped(change) or _gutted(change)


def _retyped(change: PathChange) -> bool:
    return change.old_mode is not None and change.new_mode is not None and change.old_mode[:2] != change.new_mode[:2]


def _gutted(change: PathChange) -> bool:
    """Whether a file of some size lost more than nine tenths of its bytes or of its lines."""
    if change.old_mode not in _REGULAR or change.new_mode not in _REGULAR:
        return False
    old_lines = change.old_lines or 0
    new_lines = old_lines + (change.added or 0) - (change.removed or 0)
    worth = old_lines >= 10 or change.old_size >= 256
    return worth and (10 * change.size < change.old_size or 10 * new_lines < old_lines)


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
    """Return a path as text for people; bytes that are not UTF-8 stand as escapes."""
    return sanitise(path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace"))


def _quoted(path: str) -> str:
    plain = _plain(path)
    return plain if all(char.isalnum() or char in "._-/" for char in plain) else f"'{plain}'"


def sentence(verdict: Verdict) -> str:
    """Return why a verdict forbids, in one sentence."""
    refused = [finding.text for finding in verdict.findings if finding.severity == "refuse"]
    return "; ".join(refused) or "nothing forbids pushing"
