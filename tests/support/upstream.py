"""A user's own proxy on the host's loopback: it answers CONNECT and plain requests, and remembers what it was asked for."""

import select
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

Route = Callable[[str, int], tuple[str, int] | None]
"""Where a host and a port lead; None = nowhere."""


class UpstreamProxy:
    """The proxy. asked: the request lines that it got, each with its Proxy-Authorization, if there was one."""

    def __init__(self, route: Route) -> None:
        self.route, self.asked = route, list[tuple[str, str | None]]()
        proxy = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                with suppress(OSError):
                    proxy.serve(self.connection)

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = allow_reuse_address = True
            request_queue_size = 128

        self._server = Server(("127.0.0.1", 0), Handler)
        self.port: int = self._server.server_address[1]

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    @contextmanager
    def running(self) -> Iterator["UpstreamProxy"]:
        """Serve for the duration of the block."""
        thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()

    def serve(self, client: socket.socket) -> None:
        """Serve one connection."""
        head = b""
        while b"\r\n\r\n" not in head:
            if not (data := client.recv(65536)):
                return
            head += data
        line, *headers = head.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
        login = next((header.partition(": ")[2] for header in headers if header.lower().startswith("proxy-authorization")), None)
        self.asked.append((line, login))
        method, wanted, _ = line.split(" ")
        authority = wanted if method == "CONNECT" else wanted.split("/")[2]
        host, _, port = authority.partition(":")
        target = self.route(host, int(port or 80))
        if target is None:
            client.sendall(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
            return
        with socket.create_connection(target, 30) as server:
            if method == "CONNECT":
                client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            else:
                server.sendall(head)
            relay(client, server)


def relay(one: socket.socket, other: socket.socket) -> None:
    """Pass bytes on between two connections until one ends."""
    while True:
        for source in select.select([one, other], [], [])[0]:
            data = source.recv(65536)
            if not data:
                return
            (other if source is one else one).sendall(data)
