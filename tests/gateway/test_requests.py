"""What a box may ask, and with what: nothing else causes as much as a call of the API."""

import contextlib

import pytest

from ccterm.gateway.client import RunPass
from ccterm.gateway.requests import for_api, is_api
from tests.gateway.boxes import LOGIN, TOKEN, Boxes, new_run
from tests.gateway.raw import BODY, RawBox, get, request
from tests.servers.connect_proxy import ConnectProxy
from tests.servers.messages_api import MessagesServer

UNLISTED = [
    b"GET /api/oauth/profile",
    b"POST /api/oauth/claude_cli/create_api_key",
    b"POST /v1/oauth/token",
    b"GET /v1/messages",
    b"POST /v1/messages/",
    b"POST /v1/messages/batches",
    b"POST //v1/messages",
    b"POST /v1/%6dessages",
    b"POST /v1/messages/../oauth/token",
    b"POST /v1/messages;a=b",
    b"POST /v1/files",
    b"PUT /v1/messages",
    b"POST /api/claude_code/settings",
    b"HEAD /api/hello",
]


@pytest.fixture
async def given(boxes: Boxes) -> RunPass:
    """The pass of a run."""
    return await boxes.admit()


@pytest.mark.first_is_fast
@pytest.mark.parametrize("line", UNLISTED, ids=lambda line: line.decode())
async def test_what_is_not_listed_is_not_passed_on(boxes: Boxes, given: RunPass, proxy: ConnectProxy, line: bytes) -> None:
    async with RawBox.to(given, tunnel=True) as box:
        answer = await box.ask(request(given, line=line + b" HTTP/1.1"), line.split()[0])
    assert answer.status == 404
    assert proxy.asked == []


@pytest.mark.first_is_fast
@pytest.mark.parametrize(
    "credentials",
    [
        [],
        [b"Authorization: Bearer another"],
        [b"Authorization: Basic PASS"],
        [b"Authorization: PASS", b"Authorization: Bearer another"],
        [b"Authorization: Bearer PASS", b"X-Api-Key: another"],
        [b"x-api-key: "],
        [b"x-api-key: PASS, PASS"],
        [b"Authorization: Bearer \xff"],
    ],
    ids=str,
)
async def test_without_this_run_s_pass_the_answer_is_401(
    boxes: Boxes, given: RunPass, proxy: ConnectProxy, credentials: list[bytes]
) -> None:
    token = given.token.get_secret_value().encode()
    async with RawBox.to(given, tunnel=True) as box:
        answer = await box.ask(request(None, *(each.replace(b"PASS", token) for each in credentials)))
    assert answer.status == 401
    assert proxy.asked == []


async def test_a_pass_is_valid_on_its_own_run_s_socket_alone(boxes: Boxes, given: RunPass, proxy: ConnectProxy) -> None:
    other = await boxes.admit()
    async with RawBox.to(other, tunnel=True) as box:
        assert (await box.ask(request(given))).status == 401
    assert proxy.asked == []


async def test_a_dismissed_run_is_heard_no_more(boxes: Boxes) -> None:
    run = new_run()
    given = await boxes.admit(run)
    async with RawBox.to(given, tunnel=True) as box:
        assert (await box.ask(request(given))).status == 200
        await boxes.gateway.dismiss(run)
        with contextlib.suppress(ConnectionError):
            assert await box.reader.read() == b""
    assert not given.socket.exists()
    other = await boxes.admit()
    async with RawBox.to(other, tunnel=True) as box:
        assert (await box.ask(request(given))).status == 401
    assert len(boxes.api.calls) == 1


@pytest.mark.parametrize("target", ["api.anthropic.com:443", "API.Anthropic.COM:443", "api.anthropic.com.:443"])
def test_the_api_s_name_is_known_however_it_is_written(target: str) -> None:
    assert is_api(target.encode())


@pytest.mark.first_is_fast
@pytest.mark.parametrize(
    "target",
    [
        "127.0.0.1:443", "[::1]:443", "localhost:443", "api.anthropic.com:80", "api.anthropic.com", "api.anthropic.com..:443", "169.254.169.254:80",
        "api.anthropic.com.evil.example:443", "evil.example:443@api.anthropic.com:443", "console.anthropic.com:443", "api.anthropic.com:0443",
    ],
)  # fmt: skip
async def test_no_other_host_is_reached(given: RunPass, proxy: ConnectProxy, target: str) -> None:
    async with RawBox.to(given) as box:
        assert (await box.ask(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode())).status == 403
    assert proxy.asked == []


@pytest.mark.first_is_fast
@pytest.mark.parametrize("line", [b"POST http://127.0.0.1/v1/messages HTTP/1.1", b"POST /v1/messages HTTP/1.1"])
async def test_without_a_tunnel_nothing_is_answered(given: RunPass, proxy: ConnectProxy, line: bytes) -> None:
    async with RawBox.to(given) as box:
        assert (await box.ask(request(given, line=line))).status in (400, 403)
    assert proxy.asked == []


async def test_a_login_for_an_address_of_the_user_s_is_not_sent_to_the_api(boxes: Boxes, proxy: ConnectProxy) -> None:
    with MessagesServer() as own:
        given = await boxes.gateway.admit(new_run(), "own", LOGIN, base_url=f"{own.origin}/below/")
        async with RawBox.to(given, tunnel=True) as box:
            assert (await box.ask(request(given))).status == 404
        async with RawBox.to(given) as box:
            await box.ask(request(given))
            assert (await box.ask(get(b"/api/claude_code/settings", given), b"GET")).status == 404
        assert [path for path, _ in own.asked] == ["/below/api/claude_code/settings"]
    assert proxy.asked == []


async def test_body_and_query_are_passed_on_as_they_are(boxes: Boxes, given: RunPass) -> None:
    async with RawBox.to(given, tunnel=True) as box:
        answer = await box.ask(
            request(given, b"anthropic-beta: a,b", b"Connection: keep-alive, x-hop", b"X-Hop: 1", b"Accept-Encoding: gzip")
        )
    [call] = boxes.api.calls
    assert (answer.status, call.body) == (200, BODY)
    assert call.headers["authorization"] == f"Bearer {TOKEN}"
    assert call.headers["anthropic-beta"] == "a,b"
    assert (call.headers["accept-encoding"], call.headers["host"]) == ("identity", "api.anthropic.com")
    assert "x-hop" not in call.headers


async def test_the_pass_is_replaced_although_it_is_said_to_be_for_the_next_hop(boxes: Boxes, given: RunPass) -> None:
    async with RawBox.to(given, tunnel=True) as box:
        assert (await box.ask(request(given, b"Connection: authorization, host, content-length"))).status == 200
    [call] = boxes.api.calls
    assert (call.body, call.headers["authorization"]) == (BODY, f"Bearer {TOKEN}")


async def test_a_head_with_very_many_headers_is_refused(given: RunPass) -> None:
    async with RawBox.to(given, tunnel=True) as box:
        assert (await box.ask(request(given, *[b"Accept-Encoding: x"] * 1000))).status == 431


def test_headers_keep_their_order_and_case() -> None:
    box = [
        (b"Host", b"x"),
        (b"X-Api-Key", b"pass"),
        (b"X-App", b"cli"),
        (b"Origin", b"y"),
        (b"Proxy-Authorization", b"y"),
        (b"authorization", b"Bearer pass"),
    ]
    assert for_api(box, "api.anthropic.com", (b"x-api-key", b"key")) == [
        (b"Host", b"api.anthropic.com"),
        (b"X-Api-Key", b"key"),
        (b"X-App", b"cli"),
        (b"accept-encoding", b"identity"),
    ]
