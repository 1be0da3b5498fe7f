"""What the terminal remembers: for its user alone, and never in anybody's way."""

import stat
from pathlib import Path

from ccterm.tui.memory import PROMPTS, Memory
from tests.tui.fake_service import NOON


def test_what_was_launched_comes_back_next_time(tmp_path: Path) -> None:
    Memory(tmp_path).launched({"prompt": "Do it", "repo": "~/shop", "branch": "x", "verify": "make test"})
    found = Memory(tmp_path).now
    assert found.prompts == ("Do it",)
    assert found.repos == ("~/shop",)
    assert found.form == {"repo": "~/shop", "verify": "make test"}


def test_the_newest_comes_first_and_none_twice(tmp_path: Path) -> None:
    memory = Memory(tmp_path)
    for number in range(PROMPTS + 5):
        memory.launched({"prompt": f"Task {number % 40}", "repo": "~/shop"})
    assert len(memory.now.prompts) == len(set(memory.now.prompts))
    assert memory.now.prompts[0] == f"Task {(PROMPTS + 4) % 40}"


def test_the_file_is_for_its_user_alone(tmp_path: Path) -> None:
    Memory(tmp_path).leave(NOON)
    assert stat.S_IMODE((tmp_path / "terminal.json").stat().st_mode) == 0o600
    assert Memory(tmp_path).now.left == NOON


def test_a_file_that_cannot_be_read_is_forgotten(tmp_path: Path) -> None:
    (tmp_path / "terminal.json").write_text("{nonsense")
    assert Memory(tmp_path).now.prompts == ()


def test_a_place_that_cannot_be_written_to_costs_only_the_memory(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    memory = Memory(tmp_path / "file" / "below")
    memory.leave(NOON)
    assert memory.now.left == NOON
