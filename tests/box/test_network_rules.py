"""The rules of the box proxy: what a request is for, what a list allows, which addresses are of the internet, what a TLS client asks for."""

import ssl
from contextlib import suppress
from ipaddress import ip_address

import pytest

from ccterm.box.network.heads import CHUNKED, BadHead, read_head
from ccterm.box.network.targets import BadTarget, HostPort, is_listed, is_of_internet, read_target
from ccterm.box.network.tls import NotTls, Unfinished, server_name
from ccterm.box.network.upstream import UserProxies


@pytest.mark.parametrize(
    ("authority", "expected"),
    [
        (b"Example.COM:443", "example.com:443"),
        (b"example.com.:80", "example.com:80"),
        (b"xn--bcher-kva.example:1", "xn--bcher-kva.example:1"),
        (b"93.184.215.14:65535", "93.184.215.14:65535"),
        (b"[2606:2800:21F::14]:443", "[2606:2800:21f::14]:443"),
        (b"[::ffff:102:304]:443", "[::ffff:1.2.3.4]:443"),
        (b"[::FFFF:1.2.3.4]:443", "[::ffff:1.2.3.4]:443"),
        (b"a_b.example:443", "a_b.example:443"),
    ],
)
def test_a_target_has_one_spelling(authority: bytes, expected: str) -> None:
    assert str(read_target(authority)) == expected


@pytest.mark.parametrize(
    "authority",
    [
        b"", b":443", b"example.com", b"example.com:", b"example.com:0", b"example.com:65536", b"example.com:-1", b"example.com: 443",
        b"example.com:443:443", b"user@example.com:443", b"a b:443", b"ex%61mple.com:443", b"ex\xc3\xa4mple.com:443", b"-a.example:443",
        b"a..example:443", b".example:443", b"a" * 64 + b":443", b".".join([b"a" * 63] * 5) + b":443", b"1:443", b"127.1:443", b"0x7f.0.0.1:443",
        b"0177.0.0.1:443", b"256.1.1.1:443", b"1.2.3.4.5:443", b"a.0x1:443", b"::1:443", b"[::1:443", b"[::1]443", b"[1.2.3.4]:443", b"[fe80::1%25lo]:443",
        b"[example.com]:443", b"example.com\x00:443", b"example.com\n:443", b"*.example.com:443",
    ],
)  # fmt: skip
def test_what_two_readers_could_take_for_two_targets_is_none(authority: bytes) -> None:
    with pytest.raises(BadTarget):
        read_target(authority)


@pytest.mark.parametrize(
    ("target", "allowed"),
    [
        ("example.com:443", True), ("example.com:80", True), ("example.com:22", False), ("a.example.com:443", False), ("registry.example:8443", True),
        ("registry.example:443", False), ("a.wide.example:443", True), ("a.b.wide.example:80", True), ("wide.example:443", False),
        ("xwide.example:443", False), ("a.one.example:22", True), ("a.one.example:443", False), ("1.2.3.4:443", False), ("[::1]:443", False),
        ("a.example.com.evil.example:443", False),
    ],
)  # fmt: skip
def test_a_list_allows_a_host_at_its_ports(target: str, allowed: bool) -> None:
    patterns = ["example.com", "registry.example:8443", "*.wide.example", "*.one.example:22", "1.2.3.4", "::1"]
    assert is_listed(read_target(target.encode()), patterns) is allowed


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0", "10.1.2.3", "100.64.0.1", "100.100.100.200", "127.0.0.1", "127.255.0.1", "169.254.169.254", "172.16.0.1", "172.31.255.255",
        "192.0.0.192", "192.0.2.1", "192.168.1.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.251", "240.0.0.1", "255.255.255.255",
        "168.63.129.16", "::", "::1", "::10.0.0.1", "::ffff:10.0.0.1", "::ffff:127.0.0.1", "64:ff9b::10.0.0.1", "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::1", "2002:0a00:0001::1", "2002:7f00:0001::", "2001::1", "2001:db8::1", "3fff::1", "fc00::1", "fd00:ec2::254", "fe80::1",
        "fec0::1", "ff02::1", "100::1", "4000::1",
    ],
)  # fmt: skip
def test_an_address_of_no_use_to_all_is_not_of_the_internet(address: str) -> None:
    assert not is_of_internet(ip_address(address))


