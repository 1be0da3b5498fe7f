"""Links are followed through the tree's own links, exactly as the kernel would; a repository inside the tree is known in every form."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ccterm.git.hazards import Repositories, TreeLinks, leaving_links, may_be_repository

UP = {b"a/b/c/up": b"../../.."}
NAMES = ["a", "b", "c"]


@pytest.mark.parametrize(
    ("path", "target", "leaves"),
    [
        (b"leak", b"a/b/c/up/../secret", True),
        (b"leak", b"a/b/c/up/secret", False),
        (b"leak", b"A/b/C/UP/../secret", True),  # some systems take it for the same link
        (b"a/leak", b"b/c/up/a/../../secret", True),
        (b"leak", b"..", True),
        (b"leak", b"/etc", True),
        (b"leak", b"a/b/c/up/.git/config", True),
        (b"d/e", b"../a/b/./c//d", False),
        (b"loop", b"loop", False),
    ],
)
def test_a_link_is_followed_through_others(path: bytes, target: bytes, leaves: bool) -> None:
    assert bool(TreeLinks(UP | {path: target}).leaves(path, target)) is leaves


def test_another_link_may_be_where_the_tree_has_none() -> None:
    assert "through node_modules/x" in TreeLinks({}, {b"node_modules/x": b".."}.get).leaves(b"leak", b"node_modules/x/../secret")
    assert TreeLinks({}, {b"data": b"/mnt"}.get).leaves(b"leak", b"data/x")


@pytest.mark.parametrize(
    ("before", "after", "refused"),
    [
        pytest.param({}, {b"leak": b"../x"}, {b"leak"}, id="a new link"),
        pytest.param({b"old": b"../x"}, {b"old": b"../x", b"new": b"a"}, set(), id="one of the base leaves, and stays"),
        pytest.param({b"leak": b"up/../x"}, {b"leak": b"up/../x", b"up": b"."}, {b"up"}, id="a new link turns another"),
        pytest.param({b"leak": b"d/../../x", b"d": b"a/b"}, {b"leak": b"d/../../x", b"d": b"a"}, {b"d"}, id="a changed link turns another"),
        pytest.param({b"leak": b"d/../../x", b"d": b"a/b"}, {b"leak": b"d/../../x"}, {b"d"}, id="a removed link turns another"),
        pytest.param({b"in": b"d/../x", b"d": b"a/b"}, {b"in": b"d/../x"}, set(), id="and stays inside"),
    ],
)
def test_a_change_to_one_link_may_let_another_leave(
    before: Mapping[bytes, bytes], after: Mapping[bytes, bytes], refused: set[bytes]
) -> None:
    assert leaving_links(before, after).keys() == refused


@st.composite
def trees_of_links(draw: st.DrawFn) -> dict[str, str]:
    """Links of a tree whose directories are a, a/b, a/b/c and b."""
    places = ["l", "m", "a/l", "a/b/m", "a/b/c/n", "b/l"]
    steps = st.lists(st.sampled_from([*NAMES, "..", "..", ".", "l", "m", "n"]), min_size=1, max_size=6)
    return {place: "/".join(draw(steps)) for place in draw(st.sets(st.sampled_from(places), min_size=1))}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("links") / "x/y/root"
    (root / "a/b/c").mkdir(parents=True)
    (root / "b").mkdir()
    return root


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(links=trees_of_links())
def test_what_the_kernel_finds_outside_is_refused(place: Path, links: dict[str, str]) -> None:
    tree = TreeLinks({os.fsencode(path): os.fsencode(target) for path, target in links.items()})
    try:
        for path, target in links.items():
            (place / path).symlink_to(target)
        for path, target in links.items():
            real = Path(os.path.realpath(place / path))
            if not real.is_relative_to(place):
                assert tree.leaves(os.fsencode(path), os.fsencode(target)), (path, links)
    finally:
        for path in links:
            (place / path).unlink(missing_ok=True)


@st.composite
def repository_layouts(draw: st.DrawFn) -> dict[str, str]:
    """HEAD, objects, refs and commondir as files, directories or links, some of them missing, in a directory of their own."""
    kinds = st.sampled_from(["file", "program", "directory", "link", ""])
    return {name: draw(kinds) for name in ("HEAD", "objects", "refs", "commondir")} | {"HEAD": draw(st.sampled_from(["head", "link", ""]))}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=25)
@given(layout=repository_layouts())
def test_whatever_git_enters_is_known(tmp_path_factory: pytest.TempPathFactory, layout: dict[str, str]) -> None:
    root = tmp_path_factory.mktemp("layout")
    (root / "other/refs/heads").mkdir(parents=True)
    (root / "other/objects").mkdir()
    (root / "in").mkdir()
    for name, kind in layout.items():
        path = root / "in" / name
        if kind == "head":
            path.write_text("ref: refs/heads/main\n")
        elif kind in ("file", "program"):
            path.write_text("../other\n")
            path.chmod(0o755 if kind == "program" else 0o644)
        elif kind == "directory":
            path.mkdir()
        elif kind == "link":
            path.symlink_to({"HEAD": "refs/heads/main", "objects": "../other/objects", "refs": "../other/refs"}.get(name, "nowhere"))
    env = {"PATH": os.environ["PATH"], "GIT_CEILING_DIRECTORIES": str(root), "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null"}
    entered = subprocess.run(["git", "rev-parse", "--git-dir"], cwd=root / "in", env=env, capture_output=True, check=False).returncode == 0
    assert not entered or may_be_repository(path.name.encode() for path in (root / "in").iterdir())


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (b"repo/config", True),
        (b"REPO/Config.worktree", True),
        (b"repo/commondir", True),
        (b"repo/hooks/pre-commit", True),
        (b"repo/description", False),
        (b"other/config", False),
        (b"common/config", True),  # another directory may name it as its own
        (b"config", False),
    ],
)
def test_what_steers_a_repository_in_the_tree(path: bytes, expected: bool) -> None:
    held = [b"repo/head", b"repo/Objects/x", b"repo/refs", b"common/objects/x", b"common/refs/x", b"other/HEAD", b"header/objects.py"]
    found = Repositories(held)
    assert list(found) == [b"repo"]
    assert found.steered_by(path) is expected
