"""Every git host gets its own token and no other, as a header; an ssh remote with a token becomes https."""

import base64
from pathlib import Path

import pytest

from ccterm.credentials.git import GitCredential, authority, git_access, git_credential
from ccterm.errors import PreflightError, SettingsError
from ccterm.remotes import parse_remote
from tests.credentials.conftest import MakeProgram, settings

GITHUB = "https://github.com/o/r"
GH = 'case "$*" in "auth token --hostname github.com") echo gh-login;; "auth token --hostname ghe.corp") echo ghe-login;; *) exit 1;; esac'


def credential(url: str, env: dict[str, str]) -> GitCredential | None:
    return git_credential(parse_remote(url), settings(), env)


def token(url: str, env: dict[str, str], host: dict[str, dict[str, str]] | None = None) -> str | None:
    found = git_credential(parse_remote(url), settings(host=host or {}), env)
    return found.token.get_secret_value() if found else None


@pytest.fixture(autouse=True)
def no_gh(programs: MakeProgram) -> None:
    """Stand in for a GitHub CLI that this machine may have."""
    programs("gh", "exit 1")


def test_without_a_token_there_is_no_credential(env: dict[str, str]) -> None:
    assert token(GITHUB, env) is None


def test_the_header_is_basic_with_user_and_token(env: dict[str, str]) -> None:
    found = credential(GITHUB, {**env, "GH_TOKEN": "t0ken"})
    assert found is not None
    name, _, value = found.header.get_secret_value().partition(": Basic ")
    assert (name, base64.b64decode(value)) == ("Authorization", b"x-access-token:t0ken")


def test_token_and_header_form_are_both_to_be_masked(env: dict[str, str]) -> None:
    found = credential(GITHUB, {**env, "GH_TOKEN": "t0ken"})
    assert found is not None
    values = [value.get_secret_value() for value in found.secrets.values()]
    assert values == ["t0ken", base64.b64encode(b"x-access-token:t0ken").decode()]


def test_a_credential_does_not_show_its_token(env: dict[str, str]) -> None:
    found = credential(GITHUB, {**env, "GH_TOKEN": "t0ken"})
    assert found is not None
    assert "t0ken" not in f"{found}{found!r}{found.secrets}{found.header}"


def test_sources_for_github_are_asked_in_order(env: dict[str, str], programs: MakeProgram) -> None:
    programs("gh", GH)
    env = {**env, "OWN": "own", "GH_TOKEN": "gh", "GITHUB_TOKEN": "github"}
    assert token(GITHUB, env, {"github.com": {"token": "env:OWN"}}) == "own"
    assert token(GITHUB, env) == "gh"
    del env["GH_TOKEN"]
    assert token(GITHUB, env) == "github"
    del env["GITHUB_TOKEN"]
    assert token(GITHUB, env) == "gh-login"


@pytest.mark.parametrize(
    "url",
    [
        "https://gitlab.com/o/r",
        "https://github.com.evil.example/o/r",
        "https://evil.example/github.com/o/r",
        "https://github.com:8443/o/r",
        "https://notgithub.com/o/r",
        "https://api.github.com/o/r",
        "http://localhost/o/r",
        "http://127.0.0.1:8080/o/r",
        "git@gitlab.com:o/r",
        "git@evil.example:github.com/o/r",
        "/srv/github.com/o/r",
    ],
)
def test_githubs_token_goes_only_to_github(env: dict[str, str], programs: MakeProgram, url: str) -> None:
    programs("gh", "echo gh-login")
    env = {**env, "GH_TOKEN": "gh", "GITHUB_TOKEN": "github", "OWN": "own"}
    assert token(url, env, {"github.com": {"token": "env:OWN"}}) is None


def test_a_host_with_another_port_is_another_host(env: dict[str, str]) -> None:
    env = {**env, "A": "a", "B": "b"}
    host = {"gitlab.corp": {"token": "env:A"}, "gitlab.corp:8443": {"token": "env:B"}}
    assert token("https://gitlab.corp/o/r", env, host) == "a"
    assert token("https://gitlab.corp:443/o/r", env, host) == "a"
    assert token("https://gitlab.corp:8443/o/r", env, host) == "b"
    assert token("https://gitlab.corp:9443/o/r", env, host) is None


def test_a_loopback_server_may_have_a_token(env: dict[str, str]) -> None:
    assert token("http://127.0.0.1:8080/r", {**env, "A": "a"}, {"127.0.0.1:8080": {"token": "env:A"}}) == "a"


