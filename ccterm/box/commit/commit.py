"""Makes one commit of an agent's tree. The tree is only data: git never runs on anything that the agent could configure."""

import contextlib
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ccterm.box.commit.compare import Comparison, Delta
from ccterm.box.commit.conversions import Conversions
from ccterm.box.commit.forced import except_forced, paths_in_index
from ccterm.box.commit.kept import RefusedCopies, write_work
from ccterm.box.commit.make import Index, commit_tree
from ccterm.box.commit.rules import CommitRules
from ccterm.box.commit.setup_left import SetupLeft
from ccterm.box.commit.side_work import SideWork
from ccterm.box.commit.subject import LONGEST, own_commit, tidy
from ccterm.box.commit.submodule_check import SubmoduleCheck
from ccterm.box.commit.survey import Survey, survey
from ccterm.box.commit.walk import MOST, Found, RefusedPath, TooMany, Walk
from ccterm.box.frames import Frames, carry_out
from ccterm.git.diff import count_lines, removed_lines
from ccterm.git.fsck import check_pack, pack_new
from ccterm.git.git import SNAPSHOT_REF, WORK_REF, Git, GitError, as_git_error
from ccterm.git.names import shown
from ccterm.git.patterns import ignored_by
from ccterm.git.rooted import Root
from ccterm.git.tree import Base, read_base
from ccterm.git.types import Change

if TYPE_CHECKING:
    from ccterm.box.protocol import CommitReport, CommitRequest

_MOST_REFUSALS = 500
_MOST_NOTES = 20
_LONGEST_PATH = 500
_ROUNDS = 8
_MANY_LINES = 500


def commit(_frames: Frames, request: "CommitRequest") -> "CommitReport":
    """Carry out the request."""
    try:
        with _opened(request["tree"]) as root:
            return CommitStep(request, root).run()
    except TooMany:
        return {"ok": False, "reason": "io", "detail": f"the tree holds more than {MOST:,} paths that are not ignored"}
    except (GitError, OSError) as error:
        fault = as_git_error(error)
        return {"ok": False, "reason": fault.reason, "detail": fault.detail}


def _opened(tree: str) -> Root:
    try:
        return Root(tree, hostile=True)
    except OSError as error:
        raise GitError("io", f"the agent's working tree is no longer a directory: {error.strerror}") from error


