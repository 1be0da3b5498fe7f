"""Keeping files of an agent's HOME."""

import os
from pathlib import Path

import pytest

from ccterm.box.agent.keep import keep_files


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "home" / ".claude" / "projects" / "one").mkdir(parents=True)
    return tmp_path / "home"


def kept(home: Path, glob: str) -> dict[str, str]:
    target = home.parent / "kept"
    keep_files(str(home), [{"glob": glob, "to": str(target)}])
    return {path.name: path.read_text() for path in target.glob("*")}


def test_what_matches_is_copied(home: Path) -> None:
    (home / ".claude/projects/one/s.jsonl").write_text("session")
    (home / ".claude/projects/one/other.txt").touch()
    assert kept(home, ".claude/projects/*/s.jsonl") == {"s.jsonl": "session"}


def test_without_a_match_nothing_is_created(home: Path) -> None:
    assert kept(home, ".claude/projects/*/s.jsonl") == {}
    assert not (home.parent / "kept").exists()


@pytest.mark.parametrize("place", [".claude/projects/one/s.jsonl", ".claude/projects/one", ".claude/projects", ".claude"])
def test_no_link_is_followed(home: Path, place: str) -> None:
    outside = home.parent / "outside"
    (outside / "projects" / "one").mkdir(parents=True)
    for path in ("s.jsonl", "one/s.jsonl", "projects/one/s.jsonl"):
        (outside / path).parent.mkdir(exist_ok=True)
        (outside / path).write_text("secret")
    for inner in (".claude/projects/one", ".claude/projects", ".claude"):
        (home / inner).rmdir()
    (home / place).parent.mkdir(parents=True, exist_ok=True)
    (home / place).symlink_to(outside / "s.jsonl" if place.endswith("jsonl") else outside)
    assert kept(home, ".claude/projects/*/s.jsonl") == {}


@pytest.mark.parametrize("target", ["kept", "kept/s.jsonl"])
def test_no_link_in_its_place_is_written_through(home: Path, target: str) -> None:
    (home / ".claude/projects/one/s.jsonl").write_text("session")
    outside = home.parent / "outside"
    outside.mkdir()
    link = home.parent / target
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(outside if target == "kept" else outside / "new")
    keep_files(str(home), [{"glob": ".claude/projects/*/s.jsonl", "to": str(home.parent / "kept")}])
    assert list(outside.iterdir()) == []


def test_no_special_file_is_opened(home: Path) -> None:
    os.mkfifo(home / ".claude/projects/one/s.jsonl")
    assert kept(home, ".claude/projects/*/s.jsonl") == {}


def test_a_missing_home_has_no_files(tmp_path: Path) -> None:
    assert kept(tmp_path / "home", "*") == {}