@pytest.mark.parametrize(
    "address",
    [
        "1.1.1.1",
        "93.184.215.14",
        "172.32.0.1",
        "192.169.0.1",
        "100.128.0.1",
        "2606:4700::1111",
        "::ffff:1.1.1.1",
        "64:ff9b::101:101",
        "2002:0101:0101::",
    ],
)
def test_an_address_of_the_internet(address: str) -> None:
    assert is_of_internet(ip_address(address))


def test_a_forwarded_head_is_for_its_own_host_alone() -> None:
    head = read_head(
        b"POST http://Example.com:8080?q=1#top HTTP/1.1\r\nHost: other.example\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\nUpgrade: h2c\r\n"
        b"Proxy-Authorization: Basic eA==\r\nProxy-Connection: keep-alive\r\nX-Kept: a b \r\nContent-Length: 3\r\n\r\n"
    )
    direct = head.forwarded(HostPort("example.com", 8080), through_proxy=False)
    assert direct == (b"POST /?q=1 HTTP/1.1\r\nHost: example.com:8080\r\nConnection: close\r\nx-kept: a b\r\ncontent-length: 3\r\n")
    assert head.forwarded(HostPort("example.com", 8080), through_proxy=True).startswith(b"POST http://example.com:8080/?q=1 HTTP/1.1\r\n")
    assert head.body() == 3


def test_the_length_of_a_body() -> None:
    assert read_head(b"GET http://a.example/ HTTP/1.1\r\n\r\n").body() == 0
    assert read_head(b"POST http://a.example/ HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\r\n").body() == CHUNKED
    with pytest.raises(BadHead):
        read_head(b"POST http://a.example/ HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n").body()


def client_hello(name: str | None) -> bytes:
    """Return what a real client says first."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    outgoing = ssl.MemoryBIO()
    client = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=name)
    with suppress(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


@pytest.mark.parametrize(("name", "expected"), [("Example.com", "example.com"), (None, None)])
def test_the_name_that_a_tls_client_asks_for_however_its_message_is_cut(name: str | None, expected: str | None) -> None:
    hello = client_hello(name)
    assert server_name(hello) == expected
    for length in range(len(hello)):
        with pytest.raises(Unfinished):
            server_name(hello[:length])
    body = hello[5:]
    records = [b"\x16\x03\x01" + len(part).to_bytes(2, "big") + part for part in (body[:1], body[1:50], body[50:])]
    assert server_name(b"".join(records)) == expected


@pytest.mark.parametrize(
    "data", [b"SSH-2.0-OpenSSH", b"GET / HTTP/1.1\r\n", b"\x16\x03\x01\x00\x00", b"\x16\x03\x01\x00\x04\x02\x00\x00\x00"]
)
def test_what_is_no_tls(data: bytes) -> None:
    with pytest.raises(NotTls):
        server_name(data)


def test_no_proxy_names_hosts_between_commas_and_blanks() -> None:
    proxies = UserProxies({"HTTPS_PROXY": "proxy:3128", "NO_PROXY": "One.example two.example,\t.three.example"})
    dialled = [
        host for host in ("one.example", "two.example", "a.three.example", "four.example") if not proxies.for_tunnel(HostPort(host, 443))
    ]
    assert dialled == ["one.example", "two.example", "a.three.example"]


@pytest.mark.parametrize("value", ["http://[proxy", "http://proxy:port", "socks5://proxy:1080", "http://"])
def test_a_proxy_of_the_user_s_that_is_none_is_not_used(value: str) -> None:
    assert UserProxies({"HTTPS_PROXY": value}).for_tunnel(HostPort("example.com", 443)) is None
