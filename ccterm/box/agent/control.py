"""The box's end of the control socket: it receives orders and sends nothing."""

import contextlib
import select
import socket
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from ccterm.box.process.loop import Want
from ccterm.git.bounded_json import read_json

if TYPE_CHECKING:
    from ccterm.box.protocol import Order


class Orders:
    """Orders from the host. Connects at once; raises OSError when nobody listens."""

    def __init__(self, path: str | None) -> None:
        self._socket = socket.socket(socket.AF_UNIX) if path else None
        self._rest = b""
        self.obey: Callable[[Order], None] = lambda _: None
        """Is called with each order as it arrives."""
        if self._socket and path:
            self._socket.connect(path)

    def wants(self) -> Iterator[Want]:
        """Wait for orders."""
        if self._socket:
            yield self._socket.fileno(), select.POLLIN, self._serve

    def close(self) -> "list[Order]":
        """Stop accepting orders, visibly for the host, and return those that had arrived until then."""
        if self._socket:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RD)
        orders = []
        while self._socket:
            orders += self._pull()
        return orders

    def obey_arrived(self) -> None:
        """Obey what has arrived by now, without waiting for more."""
        poller = select.poll()
        if self._socket:
            poller.register(self._socket, select.POLLIN)
        while self._socket and poller.poll(0):
            self._serve()

    def _serve(self) -> None:
        for order in self._pull():
            self.obey(order)

    def _pull(self) -> "list[Order]":
        data = b""
        if self._socket:
            with contextlib.suppress(OSError):
                data = self._socket.recv(65536)
        if not data and self._socket:
            self._socket.close()
            self._socket = None
        *lines, self._rest = (self._rest + data).split(b"\n")
        return [order for line in lines if (order := _read(line))]


def _read(line: bytes) -> "Order | None":
    with contextlib.suppress(ValueError):
        order = read_json(line)
        if isinstance(order, dict) and isinstance(order.get("do"), str):
            return {"do": order["do"], "text": str(order.get("text", "")), "request": str(order.get("request", ""))}
    return None
