"""Which login a run uses: one answer for checks, submission and the run, looked up anew for each, and once for runs that start together."""

import threading
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from ccterm.credentials.claude import Logins
from ccterm.credentials.keyring_client import KeyringItem, MemoryKeyring
from ccterm.credentials.login import Login
from ccterm.errors import PreflightError, SettingsError
from ccterm.models import ExecutionMode
from tests.credentials.conftest import MakeProgram
from tests.credentials.login_documents import ACCESS, REFRESH, SCOPES, login, soon

TOKEN = "sk-ant-oat01-CCCCCCCCCCCCCCCCCCCC"
STORED = "sk-ant-oat01-" + "D" * 95
LOCAL, DAGGER = ExecutionMode.LOCAL, ExecutionMode.DAGGER


def logins(keyring: MemoryKeyring | None = None, **more: object) -> Logins:
    return Logins(keyring or MemoryKeyring(), platform=str(more.pop("platform", "linux")), api_key=bool(more.pop("api_key", False)))


def value(found: Login) -> str | None:
    return found.value.get_secret_value() if found.value else None


@pytest.fixture
def own(env: dict[str, str]) -> Path:
    """Return the file of the user's own login."""
    path = Path(env["HOME"], ".claude", ".credentials.json")
    path.parent.mkdir()
    path.write_bytes(login())
    return path


@pytest.fixture
def exported(env: dict[str, str]) -> Path:
    """Return the exported login, which ends an hour later than the user's own."""
    path = Path(env["HOME"], ".claude-container", ".credentials.json")
    path.parent.mkdir(mode=0o700)
    path.write_bytes(login(accessToken="exported-token-1234", refreshToken=None, expiresAt=soon(9)))
    return path


@pytest.fixture
def stored() -> MemoryKeyring:
    """Return a keyring that holds a setup-token."""
    keyring = MemoryKeyring()
    logins(keyring).tokens.save(SecretStr(STORED), {})
    return keyring


def test_sources_count_in_their_order(env: dict[str, str], own: Path, exported: Path, stored: MemoryKeyring) -> None:
    env |= {"CLAUDE_CODE_OAUTH_TOKEN": TOKEN, "ANTHROPIC_API_KEY": "sk-ant-api"}
    found = [logins(stored, api_key=True).login_for(DAGGER, env)]
    del env["CLAUDE_CODE_OAUTH_TOKEN"]
    found.append(logins(stored, api_key=True).login_for(DAGGER, env))
    found.append(logins(api_key=True).login_for(DAGGER, env))
    exported.unlink()
    found.append(logins(api_key=True).login_for(DAGGER, env))
    own.unlink()
    found.append(logins(api_key=True).login_for(DAGGER, env))
    assert [(one.kind, value(one)) for one in found] == [
        ("env", TOKEN), ("setup-token", STORED), ("access-token", "exported-token-1234"), ("access-token", ACCESS), ("api-key", "sk-ant-api"),
    ]  # fmt: skip


def test_the_login_that_ends_last_is_taken_and_its_end_is_known(env: dict[str, str], own: Path, exported: Path) -> None:
    ends = soon(12)
    own.write_bytes(login(expiresAt=ends))
    found = logins().login_for(DAGGER, env)
    assert (value(found), found.source, found.scopes) == (ACCESS, str(own), tuple(SCOPES))
    assert found.expires_at == datetime.fromtimestamp(ends / 1000, UTC)


def test_an_expired_or_blanked_login_makes_way_for_the_other(env: dict[str, str], own: Path, exported: Path) -> None:
    for bad in (login(accessToken="", expiresAt=0), login(expiresAt=soon(-1)), b"{"):
        exported.write_bytes(bad)
        assert value(logins().login_for(DAGGER, env)) == ACCESS


