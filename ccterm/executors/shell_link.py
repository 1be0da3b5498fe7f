"""The host's end of the connection to a shell in a box: keys and window sizes go out, and what its programs draw comes back."""

import asyncio
import shutil
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from ccterm.box import DRAWN, KEYS, RESIZED, SHELL_HEAD, SHELL_SIZE
from ccterm.executors.control import socket_directory

_HEAD = struct.Struct(SHELL_HEAD)
_LONGEST = 1024 * 1024
"""Bytes that a message from a box may have: it may send anything."""
_MOST_WAITING = 256 * 1024


class ShellLink:
    """Waits for one shell at `path`, and is the way to it from then on."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.connected = asyncio.Event()
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    @classmethod
    @asynccontextmanager
    async def listen(cls) -> AsyncIterator["ShellLink"]:
        """Listen for the duration of the block, in a private directory. Raises StateError."""
        directory = await asyncio.to_thread(socket_directory)
        link = cls(directory / "shell.sock")
        try:
            server = await asyncio.start_unix_server(link._accept, link.path)
            link.path.chmod(0o600)
            try:
                yield link
            finally:
                server.close()
                link.close()
        finally:
            shutil.rmtree(directory, ignore_errors=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._writer is not None:
            writer.close()
            return
        self._reader, self._writer = reader, writer
        self.connected.set()

    @property
    def slow(self) -> bool:
        """Whether so many keys wait for the shell that no more should be read."""
        return self._writer is not None and self._writer.transport.get_write_buffer_size() > _MOST_WAITING

    @property
    def closed(self) -> bool:
        """Whether this end has hung up."""
        return self._writer is not None and self._writer.is_closing()

    def send_keys(self, keys: bytes) -> None:
        """Send keys; they are dropped when the shell is gone."""
        self._send(KEYS, keys)

    def send_size(self, rows: int, columns: int) -> None:
        """Say how large the window is."""
        self._send(RESIZED, struct.pack(SHELL_SIZE, rows, columns))

    def _send(self, kind: bytes, body: bytes) -> None:
        if self._writer is not None and not self._writer.is_closing():
            self._writer.write(_HEAD.pack(kind, len(body)) + body)

    async def output(self) -> AsyncIterator[bytes]:
        """Yield what the shell's programs draw, until it ends or the link is closed."""
        with suppress(OSError, asyncio.IncompleteReadError):
            while self._reader is not None:
                kind, length = _HEAD.unpack(await self._reader.readexactly(_HEAD.size))
                if length > _LONGEST:
                    return
                body = await self._reader.readexactly(length)
                if kind == DRAWN:
                    yield body

    def close(self) -> None:
        """Hang up."""
        if self._writer is not None:
            self._writer.close()
