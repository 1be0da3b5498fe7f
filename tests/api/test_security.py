"""Requests that a web page, another machine or an attacker could make: each is refused, and nothing happens."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx
import psutil
import pytest

from ccterm.api import limits
from ccterm.api.problems import HttpProblem
from tests.api.raw import BODY, Header, host, order, request, send, token
from tests.api.served import RUN, Served, served
from tests.e2e.arranged import found_below
from tests.support.git import branches, git

Wrong = Callable[[Served], bytes]


@pytest.fixture
async def strict(tmp_path: Path, remote: Path, working_copy: Path) -> AsyncIterator[Served]:
    """A server on which nothing may have happened by the end of the test."""
    before = git(working_copy, "status", "--porcelain"), branches(remote)
    async with served(tmp_path, remote, working_copy) as api:
        yield api
        assert await api.service.runs() == []
        assert list(api.state.runs.iterdir()) == []
        assert (git(working_copy, "status", "--porcelain"), branches(remote)) == before
        assert api.address.token.value not in api.state.audit_log.read_text()


def get(*headers: Header, target: str = "/api/v1/runs") -> Wrong:
    return lambda api: request("GET", target, host(api), *headers)


def from_(*headers: Header) -> Wrong:
    """Return a good order with more headers."""
    return lambda api: order(api, *headers)


def to(*hosts: str, target: str = RUN, version: str = "1.1") -> Wrong:
    """Return a good order with other Host headers; PORT stands for the server's."""

    def made(api: Served) -> bytes:
        named = [("Host", each.replace("PORT", str(api.address.port))) for each in hosts]
        rest = (token(api), ("Content-Type", "application/json"), ("Content-Length", str(len(BODY))))
        return request("POST", target, *named, *rest, body=BODY, version=version)

    return made


def chunked(*headers: Header) -> Wrong:
    """Return an order in chunks."""
    body = f"{len(BODY):x}\r\n".encode() + BODY + b"\r\n0\r\n\r\n"
    return lambda api: request("POST", RUN, host(api), token(api), ("Content-Type", "application/json"), *headers, body=body)


def unauthorized(*headers: Header) -> Wrong:
    return lambda api: request(
        "POST", RUN, host(api), *headers, ("Content-Type", "application/json"), ("Content-Length", str(len(BODY))), body=BODY
    )


def with_prefix(api: Served) -> bytes:
    return unauthorized(("Authorization", f"Bearer {api.address.token.value[:-1]}"))(api)


def in_query(api: Served) -> bytes:
    return request(
        "POST", f"{RUN}?token={api.address.token.value}&access_token={api.address.token.value}", host(api), ("Content-Length", "0")
    )


