"""What the tests of whole runs against remotes share: settings for one test, and searches for what must not be there."""

import base64
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from ccterm.draft import Draft
from ccterm.models import Run
from ccterm.service.protocol import Service


def configure(home: Path, text: str) -> None:
    """Write the user's settings. home: the value of the fixture `isolation`."""
    path = home / "config" / "ccterm" / "config.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


async def carried_out(service: Service, draft: Draft) -> Run:
    """Submit one task and return its run when it has ended."""
    [queued] = await service.submit([draft])
    return await service.wait(queued.id)


def forms(secret: str, user: str = "x-access-token") -> tuple[bytes, ...]:
    """Return a token and its form in a header."""
    return secret.encode(), base64.b64encode(secret.encode()).rstrip(b"="), base64.b64encode(f"{user}:{secret}".encode())


def found_below(directory: Path, needles: Sequence[bytes]) -> list[Path]:
    """Return the files whose name or bytes hold one of the needles; others may make and remove files meanwhile."""
    found = []
    for path in (Path(place, name) for place, _, names in os.walk(directory) for name in names):
        with suppress(FileNotFoundError):
            if path.is_file() and any(needle in path.read_bytes() + str(path).encode() for needle in needles):
                found.append(path)
    return found


def command_lines() -> Iterator[bytes]:
    """Yield the command lines of all processes on this machine."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            yield path.read_bytes()
        except OSError:
            continue  # it has ended meanwhile