@pytest.mark.parametrize(
    ("url", "table", "user"),
    [
        ("https://gitlab.com/o/r", {}, "oauth2"),
        ("https://gitlab.corp/o/r", {"kind": "gitlab"}, "oauth2"),
        ("https://git.corp/o/r", {}, "x-access-token"),
        ("https://bitbucket.org/o/r", {}, "x-token-auth"),
        ("https://git.corp/scm/o/r", {"kind": "bitbucket"}, "x-token-auth"),
        ("https://dev.azure.com/o/p/_git/r", {}, "pat"),
        ("https://o.visualstudio.com/p/_git/r", {}, "pat"),
        ("https://tfs.corp:8443/c/p/_git/r", {"kind": "azure"}, "pat"),
        ("https://git.corp/o/r", {"kind": "gitea"}, "x-access-token"),
        ("https://git.corp/o/r", {"kind": "gitlab", "user": "me"}, "me"),
    ],
)
def test_the_user_name_is_what_the_host_wants(env: dict[str, str], url: str, table: dict[str, str], user: str) -> None:
    remote = parse_remote(url)
    found = git_credential(remote, settings(host={remote.host_key: {"token": "env:A", **table}}), {**env, "A": "a"})
    assert found is not None
    assert found.user == user


@pytest.mark.parametrize(
    ("url", "host", "https"),
    [
        ("git@github.com:o/r.git", "github.com", "https://github.com/o/r.git"),
        ("ssh://git@ssh.github.com:443/o/r.git", "github.com", "https://github.com/o/r.git"),
        ("ssh://git@gitlab.corp:2222/g/r", "gitlab.corp", "https://gitlab.corp/g/r"),
        ("git@ssh.dev.azure.com:v3/o/My%20P/r", "dev.azure.com", "https://dev.azure.com/o/My%20P/_git/r"),
        ("git@gitlab.corp:g/r", "gitlab.corp:8443", "https://gitlab.corp:8443/g/r"),
        ("ssh://git@gitlab.corp:2222/g/r", "gitlab.corp:8443", "https://gitlab.corp:8443/g/r"),
    ],
)
def test_an_ssh_remote_with_a_token_becomes_https(env: dict[str, str], url: str, host: str, https: str) -> None:
    found = git_credential(parse_remote(url), settings(host={host: {"token": "env:A"}}), {**env, "A": "a"})
    assert found is not None
    assert found.remote.url == https


def test_an_ssh_remote_does_not_guess_between_two_ports(env: dict[str, str]) -> None:
    host = {"gitlab.corp:1": {"token": "env:A"}, "gitlab.corp:2": {"token": "env:A"}}
    assert token("git@gitlab.corp:g/r", {**env, "A": "a"}, host) is None


def test_the_github_cli_is_asked_for_the_host_whatever_the_environment_says(env: dict[str, str], programs: MakeProgram) -> None:
    programs("gh", f'[ -z "$GH_TOKEN$GITHUB_TOKEN$GH_ENTERPRISE_TOKEN$GITHUB_ENTERPRISE_TOKEN$GH_HOST" ] || exit 9\n{GH}')
    given = {**env, "GH_TOKEN": "x", "GH_ENTERPRISE_TOKEN": "y", "GH_HOST": "evil.example"}
    assert token("https://ghe.corp/o/r", given, {"ghe.corp": {"kind": "github"}}) == "ghe-login"


def test_the_github_cli_is_not_asked_for_other_hosts(env: dict[str, str], programs: MakeProgram, tmp_path: Path) -> None:
    programs("gh", f"touch {tmp_path / 'asked'}; echo x")
    assert token("https://git.corp/o/r", env) is None
    assert not (tmp_path / "asked").exists()


def test_without_a_github_cli_there_is_no_token(isolation: Path) -> None:
    assert token(GITHUB, {"PATH": str(isolation), "HOME": str(isolation)}) is None


def test_a_named_source_without_a_token_is_an_error(env: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match="OWN is not set"):
        token(GITHUB, {**env, "GH_TOKEN": "gh"}, {"github.com": {"token": "env:OWN"}})


@pytest.mark.parametrize("value", ["a b", "a\nb", "a\r\nX-Evil: 1", "ü", " \n", "a\x00b", "x" * 9000])
def test_what_cannot_be_a_token_is_refused_without_showing_it(env: dict[str, str], value: str) -> None:
    with pytest.raises(SettingsError) as caught:
        token(GITHUB, {**env, "GH_TOKEN": value})
    assert "what GH_TOKEN gives for github.com is not a token" in str(caught.value)
    assert value not in str(caught.value) or not value.strip()


def test_white_space_around_a_token_is_removed(env: dict[str, str]) -> None:
    assert token(GITHUB, {**env, "GH_TOKEN": " t0ken\n"}) == "t0ken"


def test_the_certificates_of_a_host_are_passed_on(env: dict[str, str], tmp_path: Path) -> None:
    pem = tmp_path / "ca.pem"
    pem.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    access = git_access(parse_remote("https://git.corp/o/r"), settings(host={"git.corp": {"ca": str(pem)}}), env)
    assert access.ca == pem.read_text()
    assert authority(parse_remote(GITHUB), settings(host={"git.corp": {"ca": str(pem)}})) is None


