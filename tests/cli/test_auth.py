"""`ccterm auth` as a user types it: where the login comes from, one that lasts a year, and never a value on the screen."""

import json
import mmap
import os
import stat
import sys
from pathlib import Path

import pytest

from ccterm.credentials.setup_token import find_token
from tests.credentials.login_documents import ACCESS, REFRESH, login, soon
from tests.servers.messages_api import MessagesServer
from tests.servers.model_script import Refuse
from tests.support.core import ccterm, ccterm_here
from tests.support.terminal import Screen, Terminal
from tests.support.waiting import wait_until

TOKEN = "sk-ant-oat01-" + "Ab3_-" * 19


@pytest.fixture
def own(isolation: Path) -> Path:
    path = isolation / ".claude" / ".credentials.json"
    path.parent.mkdir()
    path.write_bytes(login(expiresAt=soon(0.69)))
    return path


def test_export_says_what_came_of_it_and_prints_the_path_on_request(
    state: Path, own: Path, isolation: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def export(*flags: str) -> tuple[int, str, str]:
        done = ccterm_here("auth", "export", *flags, cwd=isolation, monkeypatch=monkeypatch)
        assert ACCESS not in done.stdout + done.stderr
        return done.returncode, done.stdout, done.stderr

    copy = isolation / ".claude-container" / ".credentials.json"
    fix = "41 min left; run claude once, or ccterm auth setup for a token that lasts a year\n"
    assert export() == (0, "", f"the Claude login is in {copy}: a new token, {fix}")
    assert export("--print-path") == (0, f"{copy}\n", f"the Claude login is in {copy}: the same token as before, {fix}")
    assert json.loads(export("--json")[1])["path"] == str(copy)
    own.unlink()
    assert export()[0] == 3


def test_status_names_the_winner_and_every_other_source(state: Path, own: Path, isolation: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = ccterm_here("auth", "status", "--mode", "dagger", cwd=isolation, monkeypatch=monkeypatch)
    assert shown.returncode == 0
    assert shown.stdout.startswith(f"runs in containers (dagger) use {own} (access-token): the first of these that can be used\n")
    assert "CLAUDE_CODE_OAUTH_TOKEN" in shown.stdout
    assert "user:inference user:profile" in shown.stdout
    found = json.loads(ccterm_here("auth", "status", "--json", cwd=isolation, monkeypatch=monkeypatch).stdout)
    assert (found["login"]["kind"], found["login"]["source"], found["runs"]) == ("access-token", str(own), [])
    assert [source["name"] for source in found["sources"] if source["chosen"]] == [str(own)]
    for secret in (ACCESS, REFRESH):
        assert secret not in shown.stdout + json.dumps(found)


def test_without_a_login_status_is_3_and_says_what_to_do(state: Path, isolation: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = ccterm_here("auth", "status", cwd=isolation, monkeypatch=monkeypatch)
    assert (shown.returncode, "use no login" in shown.stdout, "ccterm auth setup" in shown.stderr) == (3, True, True)


def test_a_setup_token_is_proved_stored_used_and_removed(state: Path, own: Path, isolation: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = isolation / ".claude-container" / "setup-token.json"
    with MessagesServer() as server:
        stored = ccterm("auth", "setup", "--prove", stdin=f"{TOKEN[:60]}\n{TOKEN[60:]}\n", env={"ANTHROPIC_BASE_URL": server.origin})
    assert stored.returncode == 0
    assert server.calls[0].headers["authorization"] == f"Bearer {TOKEN}"
    assert "the Claude API accepted the login" in stored.stderr
    assert f"there is no keyring, so the token is in a file that only you can read\nstored in {path}; good until " in stored.stderr
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    shown = ccterm_here("auth", "status", cwd=isolation, monkeypatch=monkeypatch)
    assert f"use {path} (setup-token)" in shown.stdout
    assert TOKEN not in stored.stdout + stored.stderr + shown.stdout
    removed = json.loads(ccterm_here("auth", "logout", "--json", cwd=isolation, monkeypatch=monkeypatch).stdout)
    assert removed == {"removed": [str(path)]}
    assert own.exists()


def test_a_token_that_the_api_refuses_is_not_stored(state: Path, isolation: Path) -> None:
    with MessagesServer() as server:
        server.script("ok", Refuse(401, "authentication_error"))
        done = ccterm("auth", "setup", "--prove", stdin=TOKEN, env={"ANTHROPIC_BASE_URL": server.origin})
    assert (done.returncode, "has expired or was revoked" in done.stderr) == (3, True)
    assert not (isolation / ".claude-container").exists()


def test_what_is_no_token_is_refused(state: Path, isolation: Path) -> None:
    done = ccterm("auth", "setup", stdin="hello\n")
    assert (done.returncode, "no token of claude setup-token" in done.stderr) == (2, True)


def test_on_a_terminal_setup_guides_through_the_cli_and_shows_nothing_that_is_pasted(
    tmp_path: Path, isolation: Path, started: list[Screen], monkeypatch: pytest.MonkeyPatch
) -> None:
    cli = tmp_path / "claude"
    cli.write_text('#!/bin/sh\n[ "$*" = setup-token ] && echo "Long-lived authentication token created"\n')
    cli.chmod(0o755)
    monkeypatch.setenv("CCTERM_CLAUDE_BIN", str(cli))
    screen = Screen(tmp_path, "auth", "setup")
    started.append(screen)
    screen.until("a year")
    screen.until("run `claude setup-token` now?")
    screen.press("\n")
    screen.until("Long-lived authentication token created")
    screen.until("paste the token")
    screen.press(f"x\x7f{TOKEN[:60]}\n{TOKEN[60:]}")
    screen.press("\n")
    screen.until("prove it with one tiny request to the Claude API?")
    screen.press("n\n")
    screen.until("stored in")
    assert screen.wait() == 0
    assert screen.given_back
    kept = json.loads((isolation / ".claude-container" / "setup-token.json").read_text())
    assert kept["token"] == TOKEN
    assert TOKEN[:20].encode() not in screen.output


PASTE = "import sys; from ccterm.cli.secret_input import read_secret; print(len(read_secret()))"


@pytest.mark.parametrize(("typed", "length"), [("abc\n", 4), ("\nabc\n", 5), ("abc\x04", 3), ("abx\x7fc\n", 4)])
def test_a_secret_is_read_to_the_enter_key(typed: str, length: int) -> None:
    terminal = Terminal([sys.executable, "-c", PASTE], env=dict(os.environ), cwd=Path(__file__).parents[2])
    try:
        wait_until(lambda: not terminal.given_back)
        terminal.press(typed)
        assert terminal.wait() == 0
        assert terminal.output.split()[-1] == str(length).encode()
    finally:
        terminal.close()


def test_the_terminal_shows_nothing_any_more_when_a_secret_is_asked_for() -> None:
    asks = "import termios; from ccterm.cli.secret_input import read_secret; read_secret(lambda: print('echo', termios.tcgetattr(0)[3] & termios.ECHO))"
    terminal = Terminal([sys.executable, "-c", asks], env=dict(os.environ), cwd=Path(__file__).parents[2])
    try:
        terminal.until("echo 0")
        terminal.press("abc\n")
        assert terminal.wait() == 0
    finally:
        terminal.close()


@pytest.mark.slow
@pytest.mark.claude
def test_the_real_cli_prints_a_token_the_way_that_is_understood(claude_bin: Path) -> None:
    """The texts around the token are the CLI's own: read from the program that is tested with."""
    with claude_bin.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as texts:
        for words in (b"Long-lived authentication token created", b"Your OAuth token (valid for", b"Store this token securely."):
            assert texts.find(words) >= 0
    assert find_token(f"Your OAuth token (valid for 1 year):\n{TOKEN[:80]}\n{TOKEN[80:]}\n\nStore this token securely.")
