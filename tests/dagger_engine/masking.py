"""Masks the exact values of secrets in an exec's output, also when a value is split over two writes."""

from collections.abc import Sequence

MASK = b"***"


class Masking:
    """Masks one stream of one exec."""

    def __init__(self, secrets: Sequence[str]) -> None:
        self._secrets = [secret.encode() for secret in secrets if secret]
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        """Return what may be shown now; a possible start of a value is held back until more output decides."""
        whole = self._masked(self._held + data)
        held = max((_overlap(whole, secret) for secret in self._secrets), default=0)
        self._held = whole[len(whole) - held :]
        return whole[: len(whole) - held]

    def rest(self) -> bytes:
        """Return the rest, at the end of the stream."""
        held, self._held = self._held, b""
        return held

    def _masked(self, data: bytes) -> bytes:
        for secret in self._secrets:
            data = data.replace(secret, MASK)
        return data


def _overlap(data: bytes, secret: bytes) -> int:
    """Return how many of the last bytes may be the start of a value."""
    longest = min(len(secret) - 1, len(data))
    return next((count for count in range(longest, 0, -1) if data.endswith(secret[:count])), 0)
