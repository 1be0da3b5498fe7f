"""The checks say where a host's token is from and what it may do beyond pushing; the host is asked once, and nothing of the token is shown."""

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from ccterm.credentials.git_checks import TokenCheck, branch_rules, token_checks
from ccterm.models import CheckResult
from ccterm.remotes import parse_remote
from tests.credentials.conftest import MakeProgram, settings
from tests.servers.loopback import Handler, Loopback
from tests.servers.tls import make_certificate, speak_tls


class GithubApi(Loopback):
    """Tells the scopes of tokens, as GitHub's API does. scopes: token -> its scopes; None = it has none to tell.

    rules: path -> what is answered there.
    """

    def __init__(self) -> None:
        super().__init__(_ApiHandler)
        self.scopes: dict[str, str | None] = {}
        self.rules: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.redirect = ""


class _ApiHandler(Handler):
    server: GithubApi

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        if self.server.redirect:
            self.answer(302, headers={"Location": f"{self.server.redirect}{self.path}"})
            return
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if token not in self.server.scopes:
            self.answer(401, b"{}")
            return
        scopes = self.server.scopes[token]
        self.answer(200, self.server.rules.get(self.path, b"{}"), {"X-OAuth-Scopes": scopes} if scopes is not None else {})


@pytest.fixture
def api() -> Iterator[GithubApi]:
    with GithubApi() as api:
        yield api


@pytest.fixture(autouse=True)
def no_gh(programs: MakeProgram) -> None:
    """Stand in for a GitHub CLI that this machine may have."""
    programs("gh", "exit 1")


async def answer(env: dict[str, str], host: str, table: dict[str, str] | None = None) -> CheckResult:
    result = await TokenCheck(host, settings(host={host: table} if table else {}), env).run()
    assert result.fix or result.status == "pass"
    return result


@pytest.mark.parametrize(
    ("scopes", "status", "words"),
    [
        ("repo, read:org", "pass", "a token for"),
        (None, "pass", "from env:T"),
        ("repo, workflow", "warn", "it may do more than push: workflow"),
        ("admin:org, repo, delete_repo", "warn", "admin:org, delete_repo"),
    ],
)
async def test_scopes_that_go_beyond_pushing_are_warned_about(
    env: dict[str, str], api: GithubApi, scopes: str | None, status: str, words: str
) -> None:
    token = f"ghp_{secrets.token_hex(18)}"
    api.scopes[token] = scopes
    for _ in range(2):
        result = await answer({**env, "T": token}, f"127.0.0.1:{api.port}", {"kind": "github", "token": "env:T"})
        assert (result.status, result.group) == (status, "git")
        assert words in result.text
        assert token not in result.model_dump_json()
    assert api.asked == ["/api/v3/"]


async def test_a_token_that_the_host_refuses_is_a_failure(env: dict[str, str], api: GithubApi) -> None:
    table = {"kind": "github", "token": "env:T"}
    result = await answer({**env, "T": secrets.token_hex(18)}, f"127.0.0.1:{api.port}", table)
    assert (result.status, "refuses the token from env:T" in result.text) == ("fail", True)


async def test_a_host_that_cannot_be_reached_says_nothing_of_a_token(env: dict[str, str]) -> None:
    result = await answer({**env, "T": secrets.token_hex(18)}, "127.0.0.1:9", {"kind": "github", "token": "env:T"})
    assert (result.status, result.text) == ("pass", "a token for 127.0.0.1:9 from env:T")


async def test_without_a_token_the_fix_says_where_one_comes_from(env: dict[str, str]) -> None:
    result = await answer(env, "github.com")
    assert (result.status, result.fix) == ("warn", "gh auth login, or set GH_TOKEN")
    assert 'token in [host."git.corp:8443"]' in (await answer(env, "git.corp:8443", {"kind": "gitea"})).fix


async def test_a_source_that_yields_nothing_is_a_failure(env: dict[str, str]) -> None:
    assert (await answer(env, "git.corp", {"token": "env:GONE"})).status == "fail"


STATUS = "github.com\\n  ✓ Logged in to github.com account octocat (keyring)\\n  - Token scopes: 'gist', 'repo'{}\\n"


