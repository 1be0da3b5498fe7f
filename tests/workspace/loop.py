"""A complete testing run without a service: snapshot, box, commit, change set, verdict, apply, all of them real."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ccterm.models import Allowances, Mode
from ccterm.policy.facts import ignored_paths, merge_refusals, shaped_paths
from ccterm.policy.rules import PolicyFacts, PolicyLimits, judge
from ccterm.state_dir import StateDir
from ccterm.values import Changes, Verdict
from ccterm.workspace.apply.changeset import CHANGES, ChangeSet, extract
from ccterm.workspace.apply.transaction import ApplyTransaction
from ccterm.workspace.repository import find_repository
from ccterm.workspace.snapshot.take import Snapshot, take
from ccterm.workspace.work import Work
from tests.box.programs import run_program
from tests.workspace.trees import RUN

AUTHOR = "Claude Agent <agent@commandcenter.ai>"


@dataclass
class Loop:
    """One working copy and an agent's tree."""

    place: Path
    copy: Path
    state: StateDir
    max_file: int = 50 << 20
    max_total: int = 200 << 20
    env: dict[str, str] = field(default_factory=dict)

    @property
    def box(self) -> Path:
        """The box's root."""
        return self.place / "box"

    @property
    def tree(self) -> Path:
        """The agent's tree."""
        return self.box / "work"

    def start(self) -> "Loop":
        """Take the snapshot and make the agent's tree of it."""
        self.snapshot: Snapshot = take(find_repository(str(self.copy), os.environ, self.place), self.state, self.box, env=os.environ)
        self._run("checkout", {"given": True, "base": self.snapshot.base, "branch": self.snapshot.branch, "clean": "clean.git"})
        return self

    def _run(self, program: str, request: dict[str, object]) -> dict[str, Any]:
        ended = run_program(program, {"tree": "work", **request}, self.box, env=self.env)
        assert ended.report["ok"], ended.report
        return ended.report

    def commit(self) -> Work | None:
        """Make the commit; None when nothing changed."""
        words = {"subject": None, "fallback": "Do it", "body": "", "author": AUTHOR, "clean": "clean.git", "out": "out"}
        caps = {"max_file_bytes": self.max_file, "max_total_bytes": self.max_total}
        self.report = self._run("commit", {**words, **caps, "base": self.snapshot.base})
        if self.report["commit"] is None and not self.report["refusals"]:
            return None
        return Work.read(self.box / "out", self.report["commit"], Changes())

    def judge(self, work: Work, allow: Allowances | None = None) -> Verdict:
        """Return the verdict of testing mode."""
        refusals = [(told["rule"], told["path"], told["detail"]) for told in self.report["refusals"]]
        ignored: list[str] = []
        if work.commit:
            base, manifest = self.snapshot.base, self.snapshot.manifest
            _, more = extract(
                self.snapshot.clean,
                work.bundle,
                base=base,
                commit=work.commit,
                manifest=manifest,
                root=self.copy,
                to=work.directory / CHANGES,
            )
            repository = find_repository(str(self.copy), os.environ, self.place)
            ignored = ignored_paths(repository, self.snapshot.clean / "info" / "exclude", work.listed)
            refusals = list(merge_refusals(refusals, more))
        shaped = shaped_paths(work.added, work.listed) if work.added.exists() else []
        facts = PolicyFacts(work.listed, refusals, (), shaped, ignored, tracked_lines=self.report.get("tracked_lines"))
        return judge(facts, Mode.TESTING, PolicyLimits(allow=allow or Allowances()))

    def finish(self, allow: Allowances | None = None) -> Verdict | None:
        """Commit, apply the policy, and apply what is not refused; None when nothing changed."""
        work = self.commit()
        if work is None:
            return None
        verdict = self.judge(work, allow)
        if verdict.ok:
            ApplyTransaction(self.state).apply(RUN, self.copy, self.changes)
        return verdict

    @property
    def changes(self) -> ChangeSet:
        """The change set of the commit."""
        found = ChangeSet.read(self.box / "out" / CHANGES)
        assert found is not None
        return found


Misbehaviour = Callable[[Path], object]
