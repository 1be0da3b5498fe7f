"""A push is verified, or reports its reason."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.box.gitbox import AUTHORIZATION, TOKEN, GitBox, checked_out, spying_git
from tests.box.programs import finish, start_program, wrap_git
from tests.servers.git_http import Drop, GitServer, Hang, Kind, Redirect, Status
from tests.servers.loopback import Gate
from tests.support import git as support


@pytest.fixture
def box(tmp_path: Path) -> GitBox:
    """Return a box with work in it."""
    box = checked_out(tmp_path, {"README.md": "# Example\n"})
    (box.tree / "new").write_text("x\n")
    return box


@pytest.fixture
def remote(tmp_path: Path, box: GitBox) -> Path:
    """Return the box's remote."""
    return tmp_path / "remote.git"


@pytest.fixture
def server(tmp_path: Path, box: GitBox) -> Iterator[GitServer]:
    """Serve the box's remote over HTTP, for a token that the box has."""
    with GitServer(tmp_path, token=TOKEN) as server:
        box.remote = server.url("remote.git")
        box.env["CCTERM_GIT_HEADER"] = AUTHORIZATION
        yield server


def test_a_new_branch_is_created_and_verified(box: GitBox, remote: Path) -> None:
    commit = box.new_commit()
    assert box.push(commit) == {"ok": True, "remote_sha": commit, "verified": True}
    assert support.tip(remote, "agent/work") == commit


def test_an_existing_branch_advances_from_its_tip(tmp_path: Path, remote: Path) -> None:
    support.git(remote, "branch", "agent/work", "main")
    box = GitBox(tmp_path / "box", remote).start()
    (box.tree / "new").write_text("x\n")
    assert box.push(box.new_commit())["verified"]
    assert support.git(remote, "rev-parse", "agent/work^") == box.tip


def test_pushing_again_pushes_nothing(box: GitBox, server: GitServer) -> None:
    commit = box.new_commit()
    box.push(commit)
    server.requests.clear()
    assert box.push(commit)["verified"]
    assert Kind.PUSH not in {request.kind for request in server.requests}


def test_only_the_branch_is_pushed(box: GitBox, remote: Path) -> None:
    support.git(box.tree, "tag", "-a", "mine", "-m", "x")
    support.git(box.clean, "tag", "-a", "mine", "-m", "x", box.base or "")
    box.push(box.new_commit())
    assert sorted(support.git(remote, "for-each-ref", "--format=%(refname)").splitlines()) == ["refs/heads/agent/work", "refs/heads/main"]


def test_a_branch_that_someone_else_created_is_reported(box: GitBox, remote: Path) -> None:
    other = support.add_commit(remote, {"other": "1"}, branch="agent/work")
    report = box.push(box.new_commit())
    assert (report["reason"], report["remote_sha"], report["verified"]) == ("exists", other, False)
    assert support.tip(remote, "agent/work") == other


def test_a_branch_that_moved_is_not_fast_forwarded(tmp_path: Path, remote: Path) -> None:
    support.git(remote, "branch", "agent/work", "main")
    box = GitBox(tmp_path / "box", remote).start()
    (box.tree / "new").write_text("x\n")
    other = support.add_commit(remote, {"other": "1"}, branch="agent/work")
    assert box.push(box.new_commit())["reason"] == "non_fast_forward"
    assert support.tip(remote, "agent/work") == other


def test_a_branch_that_was_deleted_meanwhile_is_not_created_again(tmp_path: Path, remote: Path) -> None:
    support.git(remote, "branch", "agent/work", "main")
    box = GitBox(tmp_path / "box", remote).start()
    (box.tree / "new").write_text("x\n")
    support.git(remote, "branch", "-D", "agent/work")
    assert box.push(box.new_commit())["reason"] == "non_fast_forward"
    assert support.tip(remote, "agent/work") is None


def racer(box: GitBox, branch: str, commit: str) -> dict[str, object]:
    bundle = f"{commit}.bundle"
    support.git(box.clean, "update-ref", "refs/ccterm/work", commit)
    support.git(box.clean, "bundle", "create", "--quiet", str(box.directory / bundle), "refs/ccterm/work", f"^{box.base}")
    return box.push_request(commit) | {"branch": branch, "bundle": bundle}


