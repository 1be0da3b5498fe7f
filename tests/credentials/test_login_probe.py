"""One request proves a login; what is said of the answer is in words of ours, without the value and without the API's words."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from ccterm.credentials.login import Login, LoginKind
from ccterm.credentials.login_probe import Proof, prove
from tests.servers.loopback import Handler, Loopback
from tests.servers.messages_api import MessagesServer
from tests.servers.model_script import Cut, Part, Refuse
from tests.servers.tls import make_certificate, speak_tls

TOKEN = "sk-ant-oat01-AAAAAAAAAAAAAAAAAAAA"


def login(kind: LoginKind) -> Login:
    return Login(kind=kind, source="x", value=SecretStr(TOKEN))


async def proof(kind: LoginKind, part: Part) -> Proof:
    with MessagesServer() as server:
        server.script("ok", part)
        found = await prove(login(kind), server.origin)
    assert TOKEN not in repr(found)
    assert "refused by the test" not in repr(found)
    return found


async def test_one_request_of_one_token_proves_a_login() -> None:
    with MessagesServer() as server:
        found = await prove(login("setup-token"), f"{server.origin}/")
    [call] = server.calls
    assert (found.valid, found.sentence) == (True, "the Claude API accepted the login")
    assert (call.headers["authorization"], call.headers["anthropic-beta"]) == (f"Bearer {TOKEN}", "oauth-2025-04-20")
    assert (call.user_texts, "x-api-key" in call.headers) == (("ok",), False)


async def test_no_proxy_sees_a_login_on_its_way_to_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    with MessagesServer() as server, MessagesServer() as proxy:
        monkeypatch.setenv("http_proxy", proxy.origin)
        found = await prove(login("setup-token"), server.origin)
    assert (found.valid, len(server.calls), proxy.calls) == (True, 1, [])


@pytest.mark.parametrize("name", ["SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS"])
async def test_the_authorities_of_the_environment_count(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server, certificate = MessagesServer(), make_certificate(tmp_path)
    speak_tls(server, certificate)
    with server:
        address = server.origin.replace("http:", "https:")
        assert (await prove(login("setup-token"), address)).sentence == "the Claude API cannot be reached (ConnectError)"
        monkeypatch.setenv(name, str(certificate.authority))
        assert (await prove(login("setup-token"), address)).valid


class Redirecting(Handler):
    """Sends everybody to the address in `Redirects.target`."""

    server: "Redirects"

    def do_POST(self) -> None:
        b"".join(self.body())
        self.answer(307, headers={"Location": f"{self.server.target}{self.path}"})


class Redirects(Loopback):
    """An API that sends its callers elsewhere."""

    def __init__(self, target: str) -> None:
        super().__init__(Redirecting)
        self.target = target


async def test_a_login_does_not_follow_a_redirect() -> None:
    with MessagesServer() as other, Redirects(other.origin) as server:
        found = await prove(login("setup-token"), server.origin)
    assert (found.valid, "307, a redirect" in found.sentence, other.calls) == (None, True, [])


async def test_an_api_key_is_sent_as_one() -> None:
    with MessagesServer() as server:
        await prove(login("api-key"), server.origin)
    assert (server.calls[0].headers["x-api-key"], "authorization" in server.calls[0].headers) == (TOKEN, False)


REFUSALS: list[tuple[LoginKind, str]] = [
    ("setup-token", "the setup-token has expired or was revoked"),
    ("access-token", "refused the login"),
    ("api-key", "refused the key"),
]


@pytest.mark.parametrize(("kind", "words"), REFUSALS)
@pytest.mark.parametrize("status", [401, 403])
async def test_a_refused_login_says_which(kind: LoginKind, words: str, status: int) -> None:
    found = await proof(kind, Refuse(status, "authentication_error"))
    assert (found.valid, words in found.sentence, bool(found.fix)) == (False, True, True)


async def test_a_limit_proves_that_the_login_is_known() -> None:
    assert (await proof("setup-token", Refuse(429, "rate_limit_error"))).valid


@pytest.mark.parametrize(
    ("part", "words"), [(Refuse(529, "overloaded_error"), "proves nothing"), (Cut("before"), "cannot be reached")], ids=["busy", "cut"]
)
async def test_an_api_that_does_not_answer_proves_nothing(part: Part, words: str) -> None:
    found = await proof("setup-token", part)
    assert (found.valid, words in found.sentence, bool(found.fix)) == (None, True, True)


async def test_the_users_own_login_is_not_ours_to_prove() -> None:
    assert (await prove(Login(kind="own", source="x"))).valid is None
