"""The host's end of a supervisor's control socket: orders go in, nothing that comes out is believed."""

import asyncio
import contextlib
import json
import os
import secrets
import stat
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from ccterm.box.protocol import Order
from ccterm.errors import StateError


class Control:
    """One supervisor's control socket. Accepts exactly one connection, then the listener and its name are gone."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._connected = asyncio.Event()
        self._writer: asyncio.StreamWriter | None = None
        self._server: asyncio.Server | None = None
        self.lost = False
        """Whether the supervisor is gone, or nobody listens for it any more."""

    @classmethod
    @asynccontextmanager
    async def listen(cls, directory: Path) -> AsyncIterator["Control"]:
        """Listen in a short private directory (AF_UNIX names end at 103 bytes) for as long as the block lasts."""
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
                continue  # whatever a box says here is not believed; its end is
        self.lost = True

    def _stop_listening(self) -> None:
        if self._server is not None:
            self._server.close()
        self.path.unlink(missing_ok=True)

    async def _close(self) -> None:
        self._stop_listening()
        self.lost = True
        self._connected.set()  # nobody waits any longer for a supervisor that never came
        if self._writer is not None:
            self._writer.close()
            with contextlib.suppress(OSError):
                await self._writer.wait_closed()

    async def send(self, order: Order) -> bool:
        """Send one order; waits for the supervisor to connect first. Returns False when it is gone already.

        True means that the supervisor will read it: what was sent before it shut its end is read to the last byte.
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
    """Make a short private directory for sockets. Raises StateError when it cannot be private."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    parent = Path(runtime) if runtime and len(runtime) < 60 and Path(runtime).is_dir() else Path("/tmp")
    directory = Path(tempfile.mkdtemp(prefix="ccterm-", dir=parent))
    facts = directory.lstat()
    if facts.st_uid != os.getuid() or stat.S_IMODE(facts.st_mode) != 0o700:
        raise StateError(f"the socket directory {directory} is not private", "check the permissions of its parent")
    return directory
