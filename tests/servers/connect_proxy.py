"""A loopback proxy for CONNECT, as a user's HTTPS_PROXY names one: every tunnel leads to one server, whatever host is asked for."""

import contextlib
import socket
import threading

from tests.servers.loopback import Handler, Loopback

PIECE = 64 * 1024


class ConnectProxy(Loopback):
    """Opens tunnels to the loopback port `to`. `asked` records targets and the login that came with each."""

    def __init__(self, to: int, *, login: str = "") -> None:
        """login: the whole Proxy-Authorization that is required, or ""."""
        super().__init__(_ConnectHandler)
        self.to, self.login = to, login
        self.asked: list[tuple[str, str]] = []
        self.tunnels = 0
        """How many are open."""


class _ConnectHandler(Handler):
    server: ConnectProxy

    def do_CONNECT(self) -> None:
        login = self.headers.get("Proxy-Authorization", "")
        self.server.asked.append((self.path, login))
        if login != self.server.login:
            self.answer(407, headers={"Proxy-Authenticate": "Basic"})
            return
        self.close_connection = True
        with socket.create_connection(("127.0.0.1", self.server.to)) as server:
            self.server.tunnels += 1
            self.send_response(200)
            self.end_headers()
            back = threading.Thread(target=_pump, args=(server, self.connection), daemon=True)
            back.start()
            _pump(self.connection, server)
            back.join()
            self.server.tunnels -= 1


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(PIECE):
            sink.sendall(data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_RDWR)
