"""`ccterm help`: what a command does, and the one troubleshooting table, which the page in docs/ repeats."""

import json
from pathlib import Path

import pytest

from ccterm.causes import TROUBLESHOOTING, troubleshooting_page
from tests.support.core import ccterm_here

ROOT = Path(__file__).parents[2]


def test_the_page_is_current() -> None:
    """`python -c "from ccterm.causes import troubleshooting_page as page; print(page(), end='')" > docs/troubleshooting.md` renews it."""
    assert (ROOT / "docs" / "troubleshooting.md").read_text("utf-8") == troubleshooting_page()
    assert "(docs/troubleshooting.md)" in (ROOT / "README.md").read_text("utf-8")


def test_the_table_is_printed_with_every_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    printed = ccterm_here("help", "troubleshooting", cwd=tmp_path, monkeypatch=monkeypatch)
    words = " ".join(printed.stdout.split())
    assert printed.returncode == 0
    assert all(cell.replace("`", "") in words for trouble in TROUBLESHOOTING for cell in trouble)
    assert max(map(len, printed.stdout.split("\n"))) <= 80
    rows = json.loads(ccterm_here("help", "troubleshooting", "--json", cwd=tmp_path, monkeypatch=monkeypatch).stdout)
    assert rows == [trouble._asdict() for trouble in TROUBLESHOOTING]


@pytest.mark.parametrize(
    ("symptom", "words"),
    [
        ("Docker not running", "Start Docker"),
        ("Dagger SDK not found", "Install it again"),
        ("No credentials found", "ccterm auth export"),
        ("Authentication failed", "export again"),
        ("Push failed", "gh auth status"),
        ("Local repo modified unexpectedly", "--branch NAME"),
    ],
)
def test_what_users_run_into_has_its_row(symptom: str, words: str) -> None:
    [found] = [trouble for trouble in TROUBLESHOOTING if trouble.symptom.startswith(symptom)]
    assert words in found.fix


@pytest.mark.parametrize(
    ("topic", "usage"), [((), "ccterm [OPTIONS]"), (("trust",), "ccterm trust"), (("auth", "export"), "ccterm auth export")]
)
def test_help_on_a_command_is_its_help(topic: tuple[str, ...], usage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ccterm_here("help", *topic, cwd=tmp_path, monkeypatch=monkeypatch).stdout.startswith(f"Usage: {usage}")


def test_there_is_no_help_on_anything_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ccterm_here("help", "cooking", cwd=tmp_path, monkeypatch=monkeypatch).returncode == 2