def check_one_creator_wins(box: GitBox, remote: Path, branch: str, creators: int) -> None:
    """Let several create one branch at once: one must win, the others must be told that it exists."""
    tree = support.git(box.clean, "rev-parse", "refs/ccterm/work^{tree}")
    commits = [support.git(box.clean, "commit-tree", tree, "-p", str(box.base), "-m", str(number)) for number in range(creators)]
    running = [(sha, start_program("push", racer(box, branch, sha), box.directory, name=f"{sha}.json")) for sha in commits]
    reports = {commit: finish(process).report for commit, process in running}
    winners = [commit for commit, report in reports.items() if report["ok"]]
    assert winners == [support.tip(remote, branch)]
    assert {report["reason"] for report in reports.values() if not report["ok"]} == {"exists"}


def test_five_creators_have_one_winner(box: GitBox, remote: Path) -> None:
    box.new_commit()
    check_one_creator_wins(box, remote, "agent/work", creators=5)


@pytest.mark.slow
def test_twenty_creators_have_one_winner_every_time(box: GitBox, remote: Path, rounds: Callable[[int], int]) -> None:
    box.new_commit()
    for number in range(rounds(20)):
        check_one_creator_wins(box, remote, f"agent/{number}", creators=20)


@pytest.mark.parametrize("hook", ["pre-receive", "update"])
def test_a_hook_that_declines_has_its_reason(box: GitBox, remote: Path, hook: str) -> None:
    support.install_hook(remote, hook, "echo 'no such work here' >&2; exit 1")
    report = box.push(box.new_commit())
    assert (report["reason"], report["verified"]) == ("hook", False)
    assert "no such work here" in report["detail"]


@pytest.mark.first_is_fast
@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("error: GH006: Protected branch update failed", "refused"),
        ("refusing to allow an OAuth App to create or update workflow `.github/workflows/x.yml` without `workflow` scope", "refused"),
        ("error: GH013: Repository rule violations found", "refused"),
        ("GitLab: You are not allowed to push code to protected branches on this project.", "refused"),
        ("error: GH001: Large files detected. File big is 120.00 MB; this exceeds GitHub's file size limit of 100.00 MB", "size"),
    ],
    ids=["protected", "workflow", "rules", "gitlab", "large"],
)
def test_messages_of_servers_have_their_reason(box: GitBox, remote: Path, words: str, reason: str) -> None:
    support.install_hook(remote, "pre-receive", f"cat >&2 <<'WORDS'\n{words}\nWORDS\nexit 1")
    assert box.push(box.new_commit())["reason"] == reason


def test_a_remote_with_a_size_limit_has_its_reason(box: GitBox, remote: Path) -> None:
    support.git(remote, "config", "receive.maxInputSize", "10")
    assert box.push(box.new_commit())["reason"] == "size"


def test_a_branch_denied_by_the_server_is_refused(box: GitBox, remote: Path) -> None:
    support.git(remote, "config", "receive.hideRefs", "refs/heads/agent")
    assert box.push(box.new_commit())["reason"] == "refused"


def test_after_a_lost_reply_the_remote_is_asked(box: GitBox, server: GitServer, remote: Path) -> None:
    server.fail(Kind.PUSH, Drop("after"), times=1)
    commit = box.new_commit()
    assert box.push(commit) == {"ok": True, "remote_sha": commit, "verified": True}


def test_a_lost_request_is_a_network_failure(box: GitBox, server: GitServer, remote: Path) -> None:
    server.fail(Kind.PUSH, Drop("before"))
    report = box.push(box.new_commit())
    assert (report["reason"], report["remote_sha"]) == ("network", None)
    assert support.tip(remote, "agent/work") is None


def test_a_remote_that_is_down_for_a_moment_is_asked_again(box: GitBox, server: GitServer) -> None:
    gate = Gate()
    server.fail(Kind.PUSH, Hang(gate), times=1)
    commit = box.new_commit()
    process = start_program("push", box.push_request(commit), box.directory, env=box.env)
    gate.reached()
    server.fail(Kind.DISCOVER_FETCH, Status(503), times=1)
    gate.open()
    assert finish(process).report["verified"]


