"""Everything secret that a run can come across is known to its masker: passwords in proxies and every field of login files among them."""

import base64
import json
import os
from pathlib import Path

import pytest

from ccterm import AgentService
from ccterm.credentials.claude import Logins
from ccterm.errors import PreflightError
from ccterm.models import ExecutionMode, Mode, State
from ccterm.output.own_text import clean_text, remember
from ccterm.pipeline.run_credentials import RunCredentials
from ccterm.record import Recorder
from ccterm.render import outcome, run_facts
from ccterm.settings import Settings
from ccterm.state_dir import StateDir
from ccterm.transcript import Transcript
from tests.credentials.login_documents import ACCESS, REFRESH, login
from tests.pipeline.parts import recorder_of, task
from tests.support.core import draft, script
from tests.support.git import git, write_files

PASSWORD = "pr0xy/Pässword"
PROXY = "http://me:pr0xy%2FP%C3%A4ssword@proxy.example:3128"
MCP = "mcp-T0ken.of.another.server"


def resolved(remote: Path, env: dict[str, str], **settings: object) -> RunCredentials:
    return RunCredentials.resolve(
        task(remote, "x", agent="claude", execution_mode=ExecutionMode.LOCAL),
        Settings.model_validate(settings),
        env,
        Logins(platform="linux"),
    )


@pytest.fixture
def env(isolation: Path) -> dict[str, str]:
    return {"HOME": str(isolation), "PATH": os.environ["PATH"], "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring"}


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "http_proxy", "ALL_PROXY"])
def test_the_password_of_a_proxy_is_masked_in_all_its_forms(remote: Path, env: dict[str, str], name: str) -> None:
    masker = resolved(remote, {**env, name: PROXY}).masker()
    header = base64.b64encode(f"me:{PASSWORD}".encode()).decode()
    shown = masker.mask(f"{PROXY} | {PASSWORD} | Proxy-Authorization: Basic {header} | me at proxy.example")
    assert not [form for form in (PASSWORD, "pr0xy%2FP%C3%A4ssword", header[4:-4]) if form in shown]
    assert "me at proxy.example" in shown
    assert clean_text(PASSWORD) == f"[masked:the password in {name.upper()}]"


def test_the_token_for_a_repository_that_the_agent_reads_is_masked(remote: Path, env: dict[str, str]) -> None:
    host = {"git.corp": {"token": "env:CORP"}}
    asked = task(remote, "x", agent="scripted", git_read=("git.corp/o/lib",))
    given = RunCredentials.resolve(asked, Settings.model_validate({"host": host}), {**env, "CORP": "glpat-Zx81kQ0vLr5tYw2m"}, Logins())
    header = given.reading["git.corp/o/lib"].authorization.get_secret_value()
    assert given.masker().mask(f"glpat-Zx81kQ0vLr5tYw2m {header}") == (
        "[masked:the token of git.corp] Basic [masked:the token of git.corp (as a header)]"
    )
    with pytest.raises(PreflightError, match=r'there is no token for git.corp, .*; name one in \[host."git.corp"\] of the settings'):
        RunCredentials.resolve(asked, Settings(), env, Logins())


def test_a_token_in_place_of_a_proxys_user_is_masked_and_a_users_name_is_not(remote: Path, env: dict[str, str]) -> None:
    masker = resolved(remote, {**env, "HTTPS_PROXY": "tok3n-of-sixteen@proxy:1", "HTTP_PROXY": "http://somebody@proxy:1"}).masker()
    assert masker.mask("tok3n-of-sixteen somebody") == "[masked:the password in HTTPS_PROXY] somebody"


def test_every_field_of_a_login_file_that_may_be_secret_is_masked(remote: Path, env: dict[str, str], isolation: Path) -> None:
    document = json.loads(login(subscriptionType="default_max_20x")) | {
        "mcpOAuth": {
            "x|1": {"serverUrl": "https://mcp.example", "serverName": "a-mcp-server", "accessToken": MCP, "scope": "read:everything"}
        }
    }
    (isolation / ".claude").mkdir()
    (isolation / ".claude" / ".credentials.json").write_text(json.dumps(document, indent=1))
    masker = resolved(remote, env).masker()
    printed = (
        json.dumps(document),
        json.dumps(document, indent=1)[:60],
        base64.b64encode(json.dumps(document).encode()).decode(),
        MCP,
        REFRESH,
    )
    for text in map(masker.mask, printed):
        assert not [
            secret for secret in (ACCESS, REFRESH, MCP) if secret[:12] in text or base64.b64encode(secret.encode())[4:20].decode() in text
        ]
    assert (
        masker.mask("default_max_20x read:everything a-mcp-server user:inference")
        == "default_max_20x read:everything a-mcp-server user:inference"
    )


def test_two_included_files_with_one_name_have_two_secrets(tmp_path: Path, remote: Path, env: dict[str, str]) -> None:
    git(tmp_path, "clone", "--quiet", str(remote), "copy")
    for place, value in (("a", "first-v4lue-of-it"), ("b", "second-v4lue-of-it")):
        write_files(tmp_path / "copy" / place, {".env": f"API_TOKEN={value}\n"})
    write_files(tmp_path / "copy", {".gitignore": ".env\n"})
    given = task(tmp_path / "copy", "x", mode=Mode.TESTING, branch=None, include=("*/.env",))
    masker = RunCredentials.resolve(given, Settings(), env, Logins(platform="linux")).masker()
    assert masker.mask("first-v4lue-of-it second-v4lue-of-it") == "[masked:API_TOKEN] [masked:API_TOKEN]"


async def test_what_ccterm_itself_records_is_cleaned_in_every_part(state: StateDir, remote: Path) -> None:
    run = recorder_of(state, task(remote, "x")).run
    recorder = Recorder(run, Transcript(state.run(run.id), run.id), None, clean_text)
    remember([("TOKEN", MCP)])
    recorder.notice(f"git said \x1b[31m{MCP}", "warn")
    recorder.notice("plain")
    ended = await recorder.finish(State.FAILED, summary=f"refused {MCP}")
    assert ended.summary == "refused [masked:TOKEN]"
    written = b"".join(path.read_bytes() for path in state.run(run.id).iterdir())
    assert MCP.encode() not in written
    assert b"git said [masked:TOKEN]" in written


async def test_a_run_that_printed_a_secret_says_which_and_to_rotate_it(
    state_dir: Path, remote: Path, isolation: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", PROXY)
    async with AgentService.open(state_dir) as service:
        [queued] = await service.submit([draft(remote, task=script({"bash": "echo $HTTPS_PROXY"}, {"say": "Printed."}))])
        run = await service.wait(queued.id)
    assert (run.state, run.secret_seen, run.secrets_seen) == (State.SUCCEEDED, True, ("the password in HTTPS_PROXY",)), run.summary
    assert run.action.startswith("rotate the password in HTTPS_PROXY: ")
    assert outcome(run) == "nothing to push, secret printed"
    assert any(line.startswith("secrets    rotate the password in HTTPS_PROXY") for line in run_facts(run))
    assert PASSWORD not in run.model_dump_json()
