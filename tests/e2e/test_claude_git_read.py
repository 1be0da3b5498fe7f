"""Whole runs of the real CLI whose agent reads private repositories by git: the token stays with the gateway, and nothing is pushed."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ccterm.models import State
from tests.e2e.arranged import configure, forms, found_below
from tests.e2e.claude import Claude
from tests.e2e.test_claude_gateway import LOOK_AROUND
from tests.gateway.conftest import GIT_HOST, git_ca, secure_git_server  # noqa: F401 - a fixture
from tests.servers.connect_proxy import ConnectProxy
from tests.servers.git_http import GitServer, Kind
from tests.servers.model_script import bash, say, use
from tests.support.git import add_submodule, branches, files_at, git, make_remote

pytestmark = pytest.mark.claude
TOKEN = "glpat-Zx81kQ0vLr5tYw2m"
SOURCE = "CORP_LOGIN"
"""A name that does not look like a secret's."""
URL = f"https://{GIT_HOST}/private"


@pytest.fixture
def private(tmp_path: Path) -> Path:
    """A private repository, beside which there is another one."""
    make_remote(tmp_path / "corp" / "other.git", {"o.txt": "other\n"})
    return make_remote(tmp_path / "corp" / "private.git", {"p.txt": "private\n"})


@pytest.fixture
def server(git_ca: Path, private: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[GitServer]:  # noqa: F811
    """Their host, reached through the user's own proxy, with a certificate that [host] names."""
    monkeypatch.setenv(SOURCE, TOKEN)
    with secure_git_server(git_ca, private.parent, TOKEN) as opened, ConnectProxy(opened.port) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.origin)
        yield opened


@pytest.fixture
def reading(claude: Claude, server: GitServer, git_ca: Path, isolation: Path) -> Claude:  # noqa: F811
    """Runs on a repository with a private submodule, which their agents may read."""
    add_submodule(claude.remote, "lib", git(server.root / "private.git", "rev-parse", "main"), f"{URL}.git")
    configure(
        isolation,
        f'[env]\nCLAUDE_CODE_MAX_RETRIES = "3"\n[host."{GIT_HOST}"]\ntoken = "env:{SOURCE}"\nca = "{git_ca}"\n'
        f'[repo."{claude.remote}"]\ngit_read = ["{GIT_HOST}/private.git"]\n',
    )
    return claude


async def test_an_agent_clones_fetches_and_updates_submodules_without_having_the_token(
    reading: Claude, server: GitServer, private: Path
) -> None:
    copy = f"copy=$(mktemp -d) && git clone -q {URL} $copy/c && cp $copy/c/p.txt cloned.txt && echo $copy > copy"
    run = await reading.run(
        use(bash(copy)),
        use(bash("git submodule update -q --init lib && cp lib/p.txt submodule.txt")),
        use(bash("cd $(cat copy)/c && git fetch -q origin && git -c pull.ff=only pull -q && git rev-parse HEAD > $OLDPWD/pulled.txt")),
        use(bash(LOOK_AROUND)),
        say("Done."),
    )
    assert (run.state, run.summary) == (State.SUCCEEDED, "Done.")
    seen = files_at(reading.remote, "agent/x")
    assert (seen["cloned.txt"], seen["submodule.txt"]) == (b"private\n", b"private\n")
    assert seen["pulled.txt"].decode().strip() == git(private, "rev-parse", "main")
    assert {request.login for request in server.requests} == {("x-access-token", TOKEN)}
    assert b"insteadOf" in seen["seen.txt"]
    assert not [form for form in forms(TOKEN) if form in b"".join(seen.values())]
    assert found_below(reading.state, forms(TOKEN)) == []
    assert (run.manifest.login, f"the token of {GIT_HOST}" in run.manifest.masked) == ("gateway", True)
    assert f"the agent may read {GIT_HOST}/private by git, with your access (git_read in the settings)" in run.task.notes


@pytest.mark.slow
async def test_it_neither_pushes_there_nor_reads_what_is_not_named(reading: Claude, server: GitServer, private: Path) -> None:
    before = branches(private)
    gateway = "$(git config --name-only --get-regexp insteadof | sed -n '1s/^url.//; 1s/private.insteadof$//p')"
    run = await reading.run(
        use(bash(f"git push {URL}.git HEAD:refs/heads/new > pushed.txt 2>&1; true")),
        use(bash(f"git clone https://{GIT_HOST}/other.git o > /dev/null 2>&1; true")),
        use(bash(f'curl -s -u "run:$(git config ccterm.pass)" "{gateway}other/info/refs?service=git-upload-pack" > asked.txt; true')),
        say("Done."),
    )
    seen = files_at(reading.remote, "agent/x")
    assert run.state is State.SUCCEEDED, run.summary
    assert b"403" in seen["pushed.txt"]
    assert b"not named" in seen["asked.txt"]
    assert branches(private) == before
    assert not any(request.login for request in server.requests if "private" not in request.path)
    assert Kind.PUSH not in {request.kind for request in server.requests}


async def test_without_a_token_nothing_starts(reading: Claude, server: GitServer, isolation: Path) -> None:
    configure(isolation, f'[repo."{reading.remote}"]\ngit_read = ["{GIT_HOST}/private"]\n')
    run = await reading.run(say("never"))
    assert run.state is State.FAILED
    assert f"there is no token for {GIT_HOST}, with which agents are to read {GIT_HOST}/private (git_read)" in run.summary
    assert (server.requests, reading.api.calls) == ([], [])