@pytest.mark.parametrize(
    ("code", "more", "status", "words"),
    [
        (0, "", "pass", "a token for github.com as octocat from gh auth token"),
        (0, ", 'workflow'", "warn", "it may do more than push: workflow"),
    ],
)
async def test_the_github_cli_tells_of_its_own_login(
    env: dict[str, str],
    programs: MakeProgram,
    code: int,
    more: str,
    status: str,
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    says = f'printf "{STATUS.format(more)}"; exit {code}'
    programs(
        "gh",
        f'case "$1 $2 $3 $4" in "auth token --hostname github.com") echo gho_x{len(more)};; "auth status --hostname github.com") echo >> asked; {says};; esac',
    )
    result = await answer(env, "github.com")
    assert (result.status, words in result.text) == (status, True), result.text
    assert await answer(env, "github.com") == result  # without another question: a screen repeats its checks
    assert Path("asked").read_text() == "\n"


GH = """case "$1 $2" in
"auth token") echo gho_of_its_own;;
"auth status") [ -z "$GH_ENTERPRISE_TOKEN$GITHUB_ENTERPRISE_TOKEN$GH_TOKEN$GITHUB_TOKEN" ] || exec echo "account leaked"; exit %d;;
esac"""


async def test_a_host_is_not_told_the_token_of_another_one(env: dict[str, str], programs: MakeProgram) -> None:
    programs("gh", GH % 0)
    others = dict.fromkeys(("GH_TOKEN", "GITHUB_TOKEN", "GH_ENTERPRISE_TOKEN", "GITHUB_ENTERPRISE_TOKEN"), "ghp_x")
    result = await answer({**env, **others}, "other.invalid", {"kind": "github"})
    assert (result.status, result.text) == ("pass", "a token for other.invalid from gh auth token")


async def test_a_github_cli_that_fails_without_a_network_says_nothing_of_its_token(env: dict[str, str], programs: MakeProgram) -> None:
    programs("gh", GH % 1)
    result = await answer(env, "other.invalid", {"kind": "github"})
    assert (result.status, result.text) == ("pass", "a token for other.invalid from gh auth token")


async def test_no_proxy_sees_a_token_on_its_way_to_this_machine(
    env: dict[str, str], api: GithubApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = secrets.token_hex(18)
    api.scopes[token] = "repo"
    with GithubApi() as proxy:
        for name in ("http_proxy", "all_proxy"):
            monkeypatch.setenv(name, proxy.origin)
        result = await answer({**env, "T": token}, f"127.0.0.1:{api.port}", {"kind": "github", "token": "env:T"})
    assert (result.status, api.asked, proxy.asked) == ("pass", ["/api/v3/"], [])


async def test_a_token_does_not_follow_a_redirect(env: dict[str, str], api: GithubApi) -> None:
    with GithubApi() as other:
        api.redirect = other.origin
        result = await answer({**env, "T": secrets.token_hex(18)}, f"127.0.0.1:{api.port}", {"kind": "github", "token": "env:T"})
    assert (api.asked, other.asked) == (["/api/v3/"], [])
    assert result.text.startswith("a token for 127.0.0.1")


async def test_certificates_that_cannot_be_read_are_a_failure(env: dict[str, str], tmp_path: Path) -> None:
    ca = tmp_path / "ca.pem"
    ca.write_text("-----BEGIN CERTIFICATE-----\nabc\n-----END CERTIFICATE-----\n")
    result = await answer({**env, "T": "x" * 20}, "git.invalid", {"kind": "github", "token": "env:T", "ca": str(ca)})
    assert (result.status, result.text) == ("fail", "the certificates for git.invalid cannot be read")


RULES = b'[{"type": "required_signatures"}, {"type": "creation"}, {"type": 7}, 3]'


@pytest.mark.parametrize(
    ("answered", "types"), [(RULES, ["required_signatures", "creation"]), (b"{}", []), (b"no json", []), (b'{"message": "x"}', [])]
)
async def test_the_rules_for_a_branch_are_asked_of_github(env: dict[str, str], api: GithubApi, answered: bytes, types: list[str]) -> None:
    token = secrets.token_hex(18)
    api.scopes[token] = None
    api.rules["/api/v3/repos/o/r/rules/branches/agent%2Fx"] = answered
    remote = parse_remote(f"http://127.0.0.1:{api.port}/o/r.git")
    table = {"kind": "github", "token": "env:T"}
    found = await branch_rules(remote, "agent/x", settings(host={remote.host_key: table}), {**env, "T": token})
    assert list(found) == types
    assert await branch_rules(remote, "agent/x", settings(host={remote.host_key: {**table, "kind": "gitea"}}), {**env, "T": token}) == ()
    assert len(api.asked) == 1


def test_each_host_is_asked_about_once(env: dict[str, str]) -> None:
    reading = {"github.com/o/r": {"git_read": ["git.corp/o/lib", "github.com/o/lib", "gitlab.com/o/lib"]}}
    names = [check.name for check in token_checks(settings(host={"github.com": {"user": "x"}, "git.corp": {}}, repo=reading), env)]
    assert names == ["token github.com", "token git.corp", "token gitlab.com"]


async def test_a_private_authority_that_git_trusts_is_trusted(env: dict[str, str], tmp_path: Path) -> None:
    token, certificate = secrets.token_hex(18), make_certificate(tmp_path)
    api = GithubApi()
    api.scopes[token] = None
    api.rules["/api/v3/repos/o/r/rules/branches/x"] = b'[{"type": "creation"}]'
    speak_tls(api, certificate)
    with api:
        remote = parse_remote(f"https://127.0.0.1:{api.port}/o/r.git")
        table = {"kind": "github", "token": "env:T", "ca": str(certificate.authority)}
        assert await branch_rules(remote, "x", settings(host={remote.host_key: table}), {**env, "T": token}) == ["creation"]
        strange = {**table, "ca": str(make_certificate(tmp_path).authority)}
        assert await branch_rules(remote, "x", settings(host={remote.host_key: strange}), {**env, "T": token}) == []
