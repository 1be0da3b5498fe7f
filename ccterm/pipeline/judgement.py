"""Asks the policy about a run's work: right after the commit, and again before a later delivery, with what the user allows by then."""

import asyncio
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from ccterm.causes import Cause
from ccterm.errors import StepError, UsageError
from ccterm.events import Judged, StepFinished, StepStarted
from ccterm.executors.base import Artifact
from ccterm.kept_refs import KeptRef
from ccterm.models import Allowances, Mode, Run
from ccterm.pipeline.context import WorkContext
from ccterm.pipeline.reports import CommitResult
from ccterm.policy import rules
from ccterm.policy.facts import embedded_repositories, merge_refusals, read_facts, shaped_paths, write_facts
from ccterm.policy.rules import PolicyFacts, PolicyLimits
from ccterm.record import Recorder
from ccterm.settings import PolicySettings
from ccterm.values import Changes, Verdict
from ccterm.workspace.masks import Masks
from ccterm.workspace.work import Refusal, Work


@dataclass(frozen=True)
class CommittedWork:
    """What the commit step made of an agent's tree. work: the commit's files on the host; boxed: the git directory with it, in a box."""

    work: Work
    boxed: Artifact | None
    base: str | None
    refusals: tuple[Refusal, ...] = ()
    tracked_lines: int | None = None

    @classmethod
    def read(cls, directory: Path, report: CommitResult, base: str | None, boxed: Artifact | None = None) -> Self:
        """Read what the step left on the host. Blocks. Raises OSError, ValueError."""
        changes = Changes(files=report.files, added=report.added, removed=report.removed, deleted=report.deleted)
        refusals = tuple((refusal.rule, refusal.path, refusal.detail) for refusal in report.refusals)
        side = [KeptRef(**dict(ref)) for ref in report.side]
        return cls(Work.read(directory, report.commit, changes, side), boxed, base, refusals, report.tracked_lines)

    @property
    def clean(self) -> Artifact:
        """The git directory with the new commit."""
        assert self.boxed is not None  # what comes from a checkpoint is kept, and delivered later from there
        return self.boxed

    @property
    def in_tree(self) -> bool:
        """Whether the tree itself differs from the base: there is something to judge."""
        return self.work.commit is not None or bool(self.refusals)


@dataclass(frozen=True)
class JudgedWork:
    """Committed work with its verdict and the facts that it rests on. Nothing else is ever delivered."""

    committed: CommittedWork
    verdict: Verdict
    facts: PolicyFacts


def policy_limits(settings: PolicySettings, allow: Allowances) -> PolicyLimits:
    """Return how much is too much for one run."""
    return PolicyLimits(deletions=settings.max_deletions, allow=allow, strict=settings.strict)


async def judge(committed: CommittedWork, context: WorkContext, recorder: Recorder) -> JudgedWork:
    """Ask the policy about committed work, and record the answer. Raises StepError if the facts cannot be established."""
    begin = time.monotonic()
    recorder.emit([StepStarted(step="policy")])
    facts = await asyncio.to_thread(_facts, committed, context)
    verdict = _verdict(facts, context.task.mode, context.limits, committed.work.directory)
    detail = "fine" if verdict.ok else "refused"  # the verdict says why
    took = round(time.monotonic() - begin, 3)
    changes = committed.work.changes
    recorder.emit([Judged(verdict=verdict, changes=changes), StepFinished(step="policy", ok=verdict.ok, seconds=took, detail=detail)])
    return JudgedWork(committed, verdict, facts)


def require_ok(verdict: Verdict) -> None:
    """Raise StepError(policy) with the reasons if a verdict refuses the work."""
    if not verdict.ok:
        raise StepError(Cause.POLICY, rules.sentence(verdict), reason=rules.deciding(verdict))


def require_deliverable(run: Run, directory: Path, limits: PolicyLimits, allow: Allowances) -> PolicyFacts:
    """Judge a run's kept work again, with what the user allows now. Blocks. Raises StepError(policy), naming the flag, and UsageError."""
    facts = _stored(run, directory)
    widened = PolicyLimits(deletions=limits.deletions, allow=allow.beyond(limits.allow), strict=limits.strict)
    require_ok(rules.deliverable(_verdict(facts, run.task.mode, widened, directory)))
    return facts


async def scan(run: Run, directory: Path, context: WorkContext, recorder: Recorder) -> None:
    """Search a run's kept work for the secrets that could not be read when it was kept, and judge it again.

    Raises StepError(policy) while they still cannot be read, UsageError when the work was never judged.
    """
    facts = await asyncio.to_thread(_stored, run, directory)
    if not facts.unscanned:
        return
    if context.unscanned:
        fix = "make them readable, then try again; ccterm fetch and ccterm diff do without"
        raise StepError(Cause.POLICY, f"the work was not searched for {', '.join(context.unscanned)}", fix, reason="unscanned")
    facts = await asyncio.to_thread(_scanned, facts, directory, context)
    recorder.emit([Judged(verdict=_verdict(facts, run.task.mode, context.limits, directory), changes=run.changes or Changes())])


def _verdict(facts: PolicyFacts, mode: Mode, limits: PolicyLimits, directory: Path) -> Verdict:
    """Judge the work in a directory; what the verdict says about it names no path that holds a secret."""
    verdict, masks = rules.judge(facts, mode, limits), Masks.read(directory)
    if masks is None or not masks.names:
        return verdict
    findings = (
        finding.model_copy(update={"text": masks.text(finding.text), "paths": tuple(map(masks.text, finding.paths))})
        for finding in verdict.findings
    )
    return verdict.model_copy(update={"findings": tuple(findings)})


def _scanned(facts: PolicyFacts, directory: Path, context: WorkContext) -> PolicyFacts:
    work = Work.read(directory, None, Changes())
    context.output.write_masks(work)
    facts = replace(facts, secrets=context.output.secrets_in(work.added), unscanned=())
    write_facts(directory, facts)
    work.added.unlink(missing_ok=True)
    return facts


def _stored(run: Run, directory: Path) -> PolicyFacts:
    try:
        return read_facts(directory)
    except (OSError, ValueError) as error:
        raise UsageError(
            f"the work of run {run.label} was never checked against the policy, so it is not delivered", f"see {directory}"
        ) from error


def _facts(committed: CommittedWork, context: WorkContext) -> PolicyFacts:
    """Establish what the policy needs to know, and store it for a later delivery."""
    work, copy = committed.work, context.working_copy
    refusals = merge_refusals(committed.refusals, embedded_repositories(work.listed))
    ignored, obeyed = list[str](), list[str]()
    context.output.write_masks(work)
    secrets = context.output.secrets_in(work.added)
    shaped = shaped_paths(work.added, work.listed) if work.added.exists() else []
    if not context.unscanned:
        work.added.unlink(missing_ok=True)  # only the scans needed it; bundle and patch hold the work
    if copy and work.commit:
        refusals = merge_refusals(refusals, copy.extract(work, committed.base or ""))
        ignored, obeyed = list(copy.ignored(work.listed)), list(copy.obeyed(work.listed))
    facts = PolicyFacts(work.listed, refusals, secrets, shaped, ignored, obeyed, committed.tracked_lines, context.unscanned)
    write_facts(work.directory, facts)
    return facts
