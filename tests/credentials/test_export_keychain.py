"""The login that is exported from the keychain of macOS: read in both its forms, and a refusal of each kind in its own words."""

from pathlib import Path

import pytest

from tests.credentials.conftest import MakeProgram
from tests.credentials.export_doors import by_ccterm, by_script
from tests.credentials.login_documents import ACCESS, login, soon


def security(programs: MakeProgram, body: str) -> None:
    """Stand in for macOS and its `security`."""
    programs("uname", "echo Darwin")
    programs("security", body)


KEYCHAIN = [
    ("exit 36", "keychain is locked"),
    ("exit 51", "refused the password"),
    ("exit 128", "was denied"),
    ("exit 44", "no Claude login to export"),
]


@pytest.mark.parametrize(("body", "words"), KEYCHAIN, ids=[body for body, _ in KEYCHAIN])
def test_each_refusal_of_the_keychain_has_its_own_message(env: dict[str, str], programs: MakeProgram, body: str, words: str) -> None:
    security(programs, body)
    said = by_script(env)
    assert said == by_ccterm(env, "darwin")
    assert words in said


@pytest.mark.slow  # both wait for their five seconds
def test_a_keychain_that_hangs_is_given_up(env: dict[str, str], programs: MakeProgram) -> None:
    security(programs, "exec sleep 300")
    said = by_script(env)
    assert said == by_ccterm(env, "darwin")
    assert "does not answer" in said


@pytest.mark.parametrize("hexadecimal", [False, True], ids=["text", "hexadecimal"])
def test_the_keychain_is_read_in_both_its_forms(copy: Path, env: dict[str, str], programs: MakeProgram, hexadecimal: bool) -> None:
    text = login().hex() if hexadecimal else login().decode()
    security(programs, f'[ "$*" = "find-generic-password -s Claude Code-credentials -w" ] && printf %s \'{text}\'')
    said, written = by_ccterm(env, "darwin"), copy.read_bytes()
    copy.unlink()
    assert (by_script(env), copy.read_bytes()) == (said, written)


def test_the_item_of_a_moved_directory_has_another_name(env: dict[str, str], programs: MakeProgram, tmp_path: Path) -> None:
    name = "Claude Code-credentials-71909130"  # sha256 of /moved
    programs("shasum", "exec sha256sum")
    security(programs, f'[ "$*" = "find-generic-password -s {name} -w" ] && printf %s \'{login().decode()}\'')
    env = {**env, "CLAUDE_CONFIG_DIR": "/moved"}
    assert by_script(env).startswith("a new token")
    assert by_ccterm(env, "darwin").startswith("the same token")


def test_the_freshest_of_keychain_and_file_is_taken(own: Path, copy: Path, env: dict[str, str], programs: MakeProgram) -> None:
    for hours, expected in ((9, "keychain-token-1234"), (7, ACCESS)):
        security(programs, f"printf %s '{login(accessToken='keychain-token-1234', expiresAt=soon(hours)).decode()}'")
        for door in (by_script, lambda env: by_ccterm(env, "darwin")):
            door(env)
            assert expected in copy.read_text()


def test_a_closed_keychain_is_no_obstacle_when_the_file_will_do(own: Path, env: dict[str, str], programs: MakeProgram) -> None:
    security(programs, "exit 36")
    assert by_script(env).startswith("a new token")
    assert by_ccterm(env, "darwin").startswith("the same token")
