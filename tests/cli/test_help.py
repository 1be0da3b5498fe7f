"""`ccterm help`: what a command does, and the pages of docs/."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.core

from ccterm.cli.commands import app
from ccterm.cli.topics import TOPICS, TROUBLESHOOTING
from tests.conftest import Command
from tests.support.core import ccterm_here

ROOT = Path(__file__).parents[2]


def test_the_pages_say_what_the_code_does() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "docs.py", "--check"], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


@pytest.mark.parametrize("topic", TOPICS)
def test_each_topic_has_its_page_which_the_readme_names(topic: str, command: Command) -> None:
    printed = command("help", topic)
    assert printed.returncode == 0
    assert printed.stdout.startswith("# ")
    assert "<!--" not in printed.stdout
    assert f"(docs/{topic}.md)" in (ROOT / "README.md").read_text("utf-8")


def test_the_rows_about_common_problems_are_json_too(command: Command) -> None:
    rows = json.loads(command("help", "troubleshooting", "--json").stdout)
    assert rows == [trouble._asdict() for trouble in TROUBLESHOOTING]


def test_topics_are_listed(command: Command) -> None:
    listed = command("help").stdout
    assert all(f"ccterm help {topic}" in listed for topic in TOPICS)
    assert set(json.loads(command("help", "--json").stdout)) == set(TOPICS)


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


@pytest.mark.parametrize(("topic", "usage"), [(("trust",), "ccterm trust"), (("auth", "export"), "ccterm auth export")])
def test_help_on_a_command_is_its_help(topic: tuple[str, ...], usage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ccterm_here("help", *topic, cwd=tmp_path, monkeypatch=monkeypatch).stdout.startswith(f"Usage: {usage}")


def test_there_is_no_help_on_anything_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ccterm_here("help", "cooking", cwd=tmp_path, monkeypatch=monkeypatch).returncode == 2


def helps(group: typer.core.TyperGroup, name: str = "ccterm") -> Iterator[tuple[str, str]]:
    """Yield the help of a group and of all its commands."""
    context = group.make_context(name, ["--help"], resilient_parsing=True)
    yield name, group.get_help(context)
    for word, command in group.commands.items():
        if isinstance(command, typer.core.TyperGroup):
            yield from helps(command, f"{name} {word}")
        else:
            yield f"{name} {word}", command.get_help(command.make_context(f"{name} {word}", [], resilient_parsing=True))


def test_help_names_arguments_plainly_and_cuts_no_summary(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    main = typer.main.get_group(app)
    assert isinstance(main, typer.core.TyperGroup)
    told = dict(helps(main))
    assert len(told) > 40
    for name, text in told.items():
        usage, *lines = text.splitlines()
        assert not re.search(r"[{<]", usage), name
        assert not re.search(r"^  [A-Z]+ <", text, re.MULTILINE), name
        assert not [line for line in lines if re.match(r"  [a-z]+ ", line) and line.endswith("...")], name


@pytest.mark.parametrize(
    ("named", "kind"), [(("http",), "topic"), (("run",), "command"), (("egress", "log"), "command")], ids=["topic", "command", "of a group"]
)
def test_nothing_follows_what_is_explained(command: Command, named: tuple[str, ...], kind: str) -> None:
    done, words = command("help", *named, "events"), " ".join(named)
    assert (done.returncode, done.stderr) == (2, f"ccterm: '{words}' is a {kind}, and 'events' is more than that\n  ccterm help {words}\n")


def test_a_command_of_a_group_is_explained(command: Command) -> None:
    assert command("help", "egress", "log").stdout.startswith("Usage: ccterm egress log [OPTIONS] RUN\n")
