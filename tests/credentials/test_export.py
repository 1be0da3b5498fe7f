"""The exported login: only an access token, private from the start, and never written through a planted file or directory."""

import json
import os
import stat
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ccterm.credentials.export import export_login
from ccterm.errors import PreflightError

LogIn = Callable[..., Path]
ACCESS, REFRESH = "sk-ant-oat01-access", "sk-ant-ort01-refresh"


def soon(hours: float = 8) -> int:
    return int((time.time() + hours * 3600) * 1000)


def login(**more: object) -> str:
    oauth = {"accessToken": ACCESS, "refreshToken": REFRESH, "expiresAt": soon(), "scopes": ["user:inference"], "subscriptionType": "max"}
    return json.dumps({"claudeAiOauth": oauth | more})


@pytest.fixture
def home(isolation: Path) -> Path:
    (isolation / ".claude").mkdir()
    (isolation / ".claude" / ".credentials.json").write_text(login())
    return isolation


def export(home: Path, **env: str) -> Path:
    return export_login({"HOME": str(home), "PATH": os.environ["PATH"]} | env, platform="linux").path


def test_the_copy_holds_the_access_token_and_no_refresh_token(home: Path) -> None:
    text = export(home).read_text()
    assert REFRESH not in text
    assert set(json.loads(text)["claudeAiOauth"]) == {"accessToken", "scopes", "expiresAt", "subscriptionType"}
    assert json.loads(text)["claudeAiOauth"]["accessToken"] == ACCESS


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o177], ids=oct)
def test_the_copy_is_private_whatever_the_umask(home: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        path = export(home)
    finally:
        os.umask(before)
    assert (stat.S_IMODE(path.stat().st_mode), stat.S_IMODE(path.parent.stat().st_mode)) == (0o600, 0o700)


def test_the_users_own_login_is_left_as_it_is(home: Path) -> None:
    before = (home / ".claude" / ".credentials.json").read_bytes()
    export(home)
    assert (home / ".claude" / ".credentials.json").read_bytes() == before
    assert [path.name for path in (home / ".claude-container").iterdir()] == [".credentials.json"]


def test_a_second_export_replaces_the_first(home: Path) -> None:
    first = json.loads(export(home).read_text())
    (home / ".claude" / ".credentials.json").write_text(login(accessToken="newer"))
    assert json.loads(export(home).read_text()) != first


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (login(expiresAt=soon(-1)), "expired"),
        (login(accessToken=""), "no Claude login"),
        (login(expiresAt=0), "no Claude login"),
        (login(scopes="user:inference"), "no Claude login"),
        (login(scopes=[]), "may not be used"),
        ("[]", "no Claude login"),
        ("{", "no Claude login"),
        (" " * 65 * 1024 + login(), "no Claude login"),
    ],
    ids=["expired", "empty", "over", "scopes-text", "no-scope", "array", "cut", "huge"],
)
def test_an_unusable_login_is_refused_and_never_shown(home: Path, text: str, words: str) -> None:
    (home / ".claude" / ".credentials.json").write_text(text)
    with pytest.raises(PreflightError, match=words) as caught:
        export(home)
    assert ACCESS not in str(caught.value)
    assert not (home / ".claude-container").exists()


def test_a_directory_that_is_a_link_is_refused(home: Path, tmp_path: Path) -> None:
    (home / ".claude-container").symlink_to(tmp_path)
    with pytest.raises(PreflightError):
        export(home)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_a_link_is_refused(home: Path, tmp_path: Path) -> None:
    (home / ".claude-container").mkdir(mode=0o700)
    (tmp_path / "mine").write_text("mine")
    (home / ".claude-container" / ".credentials.json").symlink_to(tmp_path / "mine")
    with pytest.raises(PreflightError):
        export(home)
    assert (tmp_path / "mine").read_text() == "mine"


def test_a_directory_that_others_may_write_to_is_refused(home: Path) -> None:
    (home / ".claude-container").mkdir()
    (home / ".claude-container").chmod(0o777)
    with pytest.raises(PreflightError, match="can be written to by others"):
        export(home)


@pytest.mark.parametrize(
    ("body", "words"),
    [("exit 36", "locked"), ("exit 128", "denied"), ("exit 44", "no Claude login")],
    ids=["locked", "denied", "none"],
)
def test_each_refusal_of_the_keychain_has_its_own_message(isolation: Path, tmp_path: Path, body: str, words: str) -> None:
    with pytest.raises(PreflightError, match=words):
        export_login({"HOME": str(isolation), "PATH": str(keychain(tmp_path, body))}, platform="darwin")


@pytest.mark.parametrize("hexadecimal", [False, True])
def test_the_keychain_is_read_in_both_its_forms(isolation: Path, tmp_path: Path, hexadecimal: bool) -> None:
    text = login().encode().hex() if hexadecimal else login()
    path = keychain(tmp_path, f"printf %s '{text}'")
    found = export_login({"HOME": str(isolation), "PATH": f"{path}:{os.environ['PATH']}"}, platform="darwin")
    assert ACCESS in found.path.read_text()


def keychain(tmp_path: Path, body: str) -> Path:
    """Return a directory with a stand-in for macOS's `security`."""
    program = tmp_path / "security"
    program.write_text(f"#!/bin/sh\n{body}\n")
    program.chmod(0o755)
    return tmp_path
