"""The box proxy as a process: what it passes on, unchanged and bounded, where to, and what it tells."""

import base64
import contextlib
import os
import re
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ccterm.box.network.proxy import MOST_CONNECTIONS
from tests.box.box_proxy import BoxProxyProcess, echo, read_all, read_head, server
from tests.support.upstream import UpstreamProxy
from tests.support.waiting import wait_until

Start = Callable[..., BoxProxyProcess]


@pytest.fixture
def start(lib: Path) -> Iterator[Start]:
    """Start proxies that end with the test."""
    started: list[BoxProxyProcess] = []

    def start(**settings: object) -> BoxProxyProcess:
        started.append(BoxProxyProcess(lib, settings))
        return started[-1]

    yield start
    for each in started:
        each.end()


@pytest.fixture
def echoing() -> Iterator[int]:
    with server(echo) as port:
        yield port


def test_a_tunnel_passes_bytes_both_ways_and_each_end_by_itself(start: Start, echoing: int) -> None:
    data = os.urandom(3 << 20)
    with start().tunnel(f"127.0.0.1:{echoing}") as tunnel:
        sending = threading.Thread(target=tunnel.sendall, args=(data,))
        sending.start()
        half = tunnel.recv(len(data) // 2, socket.MSG_WAITALL)
        sending.join()
        tunnel.shutdown(socket.SHUT_WR)
        assert half + read_all(tunnel) == data


def test_a_plain_request_is_for_the_host_of_its_address_and_nothing_follows_it(start: Start) -> None:
    seen: list[bytes] = []

    def serve(connection: socket.socket) -> None:
        seen.append(read_head(connection) + connection.recv(3))
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        connection.shutdown(socket.SHUT_WR)
        seen.append(connection.recv(100))

    with server(serve) as port:
        first = f"POST http://127.0.0.1:{port}/a HTTP/1.1\r\nHost: elsewhere.example\r\nContent-Length: 3\r\n\r\nabc"
        answer = start().ask(f"{first}GET http://elsewhere.example/ HTTP/1.1\r\nHost: elsewhere.example\r\n\r\n".encode())
        wait_until(lambda: len(seen) == 2)
    assert answer.endswith(b"\r\n\r\nok")
    assert seen == [f"POST /a HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\ncontent-length: 3\r\n\r\nabc".encode(), b""]


def test_a_body_of_chunks_is_passed_on_to_its_end(start: Start) -> None:
    def serve(connection: socket.socket) -> None:
        body = read_head(connection)
        while not body.endswith(b"0\r\n\r\n"):
            body += connection.recv(100)
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n" + body.partition(b"\r\n\r\n")[2])

    with server(serve) as port:
        head = f"POST http://127.0.0.1:{port}/ HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
        answer = start().ask(head + b"4\r\nwork\r\n00A\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n")
    assert answer.endswith(b"\r\n\r\n4\r\nwork\r\na\r\n0123456789\r\n0\r\n\r\n")


def test_the_gateway_gets_bytes_as_they_came(start: Start, tmp_path: Path) -> None:
    connects = b"CONNECT API.Anthropic.com.:443 HTTP/1.1\r\nhOsT:  api.anthropic.com\r\nX:\t1 \r\n\r\n"
    plain = b"POST /v1/messages?beta=true HTTP/1.1\r\nHost: 127.0.0.1:1\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\n{}"
    with server(echo, tmp_path / "gateway.sock"):
        for mode in ("open", "list"):
            proxy = start(mode=mode, gateway=str(tmp_path / "gateway.sock"))
            for sent in (connects, plain):
                with proxy.connect() as connection:
                    connection.sendall(sent)
                    connection.shutdown(socket.SHUT_WR)
                    assert read_all(connection) == sent
            assert proxy.until_told(lambda told: told["d"] == "api.anthropic.com:443")["taken"]
            proxy.end()


@pytest.mark.first_is_fast
@pytest.mark.parametrize("target", ["api.anthropic.com:80", "api.anthropic.com.evil.example:443", "www.anthropic.com:443"])
def test_nothing_else_goes_to_the_gateway(start: Start, tmp_path: Path, target: str) -> None:
    reached: list[socket.socket] = []
    with server(reached.append, tmp_path / "gateway.sock"):
        proxy = start(mode="list", hosts=["nothing.example"], gateway=str(tmp_path / "gateway.sock"))
        assert b" 403 " in proxy.ask(f"CONNECT {target} HTTP/1.1\r\n\r\n".encode())[:20]
        assert b" 403 " in proxy.ask(f"GET http://{target.removesuffix(':443')}/v1/messages HTTP/1.1\r\n\r\n".encode())[:20]
    assert reached == []


def test_when_the_gateway_was_started_again_what_leads_to_the_first_one_is_closed_and_nothing_else(
    start: Start, tmp_path: Path, echoing: int
) -> None:
    def silent(connection: socket.socket) -> None:
        while connection.recv(1024):
            continue

    with server(silent, tmp_path / "gateway.sock"):
        proxy = start(gateway=str(tmp_path / "gateway.sock"))
        with proxy.connect() as waiting, proxy.tunnel(f"127.0.0.1:{echoing}") as other:
            waiting.sendall(b"POST /v1/messages HTTP/1.1\r\nContent-Length: 0\r\n\r\n")
            other.sendall(b"one")
            assert other.recv(3) == b"one"
            proxy.reconnect()
            with contextlib.suppress(ConnectionResetError):
                assert waiting.recv(1) == b""
            other.sendall(b"two")
            assert other.recv(3) == b"two"


def test_a_gateway_that_is_gone_is_said(start: Start, tmp_path: Path) -> None:
    answer = start(gateway=str(tmp_path / "none.sock")).ask(b"POST /v1/messages HTTP/1.1\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 502 ")
    assert b"the login gateway cannot be reached: No such file or directory" in answer


def test_the_users_own_proxy_is_used_and_told_its_password(start: Start) -> None:
    def once(connection: socket.socket) -> None:
        connection.sendall(connection.recv(1 << 16))

    with server(once) as port, UpstreamProxy(lambda *_: ("127.0.0.1", port)).running() as upstream:
        url = upstream.url.replace("//", "//me:p%40ss@")
        proxy = start(
            mode="list", hosts=["listed.example"], proxies={"HTTPS_PROXY": url, "HTTP_PROXY": url, "NO_PROXY": "none.example,.local"}
        )
        with proxy.tunnel("listed.example:443") as tunnel:
            tunnel.sendall(b"work")
            assert tunnel.recv(4) == b"work"
        assert proxy.ask(b"GET http://listed.example/a HTTP/1.1\r\n\r\n").startswith(b"GET http://listed.example/a")
        assert b" 403 " in proxy.ask(b"CONNECT elsewhere.example:443 HTTP/1.1\r\n\r\n")[:20]
    login = "Basic " + base64.b64encode(b"me:p@ss").decode()
    assert upstream.asked == [("CONNECT listed.example:443 HTTP/1.1", login), ("GET http://listed.example/a HTTP/1.1", login)]


@pytest.mark.first_is_fast
@pytest.mark.parametrize("past", ["127.0.0.1", "*", "127.0.0.0/8", "other,127.0.0.1:{port}"])
def test_what_goes_past_the_users_own_proxy(start: Start, echoing: int, past: str) -> None:
    with UpstreamProxy(lambda *_: None).running() as upstream:
        proxies = {"ALL_PROXY": upstream.url, "NO_PROXY": past.format(port=echoing)}
        start(proxies=proxies).tunnel(f"127.0.0.1:{echoing}").close()
        assert b"502" in start(proxies={"ALL_PROXY": upstream.url}).ask(f"CONNECT 127.0.0.1:{echoing} HTTP/1.1\r\n\r\n".encode())
    assert len(upstream.asked) == 1


def test_what_the_users_own_proxy_answers_is_said_to_the_user_alone(start: Start) -> None:
    asked = b"CONNECT a.example:443 HTTP/1.1\r\n\r\n"
    with server(lambda connection: connection.sendall(b"HTTP/1.1 407 Proxy \x1b[1mAuthentication Required\r\n\r\n")) as port:
        proxy = start(proxies={"HTTPS_PROXY": f"http://127.0.0.1:{port}"})
        answers = [proxy.ask(asked), proxy.ask(asked)]
        said = f"your own proxy, 127.0.0.1:{port}, answers 407 Proxy [1mAuthentication Required for a.example:443"
        proxy.until_told(lambda told: told["detail"] == said)
    answers.append(proxy.ask(asked))  # now nothing listens there
    proxy.until_told(lambda told: told["detail"].startswith(f"your own proxy, 127.0.0.1:{port}, cannot be reached"))
    assert [told["detail"] for told in proxy.told].count(said) == 1
    for answer in answers:
        assert answer.startswith(b"HTTP/1.1 502 ")
        assert not re.search(rb"127\.0\.0\.1|407|proxy", answer)


def test_each_host_is_told_at_once_and_then_counted_together(start: Start, echoing: int) -> None:
    proxy = start(mode="record")
    for _ in range(20):
        proxy.tunnel(f"127.0.0.1:{echoing}").close()
    proxy.ask(b"CONNECT listed.example@elsewhere.example:443 HTTP/1.1\r\n\r\n")
    first, refused = proxy.until_told(lambda told: told["taken"]), proxy.until_told(lambda told: not told["taken"])
    assert first == {"d": f"127.0.0.1:{echoing}", "taken": True, "detail": "", "number": 1}
    assert (refused["d"], refused["detail"]) == ("listed.example@elsewhere.example:443", "it holds a user name")
    proxy.end()
    assert [told["number"] for told in proxy.told if told["taken"]] == [1, 20]


def test_a_long_name_is_told_with_its_port(start: Start) -> None:
    proxy = start(mode="list")
    longest = ".".join(["a" * 62] * 4)
    for name in (longest, f"{longest}.aaa"):
        proxy.ask(f"CONNECT {name}:443 HTTP/1.1\r\n\r\n".encode())
    proxy.end()
    assert [(told["d"], told["detail"]) for told in proxy.told] == [
        (f"{longest}:443", "not on the list"),
        (f"{longest}.a:443", "it is not the name of a host in plain ASCII"),
    ]


@pytest.mark.slow
def test_only_so_many_hosts_are_told_of(start: Start) -> None:
    proxy = start(mode="list")
    for number in range(510):
        proxy.ask(f"CONNECT host{number}.example:443 HTTP/1.1\r\n\r\n".encode())
    proxy.end()
    assert len(proxy.told) == 501
    assert proxy.told[-1]["detail"] == "more than 500 hosts were asked for; no others are listed"


@pytest.mark.slow
def test_too_many_connections_are_refused_and_then_it_goes_on(start: Start, echoing: int) -> None:
    proxy = start()
    held = [proxy.connect() for _ in range(MOST_CONNECTIONS)]
    held[-1].sendall(b"\r\n")
    wait_until(lambda: b" 503 " in proxy.ask(f"CONNECT 127.0.0.1:{echoing} HTTP/1.1\r\n\r\n".encode())[:20])
    for connection in held:
        connection.close()

    def is_free() -> bool:
        with proxy.connect() as connection:
            connection.sendall(f"CONNECT 127.0.0.1:{echoing} HTTP/1.1\r\n\r\n".encode())
            return b" 200 " in connection.recv(20)

    wait_until(is_free)


@pytest.mark.slow
def test_what_nobody_reads_does_not_pile_up(start: Start) -> None:
    sent = threading.Event()

    def flood(connection: socket.socket) -> None:
        connection.settimeout(1)
        try:
            for _ in range(1000):
                connection.sendall(bytes(1 << 20))
        except TimeoutError:
            sent.set()  # nobody takes it

    proxy = start()
    with server(flood) as port, proxy.tunnel(f"127.0.0.1:{port}"):
        assert sent.wait(90)
        (kilobytes,) = re.findall(r"VmRSS:\s+(\d+)", Path(f"/proc/{proxy.process.pid}/status").read_text())
        assert int(kilobytes) < 60_000


@pytest.mark.slow
@pytest.mark.parametrize("reset", [False, True])
def test_a_client_that_is_gone_ends_its_connection_on_the_other_side(start: Start, reset: bool) -> None:
    ended: list[bytes] = []
    proxy = start()
    with server(lambda connection: ended.append(connection.recv(1))) as port:
        for _ in range(300):
            with proxy.tunnel(f"127.0.0.1:{port}") as tunnel:
                if reset:
                    tunnel.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        wait_until(lambda: len(ended) == 300)


def test_it_ends_with_its_box_and_without_settings(start: Start, lib: Path, echoing: int) -> None:
    proxy = start()
    with proxy.tunnel(f"127.0.0.1:{echoing}"), proxy.connect():
        assert proxy.end() == 0


@pytest.mark.skipif(os.uname().sysname != "Linux", reason="only Linux has it")
def test_no_process_of_the_same_user_looks_into_it(start: Start, echoing: int) -> None:
    proxy = start()
    proxy.tunnel(f"127.0.0.1:{echoing}").close()
    status = Path(f"/proc/{proxy.process.pid}/status").read_text()
    assert "NoNewPrivs:\t1" in status
    assert os.getuid() != 0 or "CapEff:\t0000000000000000" in status
