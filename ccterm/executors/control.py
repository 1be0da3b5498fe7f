"""The host's end of a supervisor's control socket: orders go out; nothing that comes back is trusted."""

import asyncio
import contextlib
import json
import os
import secrets
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from ccterm.box.protocol import Order
from ccterm.errors import StateError
from ccterm.executors.temporary import make_temporary, sockets_parent


class Control:
    """One supervisor's control socket. It accepts exactly one connection, then closes the listener and removes its name."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._connected = asyncio.Event()
        self._writer: asyncio.StreamWriter | None = None
        self._server: asyncio.Server | None = None
        self.lost = False
        """Whether the supervisor is gone, or the host stopped listening for it."""

    @classmethod
    @asynccontextmanager
    async def listen(cls, directory: Path) -> AsyncIterator["Control"]:
        """Listen for the duration of the block, in a private directory with a short path (AF_UNIX names end at 103 bytes)."""
        control = cls(directory / f"{secrets.token_hex(6)}.sock")
        control._server = await asyncio.start_unix_server(control._accept, control.path)
        control.path.chmod(0o600)
        try:
            yield control
        finally:
            await control._close()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._writer is not None:
            writer.close()
            return
        self._writer = writer
        self._stop_listening()
        self._connected.set()
        with contextlib.suppress(OSError):
            while await reader.read(4096):
                continue  # what a box sends here is not trusted; only its end counts
        self.lost = True

    def _stop_listening(self) -> None:
        if self._server is not None:
            self._server.close()
        self.path.unlink(missing_ok=True)

    async def _close(self) -> None:
        self._stop_listening()
        self.lost = True
        self._connected.set()  # release senders that wait for a supervisor that never connected
        if self._writer is not None:
            self._writer.close()
            with contextlib.suppress(OSError):
                await self._writer.wait_closed()

    async def send(self, order: Order) -> bool:
        """Send one order, after the supervisor has connected. Returns False when it is gone already.

        True means that the supervisor will read it: it reads everything that was sent before it closed its end.
        """
        await self._connected.wait()
        if self.lost or self._writer is None:
            return False
        try:
            self._writer.write(json.dumps(order).encode() + b"\n")
            await self._writer.drain()
        except OSError:
            return False
        return True


def socket_directory() -> Path:
    """Make a private directory with a short path for sockets. Raises StateError when it is not private."""
    directory = make_temporary("s", sockets_parent())
    facts = directory.lstat()
    if facts.st_uid != os.getuid() or stat.S_IMODE(facts.st_mode) != 0o700:
        raise StateError(f"the socket directory {directory} is not private", "check the permissions of its parent")
    return directory