def test_a_refresh_token_is_never_handed_out_but_known_to_be_secret(env: dict[str, str], own: Path) -> None:
    found = logins().login_for(DAGGER, env)
    assert value(found) == ACCESS
    assert REFRESH not in (found.model_dump_json() + repr(found))
    assert {secret.get_secret_value() for _, secret in found.named_secrets} == {ACCESS, REFRESH}


@pytest.mark.parametrize("text", [TOKEN, f" {TOKEN}\n", f"{TOKEN[:20]}\n{TOKEN[20:]}", f"{TOKEN[:20]}\r\n  {TOKEN[20:]}"])
def test_a_token_may_be_pasted_over_two_lines(env: dict[str, str], text: str) -> None:
    found = logins().login_for(LOCAL, {**env, "CLAUDE_CODE_OAUTH_TOKEN": text})
    assert (found.kind, value(found)) == ("env", TOKEN)
    assert TOKEN not in repr(found)


@pytest.mark.parametrize("text", ["tökén", "a\x00b", "\x1b[31m", "x" * 9000])
def test_what_cannot_be_a_token_is_refused_without_showing_it(env: dict[str, str], text: str) -> None:
    with pytest.raises(SettingsError, match="CLAUDE_CODE_OAUTH_TOKEN is not a token") as caught:
        logins().login_for(LOCAL, {**env, "CLAUDE_CODE_OAUTH_TOKEN": text})
    assert text not in str(caught.value)


def test_a_local_run_without_a_token_uses_the_users_own_login(env: dict[str, str], own: Path) -> None:
    found = logins().login_for(LOCAL, env)
    assert (found.kind, found.value, found.source) == ("own", None, str(own))
    assert {secret.get_secret_value() for _, secret in found.named_secrets} == {ACCESS, REFRESH}
    own.unlink()
    assert logins().login_for(LOCAL, env).kind == "own"


def test_a_local_run_uses_a_setup_token_where_there_is_one(env: dict[str, str], own: Path, stored: MemoryKeyring) -> None:
    assert value(logins(stored).login_for(LOCAL, env)) == STORED


def test_an_api_key_is_used_only_when_chosen_and_only_without_a_login(env: dict[str, str]) -> None:
    env |= {"ANTHROPIC_API_KEY": "sk-ant-api", "ANTHROPIC_AUTH_TOKEN": "x"}
    with pytest.raises(PreflightError, match="no Claude login for containers"):
        logins().login_for(DAGGER, env)
    assert logins().login_for(LOCAL, env).kind == "own"
    assert [value(logins(api_key=True).login_for(mode, env)) for mode in ExecutionMode] == ["sk-ant-api", "sk-ant-api"]


@pytest.mark.parametrize(
    ("document", "words", "fix"),
    [
        (login(expiresAt=soon(-1)), "expired", "run claude once"),
        (login(accessToken="", expiresAt=0), "was logged out by a failed refresh", "/login"),
        (login(scopes=["user:profile"]), "lacks the scope user:inference", "/login"),
        (b"{", "is malformed", "/login"),
    ],
    ids=["expired", "blanked", "scope", "malformed"],
)
def test_a_container_without_a_usable_login_is_refused_with_the_fix(
    env: dict[str, str], own: Path, document: bytes, words: str, fix: str
) -> None:
    own.write_bytes(document)
    with pytest.raises(PreflightError, match=words) as caught:
        logins().login_for(DAGGER, env)
    assert fix in caught.value.fix
    assert "ccterm auth setup stores a token that lasts a year" in caught.value.fix


def test_a_setup_token_that_has_ended_makes_way_and_is_named(env: dict[str, str], own: Path, stored: MemoryKeyring) -> None:
    later = Logins(stored, platform="linux", today=lambda: datetime.now(UTC) + timedelta(days=366))
    with pytest.raises(
        PreflightError, match=r"the setup-token in ccterm's item in the keyring ended \d{4}-.* and the Claude login in .* expired"
    ):
        later.login_for(DAGGER, env)


