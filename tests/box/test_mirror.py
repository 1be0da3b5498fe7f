"""The mirror that is kept between runs."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.box.gitbox import GitBox
from tests.box.programs import finish, start_program
from tests.conftest import MakeRemote
from tests.support import git as support


@pytest.fixture
def remote(make_remote: MakeRemote) -> Path:
    remote = make_remote({"README.md": "# Example\n"})
    support.add_commit(remote, {"a": "1\n"})
    return remote


@pytest.fixture
def mirror(tmp_path: Path, remote: Path) -> Path:
    """Return the mirror that a first checkout made."""
    GitBox(tmp_path / "first", remote).start()
    return tmp_path / "mirror"


def second(tmp_path: Path, remote: Path) -> GitBox:
    box = GitBox(tmp_path / "second", remote)
    box.resolve()
    return box


def test_a_second_checkout_does_not_contact_the_remote(tmp_path: Path, remote: Path, mirror: Path) -> None:
    box = second(tmp_path, remote)
    remote.rename(tmp_path / "gone.git")
    assert box.checkout() == {"ok": True, "notes": [], "fetched": False}
    assert (box.tree / "a").read_text() == "1\n"


def test_a_new_commit_is_fetched(tmp_path: Path, remote: Path, mirror: Path) -> None:
    support.add_commit(remote, {"a": "2\n"})
    box = second(tmp_path, remote)
    assert box.checkout()["fetched"]
    assert (box.tree / "a").read_text() == "2\n"


def test_rewritten_branches_and_names_that_became_directories_are_followed(tmp_path: Path, remote: Path) -> None:
    support.git(remote, "branch", "topic", "main")
    GitBox(tmp_path / "first", remote).start()
    support.git(remote, "branch", "-D", "topic")
    support.git(remote, "branch", "topic/one", "main~1")
    support.add_commit(remote, {"a": "3\n"})
    assert second(tmp_path, remote).checkout()["ok"]


def test_damage_to_an_agents_objects_does_not_reach_the_mirror(tmp_path: Path, remote: Path, mirror: Path) -> None:
    packs = list((tmp_path / "first/work/.git/objects").rglob("*.pack"))
    assert packs
    for pack in packs:
        pack.chmod(0o644)
        pack.write_bytes(b"spoiled")
    assert support.git(mirror / "mirror.git", "fsck", "--full") == ""
    assert support.git(tmp_path / "first/clean.git", "fsck", "--full") == ""


def spoil_head(mirror: Path) -> None:
    (mirror / "mirror.git/HEAD").write_text("")


def spoil_config(mirror: Path) -> None:
    (mirror / "mirror.git/config").write_text("[core\n")


def spoil_packs(mirror: Path) -> None:
    for pack in mirror.rglob("*.pack"):
        pack.chmod(0o644)
        pack.write_bytes(pack.read_bytes()[:40])


def spoil_indexes(mirror: Path) -> None:
    for index in mirror.rglob("*.idx"):
        index.chmod(0o644)
        index.write_bytes(b"\0" * 100)


def lose_objects(mirror: Path) -> None:
    shutil.rmtree(mirror / "mirror.git/objects")


def half_made(mirror: Path) -> None:
    shutil.rmtree(mirror / "mirror.git")
    (mirror / "mirror.git").mkdir()
    (mirror / "mirror.git/HEAD").write_text("ref: refs/heads/main\n")


def a_file(mirror: Path) -> None:
    shutil.rmtree(mirror / "mirror.git")
    (mirror / "mirror.git").write_text("no repository")


@pytest.mark.first_is_fast
@pytest.mark.parametrize("spoil", [spoil_head, spoil_config, spoil_packs, spoil_indexes, lose_objects, half_made, a_file])
def test_a_broken_mirror_is_replaced(tmp_path: Path, remote: Path, mirror: Path, spoil: Callable[[Path], None]) -> None:
    spoil(mirror)
    box = second(tmp_path, remote)
    report = box.checkout()
    assert (report["ok"], report.get("fetched")) == (True, True), report
    support.git(box.clean, "fsck", "--full")


@pytest.mark.first_is_fast
@pytest.mark.parametrize(
    "name", ["config", "config.worktree", "hooks/reference-transaction", "commondir", "info/attributes", "objects/info/alternates"]
)
def test_a_mirror_that_something_else_wrote_to_is_replaced(tmp_path: Path, remote: Path, mirror: Path, name: str) -> None:
    """Its configuration would be met by the credential of the next run."""
    path = mirror / "mirror.git" / name
    path.parent.mkdir(exist_ok=True)
    with path.open("a") as file:
        file.write(f'[url "{tmp_path}/elsewhere.git"]\n\tinsteadOf = {remote}\n')
    box = second(tmp_path, remote)
    assert box.checkout()["fetched"]
    assert "elsewhere" not in (mirror / "mirror.git/config").read_text()
    assert path.exists() is (name == "config")


def test_leftovers_of_a_killed_fetch_are_removed(tmp_path: Path, remote: Path, mirror: Path) -> None:
    left = [mirror / "mirror.git/objects/pack/tmp_pack_XyZ", mirror / "mirror.git/packed-refs.lock"]
    for path in left:
        path.write_bytes(b"half")
    support.add_commit(remote, {"a": "2\n"})
    assert second(tmp_path, remote).checkout()["ok"]
    assert not any(path.exists() for path in left)


def test_many_packs_become_one(tmp_path: Path, remote: Path, mirror: Path) -> None:
    packs = mirror / "mirror.git/objects/pack"
    pack = next(packs.glob("*.pack"))
    for number in range(70):
        for kind in (".pack", ".idx"):
            shutil.copyfile(pack.with_suffix(kind), packs / f"pack-{number:040x}{kind}")
    support.add_commit(remote, {"a": "2\n"})
    assert second(tmp_path, remote).checkout()["ok"]
    assert len(list(packs.glob("*.pack"))) < 5


def test_eight_checkouts_at_once_share_one_fetch(tmp_path: Path, remote: Path) -> None:
    base = support.tip(remote, "main")
    request = {"remote": str(remote), "base": base, "ref": None, "mirror": "../mirror", "clean": "clean.git", "tree": "work"}
    started = [start_program("checkout", request | {"branch": f"agent/{n}"}, tmp_path / f"box{n}") for n in range(8)]
    reports = [finish(process).report for process in started]
    assert [report["ok"] for report in reports] == [True] * 8
    assert sum(report["fetched"] for report in reports) == 1


def test_a_mirror_is_private(mirror: Path) -> None:
    assert mirror.stat().st_mode & 0o077 == 0
