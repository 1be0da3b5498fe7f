"""A small internet for tests, in network and mount namespaces of its own: addresses, names, servers. Needs root on Linux.

As a program: `network_lab.py COMMAND…` runs a command in it, and ends as that does. Every address is reached, private ones too: what a test finds
closed was not closed by this.
"""

import ctypes
import http.server
import json
import os
import shutil
import socket
import socketserver
import struct
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

PUBLIC, PUBLIC_6, PRIVATE, METADATA = "93.184.215.14", "2606:2800:21f:cb07::14", "10.1.2.3", "169.254.169.254"
OTHER = "93.184.215.99"
DNS = OTHER
WEB, ECHO, ODD = 80, 443, 8080
ABSTRACT = "ccterm-network-lab"
NAMES: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "listed.example": ((PUBLIC,),),
    "below.wide.example": ((PUBLIC,),),
    "six.example": ((PUBLIC_6,),),
    "elsewhere.example": ((OTHER,),),
    "private.example": ((PRIVATE,),),
    "loopback.example": (("127.0.0.1",),),
    "metadata.example": ((METADATA,),),
    "azure.example": (("168.63.129.16",),),
    "shared.example": (("100.64.0.1",),),
    "local6.example": (("fd00::3",),),
    "mapped.example": (("::ffff:10.1.2.3",),),
    "both.example": ((PUBLIC, PRIVATE),),
    "rebinding.example": ((PUBLIC,), (PRIVATE,)),
}
"""Name -> its answers: the first question gets the first, and so on; the last one stays."""


def why_not() -> str:
    """Return why there can be no lab here, or ""."""
    if sys.platform != "linux" or os.getuid() != 0 or shutil.which("ip") is None:
        return "needs root on Linux, and iproute2"
    return (
        ""
        if subprocess.run(["unshare", "-n", "-m", "true"], capture_output=True, check=False).returncode == 0
        else "namespaces are forbidden"
    )


class Web(http.server.BaseHTTPRequestHandler):
    """Answers with what it was asked, and where."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer."""
        length = int(self.headers.get("Content-Length") or 0)
        said = {
            "at": self.connection.getsockname()[0],
            "host": self.headers.get("Host"),
            "path": self.path,
            "body": length and self.rfile.read(length).decode(),
        }
        body = json.dumps(said | {"headers": sorted(name.lower() for name in self.headers)}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815 - the name is given

    def log_message(self, *_: object) -> None:
        """Be quiet."""


class Server(http.server.ThreadingHTTPServer):
    """A server for both families."""

    address_family = socket.AF_INET6
    request_queue_size = 256


class Echo(socketserver.BaseRequestHandler):
    """Sends back what it gets."""

    def handle(self) -> None:
        """Do it."""
        with suppress(OSError):
            while data := self.request.recv(65536):
                self.request.sendall(data)


class EchoServer(socketserver.ThreadingTCPServer):
    """The same for connections."""

    address_family = socket.AF_INET6
    allow_reuse_address = daemon_threads = True


class Names:
    """Answers questions for addresses."""

    def __init__(self) -> None:
        self._asked: dict[tuple[str, int], int] = {}

    def answer(self, question: bytes) -> bytes:
        """Return the answer to one question."""
        labels, at = [], 12
        while question[at]:
            labels.append(question[at + 1 : at + 1 + question[at]].decode("latin-1").lower())
            at += 1 + question[at]
        (kind,) = struct.unpack(">H", question[at + 1 : at + 3])
        name = ".".join(labels)
        answers = NAMES.get(name, ((),))
        count = self._asked[name, kind] = self._asked.get((name, kind), 0) + 1
        found = answers[min(count, len(answers)) - 1]
        packed = [socket.inet_pton(socket.AF_INET6 if ":" in each else socket.AF_INET, each) for each in found]
        records = [
            b"\xc0\x0c" + struct.pack(">HHIH", kind, 1, 0, len(data)) + data for data in packed if len(data) == (4 if kind == 1 else 16)
        ]
        code = 0x8180 if name in NAMES else 0x8183
        return question[:2] + struct.pack(">HHHHH", code, 1, len(records), 0, 0) + question[12 : at + 5] + b"".join(records)


def serve_names(names: Names) -> None:
    """Serve DNS over UDP and TCP."""
    datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    datagrams.bind((DNS, 53))
    listener = socket.create_server((DNS, 53))

    def by_udp() -> None:
        while True:
            question, sender = datagrams.recvfrom(2048)
            datagrams.sendto(names.answer(question), sender)

    def by_tcp() -> None:
        while True:
            connection, _ = listener.accept()
            with connection, suppress(OSError, struct.error, IndexError):
                (length,) = struct.unpack(">H", connection.recv(2))
                answer = names.answer(connection.recv(length))
                connection.sendall(struct.pack(">H", len(answer)) + answer)

    for server in (by_udp, by_tcp):
        threading.Thread(target=server, daemon=True).start()


def build() -> None:
    """Make the lab of the namespaces that this process is in."""
    libc = ctypes.CDLL(None, use_errno=True)
    with tempfile.NamedTemporaryFile("w") as file:
        file.write(f"nameserver {DNS}\n")
        file.flush()
        Path(file.name).chmod(0o644)
        if libc.mount(file.name.encode(), b"/etc/resolv.conf", None, ctypes.c_ulong(4096), None):
            raise OSError(ctypes.get_errno(), "resolv.conf")
    addresses = [f"{each}/32" for each in (PUBLIC, OTHER, PRIVATE, METADATA, "168.63.129.16", "100.64.0.1")]
    addresses += [f"{each}/128" for each in (PUBLIC_6, "fd00::3")]
    routes = ["route add 224.0.0.0/4 dev lo", "route add 255.255.255.255 dev lo"]
    batch = "\n".join(["link set lo up", *(f"addr add {each} dev lo{' nodad' if ':' in each else ''}" for each in addresses), *routes])
    subprocess.run(["ip", "-batch", "-"], input=batch.encode(), check=True)
    Path("/proc/sys/net/ipv4/ping_group_range").write_text("0 2147483647")
    abstract = socket.socket(socket.AF_UNIX)
    abstract.bind("\0" + ABSTRACT)
    abstract.listen(8)
    serve_names(Names())
    servers: list[socketserver.BaseServer] = [Server(("::", port), Web) for port in (WEB, ODD)]
    for server in [*servers, EchoServer(("::", ECHO), Echo)]:
        threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True).start()
    threading.Thread(target=abstract.accept, daemon=True).start()


def main() -> None:
    """Run a command in a lab."""
    if os.environ.pop("IN_THE_LAB", "") != "yes":
        os.execvpe(
            "unshare",
            ["unshare", "-n", "-m", "--propagation", "private", sys.executable, __file__, *sys.argv[1:]],
            {**os.environ, "IN_THE_LAB": "yes"},
        )
    build()
    sys.exit(subprocess.run(sys.argv[1:], check=False).returncode)


if __name__ == "__main__":
    main()
