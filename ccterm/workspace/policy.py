"""What may be published: a verdict from what harvest refused and from the secrets found in the bytes that a commit adds."""

from collections.abc import Collection, Iterable, Sequence
from itertools import groupby
from operator import itemgetter

from ccterm.models import Finding, Verdict
from ccterm.output.sanitise import sanitise

SHOWN = 20
"""How many paths a finding names at most."""

_RULES = {
    "dotgit": "a path that git or a file system may take for .git",
    "nested": "a repository inside the repository",
    "gitlink": "a change inside a submodule",
    "special": "a file that is neither a regular file nor a symlink",
    "symlink": "a symlink that leaves the repository",
    "name": "a file name with control characters or not in UTF-8",
    "twin": "names that differ only in case or in Unicode form",
    "size": "a file that is too large",
    "total": "too many new bytes in all",
    "depth": "a path that is nested too deeply",
    "unreadable": "a file that cannot be read",
    "content": "a file that git itself finds fault with",
    "lfs": "a changed file of Git LFS, which is not uploaded",
}


Refusal = tuple[str, str, str]
"""What harvest left out of the commit: rule, path, detail."""


def judge(refusals: Iterable[Refusal], secrets: Collection[str]) -> Verdict:
    """Return the verdict on a commit: refused paths and registered secret values both forbid publishing."""
    findings = [_secret(sorted(secrets))] if secrets else []
    findings += [_refused(rule, list(group)) for rule, group in groupby(sorted(refusals), key=itemgetter(0))]
    return Verdict(ok=not findings, findings=tuple(findings))


def _secret(names: Sequence[str]) -> Finding:
    return Finding(rule="secret", severity="refuse", text=f"the commit adds the value of {', '.join(names)}")


def _refused(rule: str, refusals: Sequence[Refusal]) -> Finding:
    paths = tuple(sanitise(path) for _, path, _ in refusals[:SHOWN])
    more = f" and {len(refusals) - 1} more" if len(refusals) > 1 else ""
    text = f"{_RULES.get(rule, rule)}: {paths[0]}{more}"
    detail = sanitise(refusals[0][2])
    return Finding(rule=rule, severity="refuse", text=f"{text} ({detail})" if detail else text, paths=paths)


def sentence(verdict: Verdict) -> str:
    """Return the verdict in one sentence."""
    return "; ".join(finding.text for finding in verdict.findings) or "nothing forbids publishing"
