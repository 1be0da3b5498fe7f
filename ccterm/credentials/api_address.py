"""The Claude API at an address on this machine: a gateway that is not running is reported at once, not after minutes of the CLI's own retries."""

import asyncio
from urllib.parse import urlsplit

from ccterm.errors import PreflightError
from ccterm.remotes import is_loopback

DIAL_SECONDS = 2.0


def on_this_machine(base_url: str | None) -> bool:
    """Whether an address of the API is one on this machine."""
    host = urlsplit(base_url or "").hostname
    return bool(host) and is_loopback(host or "")


async def require_listening(base_url: str | None) -> None:
    """Raise PreflightError if the API's address is on this machine and nothing listens there."""
    if not base_url or not on_this_machine(base_url):
        return
    parts = urlsplit(base_url)
    try:
        async with asyncio.timeout(DIAL_SECONDS):
            _, writer = await asyncio.open_connection(parts.hostname, parts.port or (443 if parts.scheme == "https" else 80))
    except (OSError, TimeoutError) as error:
        why = "nothing listens there" if isinstance(error, ConnectionRefusedError) else getattr(error, "strerror", None) or "no answer"
        raise PreflightError(
            f"the Claude API at {base_url} cannot be reached: {why}",
            "start what should listen there, or change ANTHROPIC_BASE_URL (base_url in the settings)",
        ) from error
    writer.close()