@pytest.mark.first_is_fast
@pytest.mark.parametrize(("status", "reason"), [(401, "auth"), (403, "auth"), (413, "size"), (500, "network")])
def test_an_http_refusal_of_the_push_has_its_reason(box: GitBox, server: GitServer, status: int, reason: str) -> None:
    server.fail(Kind.PUSH, Status(status))
    assert box.push(box.new_commit())["reason"] == reason


def test_a_token_that_may_only_read_is_an_auth_failure(box: GitBox, server: GitServer) -> None:
    server.fail(Kind.DISCOVER_PUSH, Status(403))
    assert box.push(box.new_commit())["reason"] == "auth"


def test_the_token_does_not_follow_a_redirect(tmp_path: Path, box: GitBox, server: GitServer) -> None:
    with GitServer(tmp_path) as other:
        server.fail(Kind.DISCOVER_PUSH, Redirect(other.origin))
        assert not box.push(box.new_commit())["ok"]
        assert other.requests == []


def test_the_token_is_in_no_argument_file_or_report(tmp_path: Path, box: GitBox, server: GitServer) -> None:
    commit = box.new_commit()
    box.env["PATH"] = f"{spying_git(tmp_path / 'spying')}:{os.environ['PATH']}"
    server.fail(Kind.PUSH, Status(403), times=1)
    reports = [box.push(commit), box.push(commit)]
    assert [report["verified"] for report in reports] == [False, True]
    secrets = (TOKEN.encode(), AUTHORIZATION.split(" ")[2].encode())
    texts = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()] + [repr(reports).encode()]
    assert not any(secret in text for secret in secrets for text in texts)


def test_work_can_be_pushed_from_a_bundle_later(tmp_path: Path, box: GitBox, remote: Path) -> None:
    commit = box.new_commit()
    later = GitBox(tmp_path / "later", remote).start()
    later.out.mkdir()
    (box.out / "work.bundle").rename(later.out / "work.bundle")
    assert later.push(commit, bundle="out/work.bundle")["verified"]
    assert support.files_at(remote, "agent/work")["new"] == b"x\n"


def test_a_bundle_of_something_else_is_refused(tmp_path: Path, box: GitBox) -> None:
    box.new_commit()
    report = box.push("1" * 40, bundle="out/work.bundle")
    assert (report["ok"], report["reason"]) == (False, "git")
    assert "does not hold" in report["detail"]


def test_a_bundle_with_faulty_objects_is_refused(tmp_path: Path, box: GitBox, remote: Path) -> None:
    source = tmp_path / "source"
    support.git(tmp_path, "clone", "--quiet", str(remote), str(source))
    blob = support.git(source, "hash-object", "-w", "--stdin", stdin=b"x")
    inner = support.git(source, "mktree", stdin=f"100644 blob {blob}\tconfig\n".encode())
    tree = support.git(source, "hash-object", "-t", "tree", "-w", "--literally", "--stdin", stdin=b"40000 .git\0" + bytes.fromhex(inner))
    commit = support.git(source, "commit-tree", tree, "-p", "HEAD", "-m", "evil")
    support.git(source, "update-ref", "refs/ccterm/work", commit)
    support.git(source, "bundle", "create", "--quiet", str(box.directory / "evil.bundle"), "refs/ccterm/work", "^origin/main")
    report = box.push(commit, bundle="evil.bundle")
    assert (report["ok"], "contains '.git'" in report["detail"]) == (False, True), report
    assert support.tip(remote, "agent/work") is None


def test_a_broken_bundle_is_reported(box: GitBox) -> None:
    commit = box.new_commit()
    box.directory.joinpath("broken").write_text("no bundle")
    assert box.push(commit, bundle="broken")["ok"] is False


def test_a_missing_remote_is_reported(box: GitBox, remote: Path) -> None:
    commit = box.new_commit()
    remote.rename(remote.with_suffix(".gone"))
    assert box.push(commit)["reason"] == "not_found"


def test_userinfo_in_messages_of_git_is_not_repeated(tmp_path: Path, box: GitBox) -> None:
    commit = box.new_commit()
    script = 'case "$*" in *" push "*) echo "fatal: unable to access https://u:hunter2@h/r: no" >&2; exit 128;; esac\nexec $git "$@"'
    box.env["PATH"] = f"{wrap_git(tmp_path / 'chatty', script)}:{os.environ['PATH']}"
    report = box.push(commit)
    assert (report["reason"], "hunter2" in report["detail"]) == ("network", False)