def test_a_keyring_that_cannot_be_used_makes_way_and_is_named_when_there_is_nothing_else(env: dict[str, str], own: Path) -> None:
    locked = MemoryKeyring(PreflightError("the keyring is locked", "unlock it"))
    assert value(logins(locked).login_for(DAGGER, env)) == ACCESS
    own.unlink()
    with pytest.raises(PreflightError, match="the keyring is locked; unlock it"):
        logins(locked).login_for(DAGGER, env)


def test_a_login_that_is_renewed_is_seen_by_the_next_run(env: dict[str, str], own: Path) -> None:
    now = [100.0]
    answers = Logins(MemoryKeyring(), platform="linux", clock=lambda: now[0])
    assert value(answers.login_for(DAGGER, env)) == ACCESS
    own.write_bytes(login(accessToken="renewed-token-1234"))
    assert value(answers.login_for(DAGGER, env)) == ACCESS
    assert value(answers.login_for(DAGGER, env, anew=True)) == "renewed-token-1234"
    own.write_bytes(login(accessToken="third-token-1234"))
    now[0] += 2
    assert value(answers.login_for(DAGGER, env)) == "third-token-1234"


class CountingKeyring(MemoryKeyring):
    """Answers only when all have asked for a login."""

    def __init__(self, gate: threading.Event) -> None:
        super().__init__()
        self._gate = gate

    def get(self, item: KeyringItem, env: Mapping[str, str]) -> SecretStr | None:
        assert self._gate.wait(90)
        return super().get(item, env)


def test_fifty_runs_that_start_together_share_one_look(env: dict[str, str], programs: MakeProgram, tmp_path: Path) -> None:
    note, gate = tmp_path / "asked", threading.Event()
    programs("security", f"echo >> {note}; printf %s '{login().decode()}'")
    answers, found = Logins(CountingKeyring(gate), platform="darwin"), list[Login]()
    threads = [threading.Thread(target=lambda: found.append(answers.login_for(DAGGER, env))) for _ in range(50)]
    for thread in threads:
        thread.start()
    gate.set()
    for thread in threads:
        thread.join()
    assert len(note.read_text()) == 1
    assert [value(one) for one in found] == [ACCESS] * 50


def test_who_has_another_environment_gets_another_answer(env: dict[str, str], own: Path, tmp_path: Path) -> None:
    answers = logins()
    assert value(answers.login_for(DAGGER, env)) == ACCESS
    with pytest.raises(PreflightError):
        answers.login_for(DAGGER, {**env, "HOME": str(tmp_path)})
    assert value(answers.login_for(DAGGER, {**env, "HOME": str(tmp_path), "CLAUDE_CODE_OAUTH_TOKEN": TOKEN})) == TOKEN


def test_the_survey_names_every_source_and_the_chosen_one(env: dict[str, str], own: Path, exported: Path, stored: MemoryKeyring) -> None:
    own.write_bytes(login(expiresAt=soon(-1)))
    sources = logins(stored).survey(DAGGER, {**env, "ANTHROPIC_API_KEY": "sk-ant-api"})
    assert [(one.name, one.level, one.chosen) for one in sources] == [
        ("CLAUDE_CODE_OAUTH_TOKEN", "missing", False),
        ("ccterm's item in the keyring", "usable", True),
        (str(exported), "usable", False),
        (str(own), "renewable", False),
        ("ANTHROPIC_API_KEY", "unusable", False),
    ]
    assert ACCESS not in "".join(one.model_dump_json() for one in sources)


@pytest.mark.parametrize(("code", "words"), [(36, "locked"), (128, "denied"), (44, "no item")])
def test_on_a_mac_the_keychain_is_one_of_the_sources(env: dict[str, str], programs: MakeProgram, code: int, words: str) -> None:
    programs("security", f"exit {code}")
    sources = logins(platform="darwin").survey(DAGGER, env)
    assert words in next(one.state for one in sources if one.name == "the macOS keychain")
