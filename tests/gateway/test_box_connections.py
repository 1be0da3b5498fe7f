"""Requests that two parsers could read in two ways, that are too large or too slow: refused, and the gateway serves on."""

import asyncio
import contextlib

import h11
import pytest
from hypothesis import given as always
from hypothesis import strategies as st

from ccterm.gateway.box_connection import HEAD_SECONDS
from ccterm.gateway.client import RunPass
from ccterm.gateway.heads import BODY_BYTES, HEAD_BYTES, HEAD_END, RefusedRequest, read_head
from ccterm.gateway.served_run import CONNECTIONS
from tests.gateway.boxes import LOGIN, Boxes, new_run
from tests.gateway.raw import BODY, RawBox, get, request
from tests.servers.connect_proxy import ConnectProxy
from tests.servers.loopback import Gate
from tests.servers.model_script import say
from tests.support.waiting import until

INNER = b"POST /v1/messages HTTP/1.1\r\nHost: x\r\n\r\n"
AMBIGUOUS = {
    "a length and chunks": [b"Transfer-Encoding: chunked", b"Content-Length: 5"],
    "chunks": [b"Transfer-Encoding: chunked"],
    "chunks in disguise": [b"Transfer-Encoding: \x0bchunked", b"Content-Length: 5"],
    "another encoding": [b"Transfer-Encoding: identity", b"Content-Length: 5"],
    "two lengths": [b"Content-Length: 5", b"Content-Length: 50"],
    "one length twice": [b"Content-Length: 5", b"content-length: 5"],
    "a list of lengths": [b"Content-Length: 5, 5"],
    "a signed length": [b"Content-Length: +5"],
    "a hexadecimal length": [b"Content-Length: 0x5"],
    "a huge length": [b"Content-Length: " + b"9" * 40],
    "a folded line": [b"X-Fold: a", b" b", b"Content-Length: 5"],
    "a space before the colon": [b"Content-Length : 5"],
    "a bare line feed": [b"X: a\nContent-Length: 5"],
    "a bare carriage return": [b"X: a\rContent-Length: 5"],
    "a zero byte": [b"X: a\0b", b"Content-Length: 5"],
    "two hosts": [b"Host: other", b"Content-Length: 5"],
    "no name": [b": a", b"Content-Length: 5"],
}


@pytest.fixture
async def given(boxes: Boxes) -> RunPass:
    """The pass of a run."""
    return await boxes.admit()


async def serves(given: RunPass) -> bool:
    """Whether an ordinary request is answered."""
    async with RawBox.to(given, tunnel=True) as box:
        return (await box.ask(request(given))).status == 200


@pytest.mark.first_is_fast
@pytest.mark.parametrize("headers", AMBIGUOUS.values(), ids=AMBIGUOUS.keys())
async def test_an_ambiguous_request_is_refused_and_its_connection_closed(boxes: Boxes, given: RunPass, headers: list[bytes]) -> None:
    async with RawBox.to(given, tunnel=True) as box:
        answer = await box.ask(request(given, *headers, body=b"0\r\n\r\n" + INNER, length=False))
        assert answer.status in (400, 411, 413)
        assert await box.reader.read() == b""
    assert boxes.api.calls == []
    assert await serves(given)


@pytest.mark.parametrize(
    "line",
    [b"POST /v1/messages HTTP/1.0", b"POST /v1/messages", b"POST  /v1/messages HTTP/1.1", b"POST /v1/mess ages HTTP/1.1", b"\x16\x03\x01"],
)
async def test_a_strange_request_line_is_refused(boxes: Boxes, given: RunPass, line: bytes) -> None:
    async with RawBox.to(given, tunnel=True) as box:
        assert (await box.ask(request(given, line=line))).status == 400
    assert boxes.api.calls == []


@pytest.mark.slow
async def test_bytes_before_the_tunnel_is_open_are_refused(boxes: Boxes, given: RunPass) -> None:
    async with RawBox.to(given) as box:
        box.writer.write(b"CONNECT api.anthropic.com:443 HTTP/1.1\r\nHost: x\r\n\r\n" + request(given))
        with contextlib.suppress(ConnectionError):
            assert b"200" not in await box.reader.read()
    assert boxes.api.calls == []


@pytest.mark.first_is_fast
@pytest.mark.parametrize(("size", "status"), [(HEAD_BYTES + 1, 431), (1, 200)], ids=["too large", "small"])
async def test_a_head_is_bounded(given: RunPass, size: int, status: int) -> None:
    async with RawBox.to(given, tunnel=True) as box:
        assert (await box.ask(request(given, b"X-Long: " + b"x" * size))).status == status