WRONG = ("Authorization", f"Bearer {'x' * 43}")
FORM = "application/x-www-form-urlencoded"
REFUSED: dict[str, tuple[Wrong, int]] = {
    "get without a token": (get(), 401),
    "get with a wrong token": (get(WRONG), 401),
    "health without a token": (get(target="/healthz"), 401),
    "stream without a token": (get(target="/api/v1/events"), 401),
    "stream with a wrong token": (get(WRONG, target="/api/v1/events"), 401),
    "order without a token": (unauthorized(), 401),
    "order with a wrong token": (unauthorized(WRONG), 401),
    "order with a token's beginning": (with_prefix, 401),
    "order with the token in its address": (in_query, 401),
    "order with basic credentials": (unauthorized(("Authorization", "Basic dXNlcjpwYXNz")), 401),
    "two tokens": (lambda api: order(api, token(api)), 401),
    "another host": (to("evil.example"), 421),
    "a name that was bound again": (to("rebound.evil.example:PORT"), 421),
    "a host that begins like ours": (to("127.0.0.1.evil.example:PORT"), 421),
    "another port": (to("localhost:1"), 421),
    "no port": (to("localhost"), 421),
    "IPv6 in another form": (to("[0:0:0:0:0:0:0:1]:PORT"), 421),
    "no host": (to(), 400),
    "no host in HTTP/1.0": (to(version="1.0"), 400),
    "two hosts": (to("localhost:PORT", "localhost:PORT"), 400),
    "a whole address": (to("localhost:PORT", target=f"http://evil.example{RUN}"), 400),
    "a page's origin": (from_(("Origin", "http://evil.example")), 403),
    "the origin null": (from_(("Origin", "null")), 403),
    "a file's origin": (from_(("Origin", "file://")), 403),
    "an extension's origin": (from_(("Origin", "chrome-extension://abcdef")), 403),
    "our own origin": (lambda api: order(api, ("Origin", f"http://localhost:{api.address.port}")), 403),
    "a cross-site fetch": (from_(("Sec-Fetch-Site", "cross-site")), 403),
    "a same-site fetch": (from_(("Sec-Fetch-Site", "same-site")), 403),
    "a preflight": (lambda api: request("OPTIONS", RUN, host(api), token(api), ("Access-Control-Request-Method", "POST")), 403),
    "HEAD": (lambda api: request("HEAD", "/api/v1/runs", host(api), token(api)), 405),
    "PUT": (lambda api: request("PUT", RUN, host(api), token(api), ("Content-Length", "0")), 405),
    "plain text": (lambda api: order(api, kind="text/plain"), 415),
    "a form": (lambda api: order(api, kind=FORM), 415),
    "a multipart form": (lambda api: order(api, kind="multipart/form-data; boundary=x"), 415),
    "no content type": (lambda api: order(api, kind=None), 415),
    "JSON and something else": (lambda api: order(api, ("Content-Type", "text/plain")), 415),
    "a megabyte and a byte": (lambda api: order(api, body=b" " * (limits.BODY_BYTES + 1)), 413),
    "a gigabyte announced": (lambda api: order(api, length=1 << 30), 413),
    "chunks": (chunked(("Transfer-Encoding", "chunked")), 411),
    "chunks beside a length": (chunked(("Content-Length", "5"), ("Transfer-Encoding", "chunked")), 411),
    "a hidden transfer encoding": (chunked(("Content-Length", str(len(BODY))), ("Transfer-Encoding", "xchunked")), 400),
    "two lengths": (lambda api: order(api, ("Content-Length", "1")), 400),
    "a negative length": (lambda api: order(api, length=-1), 400),
    "long headers": (from_(("X-Long", "x" * (limits.HEADER_BYTES + 1))), 431),
    "endless headers": (from_(("X-Long", "x" * 1_000_000)), 400),
    "a long address": (lambda api: request("GET", f"/api/v1/runs?branch={'x' * limits.URL_BYTES}", host(api), token(api)), 414),
    "a NUL in a header": (from_(("X-Odd", "a\0b")), 400),
    "a carriage return in a header": (from_(("X-Odd", "a\rb")), 400),
    "no HTTP": (lambda _: b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 hello\r\n\r\n", 400),
    "a path up": (lambda api: request("GET", "/api/v1/runs/../../../etc/passwd", host(api), token(api)), 404),
    "an encoded path up": (lambda api: request("GET", "/api/v1/runs/%2e%2e%2f%2e%2e%2fetc%2fpasswd/patch", host(api), token(api)), 404),
    "an absolute path": (lambda api: request("GET", "/api/v1/runs//etc/passwd", host(api), token(api)), 404),
    "a path for an id": (lambda api: request("GET", "/api/v1/runs/%2fetc%2fpasswd/diff", host(api), token(api)), 404),
    "a name with a NUL": (lambda api: request("GET", "/api/v1/runs/last%00/diff", host(api), token(api)), 404),
    "a beginning of an id": (lambda api: request("GET", "/api/v1/runs/01M8/diff", host(api), token(api)), 404),
}


async def test_whatever_is_wrong_with_a_request_nothing_happens(strict: Served) -> None:
    for name, (wrong, status) in REFUSED.items():
        answer = await send(strict, wrong(strict))
        assert answer.status == status, (name, answer)
        assert not any(header.startswith("access-control") for header in answer.headers)
        if answer.body:
            assert answer.headers["content-type"] == "application/problem+json", name
            assert all(answer.problem[part] for part in ("type", "title", "status", "detail", "action")), (name, answer)
    assert (await strict.get("/healthz")).json() == {"ok": True}


async def test_a_refusal_for_want_of_a_token_names_the_header(strict: Served) -> None:
    answer = await send(strict, get()(strict))
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.problem["action"] == "add the header Authorization: Bearer TOKEN; ccterm token prints the token"


async def test_an_answer_to_a_wrong_token_does_not_tell_what_is_wrong_with_it(strict: Served) -> None:
    right = strict.address.token.value
    first, last = ("a" if each != "a" else "b" for each in (right[0], right[-1]))
    wrong = {
        "first": first + right[1:], "last": right[:-1] + last, "middle": f"{right[:20]}!{right[21:]}", "short": right[:1], "beginning": right[:-1],
        "long": right + "a", "twice": right * 2, "case": right.swapcase(), "none of it": "-" * len(right), "empty": "",
    }  # fmt: skip
    answers = {name: await send(strict, unauthorized(("Authorization", f"Bearer {each}"))(strict)) for name, each in wrong.items()}
    told = {
        (each.status, *((name, value) for name, value in each.headers.items() if name != "date"), each.body) for each in answers.values()
    }
    assert len(told) == 1, answers
    assert answers["first"].status == 401
    assert not any(right[:8].encode() in each.body for each in answers.values())


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "[::1]"])
async def test_each_of_the_servers_names_is_answered(name: str, api: Served) -> None:
    answer = await send(api, request("GET", "/healthz", ("Host", f"{name}:{api.address.port}"), token(api)))
    assert (answer.status, answer.body) == (200, b'{"ok":true}')
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_it_listens_on_this_machine_s_own_addresses_alone(api: Served) -> None:
    listening = [each.laddr for each in psutil.Process().net_connections("inet") if each.status == psutil.CONN_LISTEN]
    assert "127.0.0.1" in {at.ip for at in listening if at.port == api.address.port} <= {"127.0.0.1", "::1"}


