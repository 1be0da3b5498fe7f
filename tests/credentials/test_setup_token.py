"""The token of `claude setup-token`: found in whatever a terminal made of it, and kept in the keyring or a private file."""

import os
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from ccterm.credentials.keyring_client import MemoryKeyring
from ccterm.credentials.setup_token import FILE, ITEM, SetupTokenStore, find_token
from ccterm.errors import NoKeyring, PreflightError, UsageError

TOKEN = "sk-ant-oat01-" + "Ab3_-" * 19
NEW = SecretStr(TOKEN)

PRINTED = f"""
\x1b[32m✓\x1b[39m Long-lived authentication token created

Your OAuth token (valid for 1 year):

\x1b[33m{TOKEN[:80]}\x1b[39m
\x1b[33m{TOKEN[80:]}\x1b[39m

Store this token securely. You won't be able to see it again.

Use this token by setting: export CLAUDE_CODE_OAUTH_TOKEN=<token>
"""
"""What the CLI prints on a terminal of 80 columns."""


@pytest.mark.parametrize(
    "text",
    [
        TOKEN,
        f"  {TOKEN}\r\n",
        f"{TOKEN[:50]}\n{TOKEN[50:]}",
        f"{TOKEN[:40]}\r\n{TOKEN[40:80]}\r\n   {TOKEN[80:]}\r\n",
        f"\x1b[200~{TOKEN[:80]}\r{TOKEN[80:]}\x1b[201~",
        PRINTED,
        PRINTED.replace("\n", "\r\n"),
        PRINTED.replace("\n\n", "\n"),
        f"export CLAUDE_CODE_OAUTH_TOKEN={TOKEN}",
        f'CLAUDE_CODE_OAUTH_TOKEN="{TOKEN}" claude -p hello',
        f"\x1b]0;title\x07{TOKEN}\x1b[?25h",
    ],
    ids=range(11),
)
def test_the_token_is_found_in_what_was_printed_or_pasted(text: str) -> None:
    assert find_token(text).get_secret_value() == TOKEN


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no token"),
        ("\n\n", "no token"),
        ("hello", "no token"),
        ("ac_code123#state456", "no token"),
        ("sk-ant-api03-" + "x" * 90, "no token"),
        ("sk-ant-ort01-" + "x" * 90, "no token"),
        ("sk-ant-oat01-", "cut off"),
        (TOKEN[:30], "cut off"),
    ],
)
def test_what_is_no_token_is_refused_without_showing_it(text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        find_token(text)
    assert "xxx" not in str(caught.value)
    assert "state456" not in str(caught.value)


@given(st.integers(20, 200), st.sampled_from(["\n", "\r\n", "\r", "\n  "]))
def test_the_token_is_found_whatever_the_width_of_the_terminal(width: int, end: str) -> None:
    lines = [TOKEN[begin : begin + width] for begin in range(0, len(TOKEN), width)]
    assert find_token(f"Your token:{end}{end}{end.join(lines)}{end}{end}Store this token securely.").get_secret_value() == TOKEN


def test_it_is_kept_in_the_keyring_and_ends_after_a_year(env: dict[str, str]) -> None:
    store = SetupTokenStore(MemoryKeyring())
    assert store.load(env) is None
    assert store.save(NEW, env) == "the keyring"
    found = store.load(env)
    assert found is not None
    assert (found.token, found.where) == (NEW, "ccterm's item in the keyring")
    assert timedelta(days=364) < found.expires_at - datetime.now(UTC) <= timedelta(days=365)
    assert TOKEN not in repr(found)
    assert not Path(env["HOME"], FILE).exists()


def test_without_a_keyring_it_is_kept_in_a_private_file_and_that_is_said(env: dict[str, str]) -> None:
    store, path = SetupTokenStore(MemoryKeyring(NoKeyring("there is no keyring"))), Path(env["HOME"], FILE)
    assert store.save(NEW, env) == str(path)
    assert (stat.S_IMODE(path.stat().st_mode), stat.S_IMODE(path.parent.stat().st_mode)) == (0o600, 0o700)
    found = store.load(env)
    assert found is not None
    assert (found.token, found.where) == (NEW, str(path))


def test_a_keyring_that_refuses_is_an_error_unless_a_file_is_asked_for(env: dict[str, str]) -> None:
    store = SetupTokenStore(MemoryKeyring(PreflightError("the keyring is locked", "unlock it")))
    with pytest.raises(PreflightError, match="locked"):
        store.save(NEW, env)
    with pytest.raises(PreflightError, match="locked"):
        store.load(env)
    store.save(NEW, env, file=True)
    assert store.load(env) is not None


def test_a_token_in_the_keyring_replaces_the_file(env: dict[str, str]) -> None:
    store = SetupTokenStore(MemoryKeyring())
    store.save(NEW, env, file=True)
    store.save(NEW, env)
    assert not Path(env["HOME"], FILE).exists()


def test_logging_out_removes_it_wherever_it_is(env: dict[str, str]) -> None:
    keyring = MemoryKeyring()
    store, path = SetupTokenStore(keyring), Path(env["HOME"], FILE)
    store.save(NEW, env)
    store.save(NEW, env, file=True)
    assert store.remove(env) == [str(path), "the keyring"]
    assert (keyring.values, path.exists(), store.remove(env)) == ({}, False, [])


@pytest.mark.parametrize("mode", [0o640, 0o604])
def test_a_file_that_others_can_read_is_refused(env: dict[str, str], mode: int) -> None:
    store = SetupTokenStore(MemoryKeyring())
    store.save(NEW, env, file=True)
    Path(env["HOME"], FILE).chmod(mode)
    with pytest.raises(PreflightError, match="can be read by others"):
        store.load(env)


@pytest.mark.parametrize("plant", [os.mkfifo, os.mkdir, lambda path: path.symlink_to("/dev/zero")], ids=["pipe", "directory", "link"])
def test_a_planted_file_is_refused(env: dict[str, str], plant: object) -> None:
    path = Path(env["HOME"], FILE)
    path.parent.mkdir(mode=0o700)
    assert callable(plant)
    plant(path)
    with pytest.raises(PreflightError):
        SetupTokenStore(MemoryKeyring()).load(env)


@pytest.mark.parametrize(
    "value", ["", "{", TOKEN, '{"token": "x", "stored": "2026-01-01T00:00:00Z"}', '{"token": 5}', f'{{"token": "{TOKEN}"}}']
)
def test_a_damaged_item_is_said_without_showing_it(env: dict[str, str], value: str) -> None:
    keyring = MemoryKeyring()
    keyring.values[ITEM] = SecretStr(value or " ")
    with pytest.raises(PreflightError, match="is malformed; ccterm auth setup") as caught:
        SetupTokenStore(keyring).load(env)
    assert TOKEN not in str(caught.value)