async def test_a_body_is_bounded(boxes: Boxes, given: RunPass) -> None:
    async with RawBox.to(given, tunnel=True) as box:
        head = request(given, b"Content-Length: %d" % (BODY_BYTES + 1), body=b"", length=False)
        assert (await box.ask(head)).status == 413
    assert boxes.api.calls == []
    assert await serves(given)


async def test_requests_follow_each_other_on_one_connection(boxes: Boxes, given: RunPass) -> None:
    async with RawBox.to(given, tunnel=True) as box:
        refused = request(None, line=b"POST /v1/complete HTTP/1.1")
        document = get(b"/api/claude_code/settings", given)
        assert [(await box.ask(each)).status for each in (request(given), refused, document, request(given))] == [200, 404, 404, 200]
    assert len(boxes.api.calls) == 2


@pytest.mark.slow
async def test_a_body_may_wait_to_be_asked_for(given: RunPass) -> None:
    async with RawBox.to(given, tunnel=True) as box:
        head = request(given, b"Expect: 100-continue", b"Content-Length: %d" % len(BODY), body=b"", length=False)
        box.writer.write(head)
        assert b" 100 " in await box.reader.readuntil(HEAD_END)
        assert (await box.ask(BODY)).status == 200


async def test_one_run_has_so_many_connections_and_the_next_run_its_own(boxes: Boxes, given: RunPass) -> None:
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(CONNECTIONS):
            await stack.enter_async_context(RawBox.to(given))
        one_more = await stack.enter_async_context(RawBox.to(given))
        assert await one_more.reader.read() == b""
        assert await serves(await boxes.admit())


async def test_what_nobody_waits_for_is_asked_no_longer(boxes: Boxes, given: RunPass, proxy: ConnectProxy) -> None:
    gate = Gate()
    boxes.api.script("Hello", say("Never read.", gate=gate))
    async with RawBox.to(given, tunnel=True) as box:
        box.writer.write(request(given))
        await asyncio.to_thread(gate.reached)
        assert proxy.tunnels == 1
    await until(lambda: proxy.tunnels == 0)


@pytest.mark.slow
async def test_what_a_box_does_not_read_is_not_piled_up(boxes: Boxes) -> None:
    sent, stalled = 0, asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await reader.readuntil(BODY)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n")
        with contextlib.suppress(TimeoutError):
            while True:
                writer.write(b"x" * 65536)
                async with asyncio.timeout(2):
                    await writer.drain()
                sent += 65536
        stalled.set()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        base_url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        given = await boxes.gateway.admit(new_run(), "own", LOGIN, base_url=base_url)
        async with RawBox.to(given) as box:
            box.writer.write(request(given))
            await stalled.wait()
    assert sent < 16 * 1024 * 1024


@pytest.mark.slow
async def test_a_head_that_comes_byte_by_byte_is_not_waited_for(boxes: Boxes, given: RunPass) -> None:
    loop = asyncio.get_running_loop()
    async with RawBox.to(given, tunnel=True) as box:
        started = loop.time()
        with contextlib.suppress(ConnectionError):
            while not box.reader.at_eof() and loop.time() < started + HEAD_SECONDS * 2:
                box.writer.write(b"P")
                await box.writer.drain()
                await asyncio.wait([asyncio.ensure_future(box.reader.read(1))], timeout=0.5)
        assert loop.time() - started < HEAD_SECONDS * 2
        assert await serves(given)
    assert len(boxes.api.calls) == 1


@always(st.binary(max_size=300), st.sampled_from([b"", b"POST /v1/messages HTTP/1.1\r\nHost: x\r\n"]))
def test_a_head_is_refused_or_says_one_thing(noise: bytes, before: bytes) -> None:
    raw = (before + noise).replace(HEAD_END, b"") + HEAD_END
    http = h11.Connection(h11.SERVER)
    try:
        head = read_head(raw, http)
    except RefusedRequest:
        return
    lines = raw.removesuffix(HEAD_END).split(b"\r\n")
    assert lines[0] == b" ".join([head.method, head.target, b"HTTP/1.1"])
    assert [line.split(b":")[0] for line in lines[1:]] == [name for name, _ in head.headers]
    assert [value for _, value in head.headers] == [line.partition(b":")[2].strip(b" \t") for line in lines[1:]]
