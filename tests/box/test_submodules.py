"""Submodules: fetched at their recorded commits if requested, and left alone by the step commit."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.box.gitbox import AUTHORIZATION, TOKEN, GitBox
from tests.servers.git_http import GitServer
from tests.support import git as support


@pytest.fixture
def inner(tmp_path: Path) -> Path:
    """Return a repository that is the submodule of a submodule."""
    return support.make_remote(tmp_path / "inner.git", {"inner.txt": "inner\n"})


@pytest.fixture
def library(tmp_path: Path, inner: Path) -> Path:
    """Return a repository with a submodule, that is a submodule."""
    library = support.make_remote(tmp_path / "library.git", {"lib.txt": "one\n", ".gitignore": "*.o\n"})
    support.add_submodule(library, "inner", support.git(inner, "rev-parse", "main"), "../inner.git")
    return library


@pytest.fixture
def pinned(library: Path) -> str:
    """Return the recorded commit of the library, which has moved since."""
    pinned = support.git(library, "rev-parse", "main")
    support.add_commit(library, {"lib.txt": "two\n"})
    return pinned


@pytest.fixture
def box(tmp_path: Path, library: Path, pinned: str) -> GitBox:
    remote = support.make_remote(tmp_path / "remote.git", {"README.md": "# Example\n"})
    support.add_submodule(remote, "vendor", pinned, "../library.git")
    return GitBox(tmp_path / "box", remote)


def fetched(box: GitBox) -> dict[str, object]:
    """Return the fields of a checkout whose user permits the submodules beside the remote, on whichever host that is."""
    directory = str(Path(box.remote).parent).strip("/") if box.remote.startswith("/") else ""
    return {"submodules": True, "submodule_paths": [f"{directory}/*"] if directory else ["library", "inner"]}


def gitlinks(box: GitBox, commit: str) -> list[str]:
    return [line for line in support.git(box.clean, "ls-tree", "-r", commit).splitlines() if line.startswith("160000")]


def test_unless_requested_the_directory_stays_empty_and_the_commit_keeps_the_link(box: GitBox, pinned: str) -> None:
    box.start()
    assert list((box.tree / "vendor").iterdir()) == []
    (box.tree / "new").write_text("x\n")
    assert gitlinks(box, box.new_commit()) == [f"160000 commit {pinned}\tvendor"]


def test_they_are_fetched_recursively_at_their_recorded_commits(box: GitBox, pinned: str) -> None:
    box.start(**fetched(box))
    assert (box.tree / "vendor/lib.txt").read_text() == "one\n"
    assert (box.tree / "vendor/inner/inner.txt").read_text() == "inner\n"
    assert support.git(box.tree / "vendor", "rev-parse", "HEAD") == pinned
    assert support.git(box.tree, "status", "--porcelain") == ""


def test_they_come_from_the_mirror_the_second_time(tmp_path: Path, box: GitBox, library: Path, inner: Path) -> None:
    box.start(**fetched(box))
    again = GitBox(tmp_path / "again", box.remote)
    again.base = box.base
    for repository in (library, inner, Path(box.remote)):
        repository.rename(repository.with_suffix(".gone"))
    report = again.checkout(**fetched(again))
    assert report["ok"], report
    assert (again.tree / "vendor/inner/inner.txt").exists()


def test_an_unchanged_submodule_is_accepted(box: GitBox, pinned: str) -> None:
    box.start(**fetched(box))
    (box.tree / "new").write_text("x\n")
    (box.tree / "vendor/ignored.o").write_text("built")
    assert gitlinks(box, box.new_commit()) == [f"160000 commit {pinned}\tvendor"]


def edit(tree: Path) -> None:
    (tree / "vendor/lib.txt").write_text("mine\n")


def add(tree: Path) -> None:
    (tree / "vendor/new.txt").write_text("mine\n")


def delete(tree: Path) -> None:
    (tree / "vendor/lib.txt").unlink()


def edit_deep(tree: Path) -> None:
    (tree / "vendor/inner/inner.txt").write_text("mine\n")


@pytest.mark.first_is_fast
@pytest.mark.parametrize(
    ("change", "path"),
    [(edit, "vendor/lib.txt"), (add, "vendor/new.txt"), (delete, "vendor/lib.txt"), (edit_deep, "vendor/inner/inner.txt")],
    ids=["edited", "added", "deleted", "two-deep"],
)
def test_a_change_inside_is_refused_by_name(box: GitBox, change: Callable[[Path], None], path: str) -> None:
    box.start(**fetched(box))
    change(box.tree)
    assert box.refused() == [("gitlink", path)]


def test_a_commit_inside_is_noticed_by_its_files(box: GitBox) -> None:
    box.start(**fetched(box))
    support.commit_files(box.tree / "vendor", {"lib.txt": "mine\n"})
    assert box.refused() == [("gitlink", "vendor/lib.txt")]


def test_a_filled_directory_is_refused_unless_requested(box: GitBox) -> None:
    box.start()
    (box.tree / "vendor/file").write_text("x")
    assert box.refused() == [("gitlink", "vendor")]


def test_a_removed_empty_directory_keeps_the_link(box: GitBox) -> None:
    box.start()
    (box.tree / "vendor").rmdir()
    report = box.commit()
    assert (report["commit"], report["notes"]) == (None, ["submodule vendor was removed; the commit keeps it"])


def test_a_file_in_its_place_is_refused(box: GitBox) -> None:
    box.start()
    (box.tree / "vendor").rmdir()
    (box.tree / "vendor").write_text("x")
    assert box.refused() == [("gitlink", "vendor")]


def test_a_file_in_place_of_the_directory_above_is_refused(tmp_path: Path, pinned: str) -> None:
    remote = support.make_remote(tmp_path / "remote.git", {"libs/README.md": "x\n"})
    tree = support.git_bytes(remote, "ls-tree", "-z", "main:libs") + f"160000 commit {pinned}\tvendor".encode() + b"\0"
    libs = support.git(remote, "mktree", "-z", stdin=tree)
    root = support.git(remote, "mktree", stdin=f"040000 tree {libs}\tlibs\n".encode())
    support.git(remote, "update-ref", "refs/heads/main", support.git(remote, "commit-tree", root, "-m", "libs"))
    box = GitBox(tmp_path / "box", remote).start()
    shutil.rmtree(box.tree / "libs")
    (box.tree / "libs").write_text("x\n")
    assert box.refused() == [("gitlink", "libs")]
    assert box.commit()["commit"] is None


def test_a_submodule_that_the_agent_fetched_itself_leads_to_a_note(box: GitBox, library: Path, pinned: str) -> None:
    box.start()
    support.git(box.tree, "clone", "--quiet", str(library), "vendor")
    support.git(box.tree / "vendor", "checkout", "--quiet", pinned)
    (box.tree / "new").write_text("x\n")
    report = box.commit()
    assert report["refusals"] == []
    assert "fetched by the agent" in report["notes"][0]


def test_a_submodule_moved_to_another_commit_is_refused(box: GitBox, library: Path) -> None:
    box.start()
    support.git(box.tree, "clone", "--quiet", str(library), "vendor")
    assert box.refused() == [("gitlink", "vendor")]


def test_a_submodule_on_another_host_stays_empty_with_a_note(tmp_path: Path, pinned: str) -> None:
    remote = support.make_remote(tmp_path / "remote.git", {"README.md": "# Example\n"})
    support.add_submodule(remote, "vendor", pinned, "https://elsewhere.example/library.git")
    box = GitBox(tmp_path / "box", remote)
    box.resolve()
    report = box.checkout(submodules=True)
    assert report["ok"]
    assert "vendor stays empty" in report["notes"][0]


def test_a_submodule_without_an_address_stays_empty_with_a_note(tmp_path: Path, pinned: str) -> None:
    remote = support.make_remote(tmp_path / "remote.git", {"README.md": "# Example\n"})
    support.add_submodule(remote, "vendor", pinned, "../library.git")
    support.add_commit(remote, {".gitmodules": "# empty\n"})
    box = GitBox(tmp_path / "box", remote)
    box.resolve()
    assert "vendor stays empty" in box.checkout(submodules=True)["notes"][0]


def test_a_submodule_that_cannot_be_fetched_fails_the_checkout(tmp_path: Path) -> None:
    remote = support.make_remote(tmp_path / "remote.git", {"README.md": "# Example\n"})
    support.add_submodule(remote, "vendor", "1" * 40, "../nothing.git")
    box = GitBox(tmp_path / "box", remote)
    box.resolve()
    report = box.checkout(**fetched(box))
    assert (report["reason"], "vendor" in report["detail"]) == ("submodule", True)


def test_the_token_is_used_for_permitted_submodules_of_the_same_host_and_stored_nowhere(tmp_path: Path, box: GitBox) -> None:
    with GitServer(tmp_path, token=TOKEN) as server:
        box.remote = server.url("remote.git")
        box.env["CCTERM_GIT_HEADER"] = AUTHORIZATION
        box.start(**fetched(box))
    assert (box.tree / "vendor/inner/inner.txt").exists()
    secrets = (TOKEN.encode(), AUTHORIZATION.split(" ")[2].encode())
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert [path for path in files if any(secret in path.read_bytes() for secret in secrets)] == []


@pytest.fixture
def guarded(tmp_path: Path, box: GitBox) -> Iterator[GitServer]:
    """A server that serves nothing without the token, which the box holds for its repository."""
    with GitServer(tmp_path, token=TOKEN) as server:
        box.remote = server.url("remote.git")
        box.env["CCTERM_GIT_HEADER"] = AUTHORIZATION
        box.resolve()
        yield server


@pytest.mark.first_is_fast
@pytest.mark.parametrize("permitted", [[], ["libraries/*"], ["library-2"], ["inner"]], ids=["none", "directory", "similar", "another"])
def test_the_token_is_not_lent_to_a_repository_that_the_user_did_not_permit(box: GitBox, guarded: GitServer, permitted: list[str]) -> None:
    report = box.checkout(submodules=True, submodule_paths=permitted)
    assert (report["ok"], report["reason"]) == (False, "submodule")
    assert "without your token; to lend it your access, name it in submodules = [...]" in report["detail"]
    assert not any(request.login for request in guarded.requests if "library" in request.path)


def test_the_token_is_not_lent_to_a_submodule_of_a_permitted_one_either(box: GitBox, guarded: GitServer) -> None:
    report = box.checkout(submodules=True, submodule_paths=["library"])
    assert "submodule vendor/inner cannot be fetched" in report["detail"]
    assert not any(request.login for request in guarded.requests if "inner" in request.path)


def test_what_the_token_brought_once_is_not_handed_out_without_it(tmp_path: Path, box: GitBox, guarded: GitServer) -> None:
    assert box.checkout(**fetched(box))["ok"]
    again = GitBox(tmp_path / "again", box.remote)
    again.env = box.env
    again.resolve()
    assert not again.checkout(submodules=True)["ok"]


def test_a_public_submodule_needs_no_permission(tmp_path: Path, box: GitBox) -> None:
    with GitServer(tmp_path) as server:
        box.remote = server.url("remote.git")
        box.env["CCTERM_GIT_HEADER"] = AUTHORIZATION
        box.start(submodules=True)
        assert not any(request.authorization for request in server.requests if "remote.git" not in request.path)
    assert (box.tree / "vendor/inner/inner.txt").exists()


@pytest.mark.first_is_fast
@pytest.mark.parametrize(
    "url",
    ["../library.git", "/{there}/library.git", "file:///{there}/library.git", "../x/../library.git"],
    ids=["up", "path", "file", "dots"],
)
def test_a_repository_on_this_machine_is_none_that_anybody_could_fetch(tmp_path: Path, library: Path, pinned: str, url: str) -> None:
    remote = support.make_remote(tmp_path / "remote.git", {"README.md": "# Example\n"})
    support.add_submodule(remote, "vendor", pinned, url.format(there=str(tmp_path).strip("/")))
    box = GitBox(tmp_path / "box", remote)
    box.resolve()
    report = box.checkout(submodules=True, submodule_paths=[f"{str(tmp_path).strip('/')}/x/*"])
    assert (report["ok"], report["reason"]) == (False, "submodule")


@pytest.mark.first_is_fast
@pytest.mark.parametrize("address", ["git@127.0.0.1:library.git", "ssh://git@127.0.0.1/library.git"])
def test_a_submodule_with_an_ssh_address_is_reached_like_its_repository(tmp_path: Path, box: GitBox, pinned: str, address: str) -> None:
    remote = support.make_remote(tmp_path / "other.git", {"README.md": "x\n"})
    support.add_submodule(remote, "vendor", pinned, address)
    with GitServer(tmp_path) as server:
        box.remote = server.url("other.git")
        box.start(**fetched(box))
    assert (box.tree / "vendor/lib.txt").exists()
