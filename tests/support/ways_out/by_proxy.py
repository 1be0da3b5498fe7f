"""Ways out by services, and by tricks with the proxy."""

import os
import socket
import struct
import time
import urllib.request

from tests.support.ways_out.base import BOX, SECONDS, talk, way


@way
def a_port_of_a_service() -> None:
    alias, _, other = BOX["beside"]
    talk(alias, other)


@way
def a_service_at_its_port() -> None:
    alias, port, _ = BOX["beside"]
    with socket.create_connection((alias, port), 2) as connection:
        connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert connection.recv(4)


@way
def past_the_proxy() -> None:
    for name in [*os.environ]:
        if "proxy" in name.lower():
            del os.environ[name]
    urllib.request.urlopen(f"http://{BOX['private'][0]}:{BOX['private'][1]}/", timeout=SECONDS / 2)


def proxy() -> socket.socket:
    """Connect to the box proxy."""
    host, _, port = os.environ["HTTP_PROXY"].removeprefix("http://").rpartition(":")
    return socket.create_connection((host, int(port)), SECONDS / 2)


def ask(data: bytes) -> None:
    """Send bytes to the proxy. Raises when it does not answer that it passes them on."""
    with proxy() as connection:
        connection.settimeout(SECONDS / 2)
        connection.sendall(data)
        answer = connection.recv(200)
        assert answer.split(b" ")[1:2] == [b"200"], answer[:60].decode("latin-1")


def hello(*names: bytes) -> bytes:
    """Return a TLS client's first message that asks for these names."""
    entries = b"".join(b"\x00" + struct.pack(">H", len(name)) + name for name in names)
    extension = struct.pack(">HHH", 0, len(entries) + 2, len(entries)) + entries
    body = b"\x03\x03" + bytes(32) + b"\x00" + b"\x00\x02\x13\x01" + b"\x01\x00" + struct.pack(">H", len(extension)) + extension
    message = b"\x01" + struct.pack(">I", len(body))[1:] + body
    return b"\x16\x03\x01" + struct.pack(">H", len(message)) + message


def tunnel_says(*records: bytes) -> None:
    """Open a tunnel to what is listed, and send a TLS client's first bytes. Raises when the other end does not get them."""
    with proxy() as connection:
        connection.settimeout(SECONDS / 2)
        host, port = BOX["listed"]
        connection.sendall(f"CONNECT {host}:{port} HTTP/1.1\r\n\r\n".encode())
        assert connection.recv(200).startswith(b"HTTP/1.1 200")
        for record in records:
            connection.sendall(record)
            time.sleep(0.1)
        assert connection.recv(10), "the tunnel was closed"


@way
def tls_for_another_host() -> None:
    tunnel_says(hello(b"elsewhere.example"))


@way
def tls_for_another_host_in_pieces() -> None:
    whole = hello(b"elsewhere.example")
    tunnel_says(whole[:7], whole[7:60], whole[60:])


@way
def tls_for_another_host_in_records() -> None:
    whole = hello(b"elsewhere.example")[5:]
    tunnel_says(*(b"\x16\x03\x01" + struct.pack(">H", len(part)) + part for part in (whole[:3], whole[3:70], whole[70:])))


@way
def tls_for_another_host_after_an_alert() -> None:
    tunnel_says(b"\x15\x03\x01\x00\x02\x01\x5a" + hello(b"elsewhere.example"))  # which servers in Go, for example, pass over


@way
def tls_for_two_hosts() -> None:
    tunnel_says(hello(BOX["listed"][0].encode(), b"elsewhere.example"))