async def test_ipv6_is_answered_where_there_is_one(api: Served) -> None:
    async with httpx.AsyncClient() as client:
        try:
            answer = await client.get(f"http://[::1]:{api.address.port}/healthz", headers=api.headers)
        except httpx.ConnectError:
            pytest.skip("this machine has no IPv6")
        assert answer.json() == {"ok": True}


async def test_nobody_else_can_read_what_gives_access(api: Served) -> None:
    for path in (api.state.server_token, api.state.audit_log, api.address.socket):
        assert path.stat().st_mode & 0o077 == 0


async def test_every_order_is_written_down(api: Served) -> None:
    await api.run("x", wait=0)
    await send(api, unauthorized()(api))
    lines = [json.loads(line) for line in api.state.audit_log.read_text().splitlines()]
    assert [(line["caller"], line["route"], line["status"]) for line in lines] == [
        (f"token {api.address.token.id}", RUN, 202),
        ("nobody", RUN, 401),
    ]
    assert lines[0]["runs"] == [run.id for run in await api.service.runs()]


@pytest.mark.slow
async def test_the_token_stays_out_of_everything_that_is_kept(api: Served) -> None:
    await api.run("x")
    await api.post("/api/v1/runs/last/steer", {"text": api.address.token.value})
    assert found_below(api.state.path, [api.address.token.value.encode()]) == [api.state.server_token]


def test_the_limits_are_those_that_are_promised() -> None:
    assert (limits.CONNECTIONS, limits.STREAMS, limits.REQUESTS_PER_SECOND) == (256, 64, 200)
    assert (limits.BODY_BYTES, limits.HEADER_BYTES, limits.URL_BYTES, limits.JSON_DEPTH) == (1 << 20, 16 << 10, 4 << 10, 20)
    assert (limits.HEADER_SECONDS, limits.BODY_SECONDS) == (10, 30)


def test_too_many_requests_are_refused_for_a_moment() -> None:
    limit = limits.RateLimit(3)
    for _ in range(3):
        limit.take()
    with pytest.raises(HttpProblem) as refused:
        limit.take()
    assert (refused.value.status, refused.value.headers) == (429, {"Retry-After": "1"})


async def test_what_is_not_there_is_said_in_the_words_of_the_api(strict: Served) -> None:
    async def said(method: str, path: str) -> tuple[int, str, str]:
        answer = await strict.client.request(method, path)
        return answer.status_code, answer.json()["detail"], answer.json()["action"]

    assert await said("POST", "/api/v1/runs") == (405, "POST is not used at /api/v1/runs", "ask with GET")
    assert await said("GET", "/api/v1/run") == (404, "there is nothing at /api/v1/run", "ccterm serve --openapi prints what there is")
    lists = "GET /api/v1/runs lists them; RUN is a run's id, its number, or last"
    assert await said("GET", "/api/v1/runs/77") == (404, "there is no run '77'", lists)


async def test_guesses_leave_the_owner_of_the_token_alone(tmp_path: Path, remote: Path) -> None:
    few = 10  # so few that even a busy machine carries out more of them in a second
    async with served(tmp_path, remote, per_second=few) as api:
        guesses = await asyncio.gather(*(send(api, unauthorized(WRONG)(api)) for _ in range(few + 100)))
        assert {guess.status for guess in guesses} == {401, 429}
        assert (await api.get("/healthz")).status_code == 200


async def test_connections_beyond_the_limit_are_refused(strict: Served) -> None:
    held = [await asyncio.open_connection("127.0.0.1", strict.address.port) for _ in range(limits.CONNECTIONS)]
    try:
        answer = await send(strict, get()(strict))
        assert (answer.status, answer.problem["type"]) == (429, "urn:ccterm:problem:too-many-connections")
    finally:
        for _, writer in held:
            writer.close()
            await writer.wait_closed()
    assert (await strict.get("/healthz")).status_code == 200


@pytest.mark.slow
async def test_slow_requests_are_dropped(strict: Served) -> None:
    """A hundred connections that send a byte now and then, in the headers or in the body, hold nobody up and end."""

    async def drip(begin: bytes) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", strict.address.port)
        writer.write(begin)
        try:
            while not reader.at_eof():
                writer.write(b"x")
                await writer.drain()
                await asyncio.wait([ending := asyncio.ensure_future(reader.read(1))], timeout=0.5)
                if ending.done() and not ending.result():
                    return
                ending.cancel()
        except ConnectionError:
            return
        finally:
            writer.close()

    headers = b"GET /healthz HTTP/1.1\r\nX-Slow: "
    body = order(strict, length=1000, body=b"")
    dripping = [asyncio.ensure_future(drip(begin)) for begin in [headers] * 80 + [body] * 20]
    begin = time.monotonic()
    assert (await strict.get("/healthz")).json() == {"ok": True}
    assert time.monotonic() - begin < limits.HEADER_SECONDS / 2
    async with asyncio.timeout(limits.BODY_SECONDS + 20):
        await asyncio.gather(*dripping)
