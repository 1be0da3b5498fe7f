"""Preflight's questions about logins and secrets: what a run would use, what is wrong with it, and never a value."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from ccterm.credentials.checks import ExportCheck, LoginCheck, secret_checks
from ccterm.credentials.claude import Logins
from ccterm.credentials.keyring_client import KeyringItem, MemoryKeyring
from ccterm.credentials.setup_token import ITEM
from ccterm.models import CheckResult, ExecutionMode
from tests.credentials.conftest import MakeProgram, settings
from tests.credentials.login_documents import ACCESS, login, soon

TOKEN = "sk-ant-oat01-" + "D" * 95
LOCAL, DAGGER = ExecutionMode.LOCAL, ExecutionMode.DAGGER


async def check(mode: ExecutionMode, env: dict[str, str], logins: Logins | None = None, platform: str = "linux") -> CheckResult:
    result = await LoginCheck(mode, env, logins or Logins(MemoryKeyring(), platform=platform)).run()
    assert ACCESS not in repr(result)
    assert TOKEN not in repr(result)
    return result


def own(env: dict[str, str], document: bytes) -> Path:
    path = Path(env["HOME"], ".claude", ".credentials.json")
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(document)
    return path


async def test_a_token_in_the_environment_is_a_login(env: dict[str, str]) -> None:
    result = await check(LOCAL, {**env, "CLAUDE_CODE_OAUTH_TOKEN": TOKEN})
    assert (result.status, result.text) == ("pass", "CLAUDE_CODE_OAUTH_TOKEN is set")


async def test_a_login_that_the_gateway_replaces_when_it_ends_holds_nobody(env: dict[str, str]) -> None:
    own(env, login(expiresAt=soon(0.1)))
    result = await LoginCheck(LOCAL, env, Logins(MemoryKeyring()), lambda: "gateway").run()
    assert (result.status, "runs that outlive it wait for another" in result.text) == ("warn", True)


@pytest.mark.parametrize(("hours", "status"), [(0.2, "pass"), (0.15, "warn")])
async def test_a_login_with_which_no_run_would_start_is_told(env: dict[str, str], hours: float, status: str) -> None:
    own(env, login(expiresAt=soon(hours)))
    result = await check(DAGGER, env)
    assert (result.status, "runs are held until there is another" in result.text) == (status, status == "warn")


async def test_a_token_with_odd_characters_is_refused(env: dict[str, str]) -> None:
    result = await check(LOCAL, {**env, "CLAUDE_CODE_OAUTH_TOKEN": f"{TOKEN}\x00"})
    assert (result.status, "is not a token" in result.text) == ("fail", True)


@pytest.mark.parametrize(
    ("document", "status", "words"),
    [
        (login(expiresAt=soon(5.02)), "pass", "valid for 5 h"),
        (login(expiresAt=soon(0.5)), "pass", "less than an hour"),
        (login(expiresAt=soon(-1)), "warn", "and will be renewed"),
        (login(expiresAt=soon(-1), refreshToken=None), "fail", "expired"),
        (login(accessToken="", expiresAt=0), "fail", "was logged out by a failed refresh"),
        (b"{}", "fail", "is malformed"),
    ],
    ids=["good", "short", "renewable", "expired", "blanked", "malformed"],
)
async def test_for_local_runs_the_clis_own_login_is_looked_at(env: dict[str, str], document: bytes, status: str, words: str) -> None:
    own(env, document)
    result = await check(LOCAL, env)
    assert (result.status, words in result.text, bool(result.fix)) == (status, True, status != "pass")


async def test_a_containers_login_says_how_long_it_lasts_and_what_lasts_longer(env: dict[str, str]) -> None:
    path = own(env, login(expiresAt=soon(5.02)))
    result = await check(DAGGER, env)
    assert result.status == "pass"
    assert result.text == f"a Claude login: {path}, valid for 5 h; a setup-token would last a year (ccterm auth setup)"


@pytest.mark.parametrize(
    ("days", "status", "words"), [(1, "pass", "valid for 364 days"), (331, "warn", "valid for 34 days"), (364.5, "warn", "valid for 12 h")]
)
async def test_a_setup_token_is_warned_about_from_day_330(env: dict[str, str], days: float, status: str, words: str) -> None:
    keyring = MemoryKeyring()
    since = datetime.now(UTC) - timedelta(days=days, minutes=-1)
    keyring.values[ITEM] = SecretStr(f'{{"token": "{TOKEN}", "stored": "{since.isoformat()}"}}')
    result = await check(DAGGER, env, Logins(keyring, platform="linux"))
    assert (result.status, words in result.text, "ccterm auth setup" in result.fix) == (status, True, status == "warn")


async def test_no_login_says_how_to_log_in(env: dict[str, str]) -> None:
    for mode in ExecutionMode:
        result = await check(mode, env)
        assert (result.status, "no Claude login" in result.text) == ("fail", True)
        assert "ccterm auth setup stores a token that lasts a year" in result.fix


async def test_an_api_key_is_no_login_and_that_is_said(env: dict[str, str]) -> None:
    assert "ANTHROPIC_API_KEY is set but not used" in (await check(LOCAL, {**env, "ANTHROPIC_API_KEY": TOKEN})).text
    chosen = await check(DAGGER, {**env, "ANTHROPIC_API_KEY": TOKEN}, Logins(MemoryKeyring(), api_key=True))
    assert (chosen.status, chosen.text) == ("pass", "ANTHROPIC_API_KEY is set")


@pytest.mark.parametrize(("code", "status"), [(0, "pass"), (44, "fail")])
async def test_on_a_mac_the_keychain_is_asked_whether_there_is_a_login(
    env: dict[str, str], programs: MakeProgram, code: int, status: str
) -> None:
    programs("security", f'[ "$*" = "find-generic-password -s Claude Code-credentials" ] && exit {code}\nexit 99')
    assert (await check(LOCAL, env, platform="darwin")).status == status


async def test_every_secret_is_named_with_whether_it_resolved(env: dict[str, str], programs: MakeProgram) -> None:
    programs("vault", "echo s3cret-value")
    keyring = MemoryKeyring()
    keyring.values[KeyringItem(name="npm")] = SecretStr("s3cret-value")
    chosen = settings(
        secrets={
            "A": {"from": "env:A_TOKEN"},
            "B": {"from": "keyring:npm", "steps": ["setup", "agent"]},
            "C": {"from": "cmd:vault read path/to/it", "steps": ["verify"]},
            "D": {"from": "keyring:other"},
            "E": {"from": "env:PIN"},
        }
    )
    results = [await one.run() for one in secret_checks(chosen, {**env, "PIN": "12345"}, Logins(keyring))]
    assert [(one.name, one.group, one.status) for one in results] == [
        ("secret A", "secrets", "fail"), ("secret B", "secrets", "pass"), ("secret C", "secrets", "pass"), ("secret D", "secrets", "fail"),
        ("secret E", "secrets", "warn"),
    ]  # fmt: skip
    assert [one.text for one in results] == [
        "A from env:A_TOKEN, for setup: the environment variable A_TOKEN is not set",
        "B from keyring:npm, for setup, agent: resolved",
        "C from cmd:vault …, for verify: resolved",
        "D from keyring:other, for setup: the keyring holds no other of ccterm",
        "E from env:PIN, for setup: resolved, but too short to be masked where a program prints it",
    ]
    assert all(one.fix for one in results if one.status != "pass")
    assert "s3cret-value" not in repr(results)


async def exported(env: dict[str, str]) -> CheckResult:
    result = await ExportCheck(env, Logins(MemoryKeyring(), platform="linux")).run()
    assert result.fix or result.status == "pass"
    return result


async def test_the_exported_login_is_looked_at_where_something_needs_it(env: dict[str, str]) -> None:
    assert (await exported(env)).status == "warn"
    assert "not needed: runs use CLAUDE_CODE_OAUTH_TOKEN" in (await exported({**env, "CLAUDE_CODE_OAUTH_TOKEN": TOKEN})).text
    path = Path(env["HOME"], ".claude-container", ".credentials.json")
    path.parent.mkdir(mode=0o700)
    path.touch(0o600)
    path.write_bytes(login(expiresAt=soon(-1), refreshToken=None))
    assert ((found := await exported(env)).status, "expired" in found.text) == ("warn", True)
    path.write_bytes(login(expiresAt=soon(5.02), refreshToken=None))
    assert ((found := await exported(env)).status, "valid for 5 h" in found.text) == ("pass", True)