class CommitStep:
    """One run of the step. base: that of the request, if it has been read already."""

    def __init__(self, request: "CommitRequest", root: Root, base: Base | None = None) -> None:
        self._request, self._root, self._known_base = request, root, base
        index = os.path.abspath(os.path.join(request["clean"], "commit-index"))
        self._git = Git(request["clean"], work_tree=request["tree"], env={"GIT_INDEX_FILE": index})
        self._bare = Git(request["clean"])
        self._index_path = index
        self._notes: list[str] = []
        self._left_out: set[bytes] = set()
        """What setup left."""
        self._pack = b""
        """Of the new commit."""
        self._subject = self._find_subject()

    def run(self) -> "CommitReport":
        """Return the report. Raises GitError, OSError, TooMany."""
        try:
            return self._run()
        finally:
            for name in (self._index_path, f"{self._index_path}.lock"):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(name)

    def _run(self) -> "CommitReport":
        base = self._base()
        beside = survey(self._root)
        delta, refused = self._examine(base, beside.aside)
        commit, refused = self._commit(base, delta, refused)
        out = self._request["out"]
        os.makedirs(out, exist_ok=True)
        if refused:
            RefusedCopies(self._root, out).write(refused)
        changes = write_work(self._bare, base, commit, self._message(), self._pack, out) if commit else []
        side = self._keep_side_work(beside, base, commit)
        report = self._report(commit, changes, refused)
        report |= {"tracked_lines": self._lines(base, changes), "side": side.kept, "unread": side.unread}
        return report

    def _keep_side_work(self, beside: Survey, base: Base, commit: str | None) -> SideWork:
        request = self._request
        known = [base.commit] if base.commit else []
        if base.commit and request.get("snapshot") and self._bare.succeeds("rev-parse", "--verify", "--quiet", SNAPSHOT_REF):
            known = self._bare.text("rev-parse", f"{base.commit}^@").split()
        copied = bool(request.get("sparse"))
        side = SideWork(self._root, request["tree"], request["clean"], beside, known=known, author=request["author"], copied=copied)
        side.keep(base, commit, request["out"], self._left_out)
        self._notes += side.notes
        return side

    def _lines(self, base: Base, changes: Sequence[Change]) -> int | None:
        if sum(map(removed_lines, changes)) <= _MANY_LINES:
            return None
        return count_lines(self._bare, base.tree, self._bare.text("mktree"))

    def _base(self) -> Base:
        try:
            return self._known_base or read_base(self._bare, self._request["base"])
        except GitError as error:
            raise GitError("base", f"the base commit cannot be read: {error.detail}", error.stderr) from error

    def _examine(self, base: Base, aside: frozenset[bytes]) -> tuple[Delta, list[RefusedPath]]:
        found = self._found(base, aside)
        submodules = SubmoduleCheck(self._request["clean"], self._request["tree"], notes=self._notes)
        submodules.check(self._root, base, found)
        delta = Comparison(self._bare, self._root, base, largest=self._request["max_file_bytes"]).delta(found)
        rules = CommitRules(
            self._bare, self._root, base, max_file=self._request["max_file_bytes"], max_total=self._request["max_total_bytes"]
        )
        with Conversions(self._request["clean"], self._root, base) as conversions:
            conversions.settle(delta, lfs=self._request.get("lfs", False))
        left = SetupLeft(self._request.get("left"), self._root, base)
        changed = left.take_out(delta, [*delta.refused, *submodules.refused], self._bare)
        self._notes += left.notes
        self._left_out = left.out
        refused = {refusal.path: refusal for refusal in reversed([*changed, *rules.refusals(delta)])}
        return delta, sorted(refused.values(), key=lambda refusal: refusal.path)

    def _found(self, base: Base, aside: frozenset[bytes]) -> Found:
        if sparse := self._request.get("sparse"):
            found = Walk(self._root, base, lambda _: set()).run()
            with open(sparse, "rb") as file:
                found.unchanged.update(file.read().split(b"\0")[:-1])
            return found
        forced = paths_in_index(self._root, b".git", self._request["clean"], self._notes) - base.entries.keys()
        return Walk(self._root, base, except_forced(ignored_by(self._git), forced), aside).run()

    def _commit(self, base: Base, delta: Delta, refused: list[RefusedPath]) -> tuple[str | None, list[RefusedPath]]:
        index = Index(self._git, self._root, base)
        index.take(delta, {refusal.path for refusal in refused})
        self._notes += index.notes
        raw = index.raw_lfs_files()
        index.drop([refusal.path for refusal in raw])
        refused = [*refused, *index.unreadable, *raw]
        skip: set[str] = set()
        for _ in range(_ROUNDS):
            tree = index.tree()
            if tree == base.tree:
                return None, refused
            commit = commit_tree(self._bare, tree, base.commit, self._message(), self._request["author"])
            if not (faulty := self._faulty(index, base, commit, skip)):
                self._bare.run("update-ref", WORK_REF, commit)
                return commit, refused
            index.drop([refusal.path for refusal in faulty])
            refused += faulty
        raise GitError("git", f"git still rejects new objects after {_ROUNDS} rounds")

    def _faulty(self, index: Index, base: Base, commit: str, skip: set[str]) -> list[RefusedPath]:
        """Return the changed paths whose content git rejects; faulty objects that the base has already are added to `skip`."""
        self._pack = pack_new(self._bare, commit, [base.commit] if base.commit else [])
        while complaints := check_pack(self._bare, self._pack, commit, skip):
            by_sha = {complaint.sha: complaint for complaint in complaints}
            changed = [(path, sha) for path, sha in index.changes() if sha in by_sha]
            if changed:
                return [RefusedPath("content", path, f"git rejects it: {by_sha[sha].text}") for path, sha in changed]
            if by_sha.keys() <= skip:
                raise GitError("git", f"git rejects the new commit: {complaints[0].text}")
            skip.update(by_sha)
        return []

    def _message(self) -> str:
        return "\n\n".join(part for part in (self._subject, self._request["body"].strip().replace("\0", "")) if part) + "\n"

    def _find_subject(self) -> str:
        request = self._request
        if request["subject"]:
            return tidy(request["subject"])
        own = own_commit(self._root)
        mine = own is not None and own[0] != request["base"] and not self._bare.succeeds("cat-file", "-e", own[0])
        if own and mine:
            from ccterm.git.message import defused  # deferred: it compiles many patterns, and not every agent commits

            if subject := tidy(defused(tidy(own[1], 10 * LONGEST))):
                return subject
        return tidy(request["fallback"]) or "Work of an agent"

    def _report(self, commit: str | None, changes: Sequence[Change], refused: Sequence[RefusedPath]) -> "CommitReport":
        notes = self._notes[:_MOST_NOTES]
        if len(self._notes) > _MOST_NOTES:
            notes.append(f"and {len(self._notes) - _MOST_NOTES} more notes like these")
        if len(refused) > _MOST_REFUSALS:
            notes.append(f"{len(refused) - _MOST_REFUSALS} more refused paths are not listed here")
        return {
            "ok": True,
            "commit": commit,
            "subject": self._subject,
            "files": len(changes),
            "added": sum(change["added"] or 0 for change in changes),
            "removed": sum(change["removed"] or 0 for change in changes),
            "deleted": sum(change["new_mode"] is None for change in changes),
            "refusals": [
                {"rule": rule, "path": shown(path)[:_LONGEST_PATH], "detail": detail} for rule, path, detail in refused[:_MOST_REFUSALS]
            ],
            "notes": notes,
        }


def main() -> None:
    """Run as a step program."""
    carry_out(commit)
