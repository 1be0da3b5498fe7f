"""What a run starts from."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.box.gitbox import AUTHORIZATION, TOKEN, GitBox, old_git, spying_git
from tests.conftest import MakeRemote
from tests.servers.git_http import GitServer, Kind, Redirect, Status
from tests.support import git as support


@pytest.fixture
def server(tmp_path: Path, make_remote: MakeRemote) -> Iterator[GitServer]:
    make_remote()
    with GitServer(tmp_path, token=TOKEN) as server:
        yield server


def test_a_missing_branch_starts_at_the_default_branch(tmp_path: Path, make_remote: MakeRemote) -> None:
    remote = make_remote(branch="trunk")
    report = GitBox(tmp_path / "box", remote).resolve()
    assert report == {
        "ok": True,
        "base": support.tip(remote, "trunk"),
        "ref": "refs/heads/trunk",
        "tip": None,
        "default_branch": "trunk",
        "default_tip": support.tip(remote, "trunk"),
    }


def test_an_existing_branch_is_continued_from_its_tip(tmp_path: Path, make_remote: MakeRemote) -> None:
    remote = make_remote()
    tip = support.add_commit(remote, {"new": "1"}, branch="agent/work")
    report = GitBox(tmp_path / "box", remote).resolve(base="main")
    assert (report["base"], report["tip"], report["ref"]) == (tip, tip, "refs/heads/agent/work")


def test_a_branch_serves_as_base(tmp_path: Path, make_remote: MakeRemote) -> None:
    remote = make_remote()
    sha = support.add_commit(remote, {"new": "1"}, branch="release/2")
    assert GitBox(tmp_path / "box", remote).resolve(base="release/2")["base"] == sha


def test_a_full_ref_serves_as_base(tmp_path: Path, make_remote: MakeRemote) -> None:
    remote = make_remote()
    report = GitBox(tmp_path / "box", remote).resolve(base="refs/heads/main")
    assert report["base"] == support.tip(remote, "main")


@pytest.mark.parametrize("separator", ["\u2028", "\x85"], ids=ascii)
def test_a_name_with_a_unicode_line_break_is_one_name(tmp_path: Path, make_remote: MakeRemote, separator: str) -> None:
    remote = make_remote()
    support.git(remote, "branch", f"ghost{separator}tail", "main")
    main = support.add_commit(remote, {"b": "2"})
    report = GitBox(tmp_path / "box", remote, branch="ghost").resolve()
    assert (report["base"], report["tip"]) == (main, None)


def test_a_tag_is_peeled_to_its_commit(tmp_path: Path, make_remote: MakeRemote) -> None:
    remote = make_remote()
    support.git(remote, "tag", "-a", "v1", "-m", "one", "main")
    report = GitBox(tmp_path / "box", remote).resolve(base="v1")
    assert (report["base"], report["ref"]) == (support.tip(remote, "main"), "refs/tags/v1")


def test_a_full_sha_serves_as_base_unchecked(tmp_path: Path, make_remote: MakeRemote) -> None:
    report = GitBox(tmp_path / "box", make_remote()).resolve(base="a" * 40)
    assert (report["base"], report["ref"]) == ("a" * 40, None)


def test_an_unknown_base_suggests_similar_names(tmp_path: Path, make_remote: MakeRemote) -> None:
    remote = make_remote()
    support.git(remote, "tag", "v1.2.0", "main")
    report = GitBox(tmp_path / "box", remote).resolve(base="v1.20")
    assert (report["ok"], report["reason"]) == (False, "no_base")
    assert "did you mean v1.2.0" in report["detail"]


def test_an_empty_repository_is_not_an_error(tmp_path: Path) -> None:
    remote = support.make_bare(tmp_path / "empty.git")
    nothing = {"base": None, "ref": None, "tip": None, "default_branch": None, "default_tip": None}
    assert GitBox(tmp_path / "box", remote).resolve() == {"ok": True, **nothing}


def test_an_unborn_head_next_to_other_branches_requires_a_base(tmp_path: Path, make_remote: MakeRemote) -> None:
    remote = make_remote(branch="develop")
    support.git(remote, "symbolic-ref", "HEAD", "refs/heads/main")
    report = GitBox(tmp_path / "box", remote).resolve()
    assert report["reason"] == "no_base"
    assert "--base" in report["detail"]
    assert "develop" in report["detail"]


@pytest.mark.parametrize(("there", "wanted"), [("agent", "agent/work"), ("agent/work/2", "agent/work")], ids=["above", "below"])
def test_a_name_that_collides_with_a_branch_is_refused_before_the_work(
    tmp_path: Path, make_remote: MakeRemote, there: str, wanted: str
) -> None:
    remote = make_remote()
    support.git(remote, "branch", there, "main")
    report = GitBox(tmp_path / "box", remote, branch=wanted).resolve()
    assert report["reason"] == "name"
    assert there in report["detail"]


def test_a_file_address_works(tmp_path: Path, make_remote: MakeRemote) -> None:
    assert GitBox(tmp_path / "box", make_remote().as_uri()).resolve()["ok"]


def test_a_path_relative_to_the_box_works(tmp_path: Path, make_remote: MakeRemote) -> None:
    make_remote()
    assert GitBox(tmp_path / "box", "../remote.git").resolve()["ok"]


def test_what_is_not_a_repository_is_not_found(tmp_path: Path) -> None:
    report = GitBox(tmp_path / "box", tmp_path / "nothing").resolve()
    assert (report["ok"], report["reason"]) == (False, "not_found")


@pytest.mark.parametrize(
    "address",
    [
        "ext::sh -c 'touch /tmp/x'",
        "https://user:pass@host/r.git",
        "http://example.com/r.git",
        "ftp://host/r",
        "--upload-pack=x",
        "http://[::1/r",
    ],
)
def test_an_address_that_may_not_be_used_is_refused(tmp_path: Path, address: str) -> None:
    assert GitBox(tmp_path / "box", address).resolve()["reason"] == "protocol"


def test_a_remote_that_does_not_answer_is_a_network_failure(tmp_path: Path) -> None:
    assert GitBox(tmp_path / "box", "http://127.0.0.1:1/r.git").resolve()["reason"] == "network"


def test_without_the_token_the_reason_is_auth(tmp_path: Path, server: GitServer) -> None:
    assert GitBox(tmp_path / "box", server.url("remote.git")).resolve()["reason"] == "auth"


def test_the_token_is_sent_with_the_request(tmp_path: Path, server: GitServer) -> None:
    box = GitBox(tmp_path / "box", server.url("remote.git"))
    box.env["CCTERM_GIT_HEADER"] = AUTHORIZATION
    assert box.resolve()["ok"]


def test_an_old_git_gets_the_token_too(tmp_path: Path, server: GitServer) -> None:
    box = GitBox(tmp_path / "box", server.url("remote.git"))
    box.env |= {"CCTERM_GIT_HEADER": AUTHORIZATION, "PATH": f"{old_git(tmp_path / 'old')}:/usr/bin:/bin"}
    assert box.resolve()["ok"]


def test_the_token_is_in_no_argument_and_no_file(tmp_path: Path, server: GitServer) -> None:
    box = GitBox(tmp_path / "box", server.url("remote.git"))
    spying = spying_git(tmp_path / "spying")
    box.env |= {"CCTERM_GIT_HEADER": AUTHORIZATION, "PATH": f"{spying}:/usr/bin:/bin"}
    box.start()
    secret = AUTHORIZATION.rpartition(" ")[2].encode()
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert (spying / "argv").read_bytes().count(b"ls-remote") == 1
    assert [path for path in files if secret in path.read_bytes()] == []


def test_a_redirect_is_not_followed_and_does_not_get_the_token(tmp_path: Path, server: GitServer) -> None:
    with GitServer(tmp_path) as other:
        server.fail(Kind.DISCOVER_FETCH, Redirect(other.origin))
        box = GitBox(tmp_path / "box", server.url("remote.git"))
        box.env["CCTERM_GIT_HEADER"] = AUTHORIZATION
        report = box.resolve()
        assert report["reason"] == "not_found"
        assert "redirect" in report["detail"]
        assert other.requests == []


@pytest.mark.parametrize(("status", "reason"), [(403, "auth"), (404, "not_found"), (500, "network")])
def test_a_refusal_by_the_server_has_its_reason(tmp_path: Path, server: GitServer, status: int, reason: str) -> None:
    server.fail(Kind.DISCOVER_FETCH, Status(status))
    box = GitBox(tmp_path / "box", server.url("remote.git"))
    box.env["CCTERM_GIT_HEADER"] = AUTHORIZATION
    assert box.resolve()["reason"] == reason