@pytest.mark.parametrize("content", [None, b"not a certificate", b"\xff\xfe", b"-----BEGIN PRIVATE KEY-----\n"])
def test_unreadable_certificates_are_named(env: dict[str, str], tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "ca.pem").write_bytes(content)
    with pytest.raises(SettingsError, match="name a PEM file"):
        authority(parse_remote("https://git.corp/o/r"), settings(host={"git.corp": {"ca": str(tmp_path / "ca.pem")}}))


def test_access_by_token_needs_no_ssh(env: dict[str, str]) -> None:
    access = git_access(parse_remote("git@github.com:o/r"), settings(), {**env, "GH_TOKEN": "t0ken"})
    assert (access.remote.url, access.ssh_agent, access.known_hosts) == ("https://github.com/o/r", None, None)
    assert access.header is not None


def test_access_to_a_path_or_a_public_host_has_no_credential(env: dict[str, str]) -> None:
    for url in ("/srv/r.git", GITHUB):
        access = git_access(parse_remote(url), settings(), env)
        assert (access.header, access.ssh_agent, dict(access.secrets)) == (None, None, {})


def test_an_ssh_remote_without_token_and_agent_says_what_to_do(env: dict[str, str]) -> None:
    with pytest.raises(PreflightError, match=r"no ssh agent .* ssh-add, or give ccterm a token for github.com"):
        git_access(parse_remote("git@github.com:o/r"), settings(), env)


def helper(isolation: Path, text: str) -> None:
    (isolation / ".gitconfig").write_text(f'[credential]\n\thelper = "{text}"\n')


def test_gits_own_credential_helper_is_asked_for_exactly_that_host(env: dict[str, str], isolation: Path) -> None:
    helper(isolation, "store")
    (isolation / ".git-credentials").write_text("https://me:t0ken@git.corp:8443\nhttp://me:near@127.0.0.1:8080\n")
    found = credential("https://git.corp:8443/o/r", env)
    assert found is not None
    assert (found.user, found.token.get_secret_value(), found.source) == ("me", "t0ken", "git's credential helper")
    assert token("http://127.0.0.1:8080/r", env) == "near"
    for url in ("https://git.corp/o/r", "https://evil.example/o/r", "git@git.corp:o/r", "http://127.0.0.1:8081/r", "/srv/r"):
        assert token(url, env) is None


def test_a_credential_helper_gets_the_path_where_the_user_wants_it(env: dict[str, str], isolation: Path) -> None:
    (isolation / ".gitconfig").write_text("[credential]\n\thelper = store\n\tuseHttpPath = true\n")
    (isolation / ".git-credentials").write_text("https://a:1@git.corp/o/one\nhttps://b:2@git.corp/o/My%20Repo\n")
    assert token("https://git.corp/o/one", env) == "1"
    assert token("https://git.corp/o/My%20Repo", env) == "2"


def test_other_sources_go_before_gits_credential_helper(env: dict[str, str], isolation: Path) -> None:
    helper(isolation, "!printf 'username=me\\npassword=helper\\n'")
    assert token(GITHUB, {**env, "GH_TOKEN": "gh"}) == "gh"
    assert token("https://git.corp/o/r", {**env, "OWN": "own"}, {"git.corp": {"token": "env:OWN"}}) == "own"
    assert token("https://git.corp/o/r", env) == "helper"


@pytest.mark.parametrize("body", ["false", "!exit 1", "!echo quit=1 #", "!echo password= #", "!echo password=two words #", "nowhere"])
def test_a_credential_helper_that_has_nothing_is_no_error_and_nobody_is_asked(env: dict[str, str], isolation: Path, body: str) -> None:
    helper(isolation, body)
    assert token("https://git.corp/o/r", {**env, "GIT_ASKPASS": "/bin/echo", "SSH_ASKPASS": "/bin/echo"}) is None


def test_a_credential_helper_is_told_to_ask_nobody(env: dict[str, str], isolation: Path) -> None:
    helper(isolation, "!f() { echo username=me; echo password=$GIT_TERMINAL_PROMPT$GCM_INTERACTIVE; }; f")
    assert token("https://git.corp/o/r", env) == "0never"


def test_where_ssh_would_not_do_gits_credential_helper_is_asked_for_https(env: dict[str, str], isolation: Path) -> None:
    with pytest.raises(PreflightError, match="no ssh agent"):
        git_access(parse_remote("git@git.corp:o/r"), settings(), env)
    helper(isolation, "store")
    (isolation / ".git-credentials").write_text("https://me:t0ken@git.corp\n")
    access = git_access(parse_remote("git@git.corp:o/r"), settings(), env)
    assert (access.remote.url, access.source, access.ssh_agent) == ("https://git.corp/o/r", "git's credential helper", None)
