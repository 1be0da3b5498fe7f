"""The skill for Claude Code says what is so: its commands run, its flags exist, every cause is in it."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest
import yaml

from ccterm.causes import Cause, ExitCode
from ccterm.cli.skill.install import skill
from tests.conftest import Command, MakeRemote
from tests.e2e.arranged import configure
from tests.servers.messages_api import MessagesServer
from tests.servers.model_script import say
from tests.support.git import git

SKILL = skill()
BLOCKS: list[str] = re.findall(r"```sh\n(.*?)```", SKILL, re.DOTALL)
SPANS: list[str] = sorted(set(re.findall(r"`(ccterm [^`]+)`", SKILL)))


def test_it_begins_as_claude_code_wants_it_and_is_short() -> None:
    _, head, body = SKILL.split("---\n", 2)
    given = yaml.safe_load(head)
    assert (given["name"], set(given)) == ("ccterm", {"name", "description"})
    assert len(given["description"]) <= 1024
    assert body.startswith("\n# ")
    assert len(SKILL.splitlines()) <= 200


def test_it_knows_every_cause_and_every_exit_code() -> None:
    table = SKILL.partition("## What to do on each cause")[2]
    named = {word for row in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE) for word in re.findall(r"`(\w+)`", row)}
    assert named == {cause.value for cause in Cause}
    line = SKILL.partition("## Exit codes\n")[2].partition("\n\n#")[0]
    assert {int(code) for code in re.findall(r"`(\d+)`", line)} == {code.value for code in ExitCode}


def uses() -> Iterator[tuple[str, list[str]]]:
    """Yield each command that is named, with its flags."""
    lines = [line for block in BLOCKS for line in block.splitlines() if line.startswith("ccterm ")]
    for use in [*SPANS, *lines]:
        words = re.sub(r'"[^"]*"', "TEXT", use).split()[1:]
        names = [word for word in words[:2] if re.fullmatch(r"[a-z]+", word)]
        nested = names[:2] if names[:1] in (["auth"], ["skill"], ["image"]) else names[:1]
        yield " ".join(nested), [word.split("…")[0] for word in words if word.startswith("-") and "…" not in word]


def test_every_command_and_flag_that_it_names_exists(command: Command) -> None:
    wanted: dict[str, set[str]] = {}
    for name, flags in uses():
        wanted.setdefault(name, set()).update(flags)
    assert {"run", "batch", "diff", "apply", "undo", "retry", "continue", "auth setup"} <= wanted.keys()
    for name, needed in wanted.items():
        shown = command(*name.split(), "--help").stdout
        assert shown.startswith(f"Usage: ccterm {name}")
        assert [flag for flag in needed if flag not in shown] == [], name
    run = command("run", "--help").stdout
    for flag in re.findall(r"`(--[a-z-]+)", SKILL):
        assert flag.rstrip("-") in run + command("retry", "--help").stdout + command("show", "--help").stdout, flag


@pytest.mark.slow
def test_every_command_in_it_runs(make_remote: MakeRemote, isolation: Path, tmp_path: Path) -> None:
    """Played by the scripted agent on this machine, which adds a line to a file for any task."""
    configure(isolation, 'agent = "scripted"\nexecution_mode = "local"\n')
    copy = tmp_path / "copy"
    git(tmp_path, "clone", "-q", str(make_remote({"README.md": "hello\n", "src/cart.py": "total = 0\n"})), str(copy))
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "ccterm").write_text(f'#!/bin/sh\nexec {sys.executable} -m ccterm "$@"\n')
    (programs / "ccterm").chmod(0o755)
    env = os.environ | {"PATH": f"{programs}:{os.environ['PATH']}", "CCTERM_STATE_DIR": str(tmp_path / "state")}
    assert len(BLOCKS) == 7
    for block in BLOCKS:
        text = block.replace("/tmp/", f"{tmp_path}/")
        done = subprocess.run(
            ["bash", "-ec", text], cwd=copy, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False
        )
        allowed = (0, ExitCode.PREFLIGHT) if "ccterm check" in block else (0,)
        assert done.returncode in allowed, block + done.stdout + done.stderr
    assert not (copy / "AGENT_NOTES.md").exists()
    pushed = git(copy, "ls-remote", "--heads", "origin", "agent/*")
    assert re.findall(r"heads/(\S+)", pushed) == ["agent/docs-cart", "agent/rate-limit", "agent/rounding"]


@pytest.mark.parametrize("flags", [(), ("--project",)], ids=["user", "project"])
def test_it_is_installed_where_claude_code_looks(
    flags: tuple[str, ...], command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "project" / ".git").mkdir(parents=True)
    (tmp_path / "project" / "src").mkdir()
    monkeypatch.chdir(tmp_path / "project" / "src")
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(tmp_path / "claude"))
    place = (tmp_path / "project" / ".claude" if flags else tmp_path / "claude") / "skills" / "ccterm" / "SKILL.md"
    first = command("skill", "install", *flags)
    assert (first.returncode, first.stdout) == (0, f"{place}\n")
    assert place.read_text().startswith(SKILL)
    assert "current" in command("skill", "install", *flags).stderr
    place.write_text(place.read_text().replace("at most four", "at most forty"))
    refused = command("skill", "install", *flags)
    assert (refused.returncode, "--force" in refused.stderr) == (2, True)
    assert "at most forty" in place.read_text()
    assert command("skill", "install", "--force", *flags).returncode == 0
    assert place.read_text().startswith(SKILL)


def test_an_older_one_that_nobody_changed_is_replaced(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(tmp_path))
    place = tmp_path / "skills" / "ccterm" / "SKILL.md"
    place.parent.mkdir(parents=True)
    older = "---\nname: ccterm\n---\nolder\n"
    place.write_text(f"{older}\n<!-- ccterm 0.0.9 {sha256(older.encode()).hexdigest()} -->\n")
    assert command("skill", "install").returncode == 0
    assert place.read_text().startswith(SKILL)


@pytest.mark.claude
def test_the_real_cli_offers_it_to_its_model(claude_bin: Path, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert command("skill", "install", "--project").returncode == 0
    with MessagesServer() as api:
        api.script("What can you do?", say("Much."))
        env = os.environ | {"ANTHROPIC_BASE_URL": api.origin, "ANTHROPIC_API_KEY": "sk-ant-api03-test"}
        asked = [str(claude_bin), "-p", "What can you do?", "--model", "sonnet"]
        done = subprocess.run(
            asked, cwd=tmp_path, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=90, check=False
        )
        assert "Much." in done.stdout, done.stdout + done.stderr
        assert any(call.says("Delegate coding tasks to other Claude Code agents") for call in api.calls)
