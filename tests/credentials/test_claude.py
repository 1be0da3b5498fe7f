"""The Claude login of a run: a token of the environment, the user's own login for local runs, an exported access token for containers."""

import json
import os
import time
from pathlib import Path

import pytest

import ccterm
from ccterm.credentials.claude import EXPORTED, file_login, own_login, run_login
from ccterm.errors import PreflightError, SettingsError
from ccterm.models import ExecutionMode

TOKEN = "sk-ant-oat01-AAAAAAAAAAAAAAAAAAAA"
HOUR = 3_600_000


def store(home: Path, oauth: object, *, whole: bool = False) -> Path:
    path = home / ".claude" / ".credentials.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(oauth if whole else {"claudeAiOauth": oauth}))
    return path


def now() -> int:
    return int(time.time() * 1000)


def test_without_a_token_the_agent_uses_the_users_own_login() -> None:
    for env in ({}, {"CLAUDE_CODE_OAUTH_TOKEN": ""}):
        login = run_login(ExecutionMode.LOCAL, env)
        assert (login.kind, login.token) == ("user login", None)


@pytest.mark.parametrize("value", [TOKEN, f" {TOKEN}\n", f"{TOKEN[:20]}\n{TOKEN[20:]}", f"{TOKEN[:20]}\r\n  {TOKEN[20:]}"])
def test_a_token_may_be_pasted_over_two_lines(value: str) -> None:
    login = run_login(ExecutionMode.LOCAL, {"CLAUDE_CODE_OAUTH_TOKEN": value})
    assert login.token is not None
    assert (login.kind, login.token.get_secret_value()) == ("env", TOKEN)
    assert TOKEN not in repr(login)


def test_a_stray_api_key_is_not_used() -> None:
    assert run_login(ExecutionMode.LOCAL, {"ANTHROPIC_API_KEY": "sk-ant-api", "ANTHROPIC_AUTH_TOKEN": "x"}).token is None


@pytest.mark.parametrize("value", ["tökén", "a\x00b", "\x1b[31m", "x" * 9000])
def test_what_cannot_be_a_token_is_refused_without_showing_it(value: str) -> None:
    with pytest.raises(SettingsError, match="CLAUDE_CODE_OAUTH_TOKEN is not a token") as caught:
        run_login(ExecutionMode.LOCAL, {"CLAUDE_CODE_OAUTH_TOKEN": value})
    assert value not in str(caught.value)


@pytest.mark.parametrize(
    ("oauth", "state"),
    [
        ({"accessToken": TOKEN, "refreshToken": "r", "expiresAt": now() + HOUR}, "good"),
        ({"accessToken": TOKEN, "refreshToken": "r", "expiresAt": (now() + HOUR) // 1000}, "good"),
        ({"accessToken": TOKEN, "refreshToken": "r", "expiresAt": now() - HOUR}, "expired"),
        ({"accessToken": TOKEN, "expiresAt": now() - HOUR}, "empty"),
        ({"accessToken": TOKEN}, "good"),
        ({"accessToken": TOKEN, "expiresAt": "soon"}, "good"),
        ({"accessToken": TOKEN, "expiresAt": 1e300}, "good"),
        ({"accessToken": "", "refreshToken": "", "expiresAt": 0}, "empty"),
        ({"accessToken": None}, "empty"),
        ({"accessToken": [TOKEN]}, "empty"),
        ({}, "unreadable"),
        ([], "unreadable"),
        ("x", "unreadable"),
        (None, "unreadable"),
    ],
    ids=range(14),
)
def test_a_stored_login_is_judged_without_showing_it(isolation: Path, oauth: object, state: str) -> None:
    path = store(isolation, oauth)
    stored = file_login({"HOME": str(isolation)})
    assert stored is not None
    assert (stored.state, stored.where) == (state, str(path))
    assert TOKEN not in repr(stored)


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"null", b"\xff\xfe", b"{}", b"[" * 60_000, b" " * 70_000])
def test_a_damaged_file_is_unreadable(isolation: Path, data: bytes) -> None:
    store(isolation, {}).write_bytes(data)
    stored = file_login({"HOME": str(isolation)})
    assert stored is not None
    assert stored.state == "unreadable"


def test_the_directory_of_the_login_may_be_moved(isolation: Path, tmp_path: Path) -> None:
    (tmp_path / ".credentials.json").write_text(json.dumps({"claudeAiOauth": {"accessToken": TOKEN}}))
    stored = file_login({"HOME": str(isolation), "CLAUDE_CONFIG_DIR": str(tmp_path)})
    assert stored is not None
    assert stored.state == "good"


def test_no_file_is_no_login(isolation: Path) -> None:
    assert own_login({"HOME": str(isolation)}, platform="linux") is None
    assert own_login({}, platform="linux") is None


def test_a_pipe_in_place_of_the_file_does_not_hang(isolation: Path) -> None:
    (isolation / ".claude").mkdir()
    os.mkfifo(isolation / ".claude" / ".credentials.json")
    stored = file_login({"HOME": str(isolation)})
    assert stored is not None
    assert stored.state == "unreadable"


def export(home: Path, oauth: object) -> None:
    (home / EXPORTED).parent.mkdir()
    (home / EXPORTED).write_text(json.dumps({"claudeAiOauth": oauth}))


def test_a_container_prefers_the_token_of_the_environment(isolation: Path) -> None:
    export(isolation, {"accessToken": "exported-token-1234", "expiresAt": now() + HOUR})
    assert run_login(ExecutionMode.DAGGER, {"HOME": str(isolation), "CLAUDE_CODE_OAUTH_TOKEN": TOKEN}).kind == "env"


def test_otherwise_it_gets_the_exported_access_token_and_knows_when_that_expires(isolation: Path) -> None:
    export(isolation, {"accessToken": "exported-token-1234", "expiresAt": now() + HOUR})
    login = run_login(ExecutionMode.DAGGER, {"HOME": str(isolation)})
    assert login.token is not None
    assert (login.kind, login.token.get_secret_value()) == ("exported", "exported-token-1234")
    assert login.expires is not None
    assert "exported-token" not in repr(login)


@pytest.mark.parametrize(
    ("oauth", "said"),
    [
        pytest.param({"accessToken": "t" * 20, "expiresAt": 1_000_000_000_000}, "expired", id="expired"),
        pytest.param({"accessToken": "", "expiresAt": 0}, "cannot be used", id="blanked by a failed refresh"),
        pytest.param("nonsense", "cannot be used", id="nonsense"),
    ],
)
def test_an_unusable_exported_login_is_refused_with_the_fix(isolation: Path, oauth: object, said: str) -> None:
    export(isolation, oauth)
    with pytest.raises(PreflightError, match=said) as error:
        run_login(ExecutionMode.DAGGER, {"HOME": str(isolation)})
    assert "setup-token" in error.value.fix


def test_without_any_login_a_container_is_refused(isolation: Path) -> None:
    store(isolation, {"accessToken": "t" * 20, "refreshToken": "r", "expiresAt": now() + HOUR})
    with pytest.raises(PreflightError, match="no Claude login for containers"):
        run_login(ExecutionMode.DAGGER, {"HOME": str(isolation)})


def test_one_module_knows_what_a_stored_login_looks_like() -> None:
    package = Path(ccterm.__file__).parent
    readers = {str(path.relative_to(package)) for path in package.rglob("*.py") if "accessToken" in path.read_text()}
    assert readers == {"credentials/claude.py", "credentials/export.py"}, "export writes it, claude reads it"
