"""The way to the API: verified, and through the user's own proxy."""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from ccterm.gateway.client import Gateway
from ccterm.gateway.upstream import Upstream
from ccterm.gateway.way_out import Destination, Unreachable, WayOut
from tests.gateway.boxes import LOGIN, Boxes, Heard, new_run
from tests.gateway.raw import RawAnswer, RawBox, get, request
from tests.servers.connect_proxy import ConnectProxy
from tests.servers.messages_api import MessagesServer
from tests.support.waiting import until

API = Destination(secure=True, host="api.anthropic.com", port=443)


@asynccontextmanager
async def asked(
    directory: Path, environ: Mapping[str, str], base_url: str | None = None, heard: Heard | None = None
) -> AsyncIterator[RawAnswer]:
    """Ask once through a gateway of this environment."""
    async with Gateway(directory / "way", environ, heard or Heard()) as gateway:
        given = await gateway.admit(new_run(), "login", LOGIN, base_url=base_url)
        async with RawBox.to(given, tunnel=not base_url) as box:
            yield await box.ask(request(given))


async def test_a_proxy_gets_its_own_login_and_no_other(tmp_path: Path, api_ca: Path, secure_api: MessagesServer) -> None:
    with ConnectProxy(secure_api.port, login="Basic dXNlcjpwQHNz") as proxy:
        environ = {"https_proxy": f"http://user:p%40ss@127.0.0.1:{proxy.port}", "SSL_CERT_FILE": str(api_ca)}
        async with asked(tmp_path, environ) as answer:
            assert answer.status == 200
        assert proxy.asked == [("api.anthropic.com:443", "Basic dXNlcjpwQHNz")]
    assert "proxy-authorization" not in secure_api.calls[0].headers


@pytest.mark.slow
async def test_the_user_s_authorities_are_believed_besides_the_usual_ones(tmp_path: Path, api_ca: Path, proxy: ConnectProxy) -> None:
    async with asked(tmp_path, {"HTTPS_PROXY": proxy.origin, "NODE_EXTRA_CA_CERTS": str(api_ca)}) as answer:
        assert answer.status == 200


async def test_a_strange_certificate_is_not_believed(tmp_path: Path, proxy: ConnectProxy, secure_api: MessagesServer) -> None:
    heard = Heard()
    async with asked(tmp_path, {"HTTPS_PROXY": proxy.origin}, heard=heard) as answer:
        assert answer.status == 502
        await until(lambda: any("certificate verify failed" in why for why in heard.unreached))
    assert secure_api.calls == []


async def test_why_the_api_cannot_be_reached_is_said_to_the_user_alone(tmp_path: Path) -> None:
    """It speaks of the user's proxy, and of what is where in their network."""
    heard = Heard()
    async with asked(tmp_path, {"HTTPS_PROXY": "http://127.0.0.1:9"}, heard=heard) as answer:
        assert (answer.status, b"transcript says why" in answer.body) == (502, True)
        assert not re.search(rb"127|:9|refused|proxy", answer.body)
        await until(lambda: heard.unreached)
    [why] = heard.unreached
    assert why.startswith("api.anthropic.com cannot be reached: ")
    assert "127.0.0.1" in why


async def test_plain_http_is_asked_of_the_user_s_proxy(tmp_path: Path) -> None:
    with MessagesServer() as proxy:
        environ = {"HTTP_PROXY": f"http://user:word@127.0.0.1:{proxy.port}"}
        async with Gateway(tmp_path / "way", environ, Heard()) as gateway:
            given = await gateway.admit(new_run(), "login", LOGIN, base_url="http://api.example/below")
            async with RawBox.to(given) as box:
                await box.ask(get(b"/api/claude_code/settings", given), b"GET")
        [(asked, headers)] = proxy.asked
    assert asked == "http://api.example/below/api/claude_code/settings"
    assert (headers["host"], headers["proxy-authorization"]) == ("api.example", "Basic dXNlcjp3b3Jk")


@pytest.mark.slow
async def test_a_redirect_of_the_api_is_passed_on_and_not_followed(boxes: Boxes) -> None:
    boxes.api.redirect = "https://elsewhere.example/"
    given = await boxes.admit()
    async with RawBox.to(given, tunnel=True) as box:
        answer = await box.ask(request(given))
    assert (answer.status, answer.headers["location"]) == (307, "https://elsewhere.example/")


@pytest.mark.parametrize(
    ("no_proxy", "direct"),
    [
        ("", False), ("*", True), ("anthropic.com", True), (".anthropic.com", True), ("*.anthropic.com", True), ("API.anthropic.com:443", True),
        ("api.anthropic.com:80", False), ("pi.anthropic.com", False), ("x, anthropic.com", True), ("x anthropic.com", True), ("com.", False),
    ],
)  # fmt: skip
def test_no_proxy_names_who_is_asked_directly(no_proxy: str, direct: bool) -> None:
    assert (WayOut({"HTTPS_PROXY": "proxy:3128", "NO_PROXY": no_proxy}).through(API) is None) is direct


@pytest.mark.parametrize("proxy", ["http://proxy:port", "http://[proxy", "http://", "proxy:0", "socks5://proxy:1080"])
async def test_a_proxy_that_is_none_is_said_to_be_the_reason(proxy: str) -> None:
    with pytest.raises(Unreachable, match="HTTPS_PROXY is not the address"):
        await WayOut({"HTTPS_PROXY": proxy}).dial(API)


@pytest.mark.parametrize("said", [b"", b"220 mail.example.com\r\n"])
async def test_a_proxy_that_gives_no_answer_is_said_to_be_the_reason(said: bytes) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(said)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(Unreachable, match="the proxy gives no answer"):
            await WayOut({"HTTPS_PROXY": f"127.0.0.1:{port}"}).dial(API)


def test_this_machine_is_asked_directly() -> None:
    assert WayOut({"HTTP_PROXY": "http://proxy"}).through(Destination(secure=False, host="127.0.0.1", port=80)) is None


@pytest.mark.parametrize("address", ["", "api.anthropic.com", "ftp://x", "https://", "https://user@x", "https://x/?a", "https://x:99999"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match=r"address|[Pp]ort"):
        Upstream(address, WayOut({}))
