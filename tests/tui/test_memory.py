"""What the terminal remembers: private to the user, and never the cause of an error."""

import stat
from pathlib import Path

from ccterm.tui.memory import PROMPTS, Memory
from tests.tui.fake_service import NOON


def test_the_last_form_is_remembered(tmp_path: Path) -> None:
    Memory(tmp_path).launched({"prompt": "Do it", "repo": "~/shop", "branch": "x", "verify": "make test"})
    found = Memory(tmp_path).now
    assert found.prompts == ("Do it",)
    assert found.repos == ("~/shop",)
    assert found.form == {"repo": "~/shop", "verify": "make test"}


def test_the_newest_prompts_come_first_without_duplicates(tmp_path: Path) -> None:
    memory = Memory(tmp_path)
    for number in range(PROMPTS + 5):
        memory.launched({"prompt": f"Task {number % 40}", "repo": "~/shop"})
    assert len(memory.now.prompts) == len(set(memory.now.prompts))
    assert memory.now.prompts[0] == f"Task {(PROMPTS + 4) % 40}"


def test_the_file_is_private_to_the_user(tmp_path: Path) -> None:
    Memory(tmp_path).leave(NOON)
    assert stat.S_IMODE((tmp_path / "terminal.json").stat().st_mode) == 0o600
    assert Memory(tmp_path).now.left == NOON


def test_an_unreadable_file_is_ignored(tmp_path: Path) -> None:
    (tmp_path / "terminal.json").write_text("{nonsense")
    assert Memory(tmp_path).now.prompts == ()


def test_an_unwritable_directory_is_not_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    memory = Memory(tmp_path / "file" / "below")
    memory.leave(NOON)
    assert memory.now.left == NOON
