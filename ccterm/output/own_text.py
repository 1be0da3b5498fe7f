"""The one door for what ccterm says itself: errors, notices, its log, answers of checks, what commands print.

What boxes print is cleaned by a masker of its own run. This one knows every secret that the process has read so far, whatever it read it
for, so that no message can carry one that some library put into its words.
"""

import threading
from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import unquote

from ccterm.git.address import split_address
from ccterm.output.clean import WITHHELD, Cleaner
from ccterm.output.mask import Masker
from ccterm.output.sanitise import sanitise

MOST = 500
"""How many values are remembered; logins change every few hours, and a daemon lives long."""


_SHORTEST_USER = 12
"""Shortest user name without a password that is taken for a token, in characters."""


class _Remembered:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._names: dict[str, str] = {}
        """Value -> name, the newest last."""
        self._masker: Masker | None = None

    def add(self, secrets: Iterable[tuple[str, str]]) -> None:
        with self._lock:
            for name, value in secrets:
                if value and value not in self._names:
                    self._names[value] = name
                    self._masker = None
            while len(self._names) > MOST:
                del self._names[next(iter(self._names))]

    def clear(self) -> None:
        with self._lock:
            self._names, self._masker = {}, None

    def masker(self) -> Masker:
        with self._lock:
            if self._masker is None:
                self._masker = Masker([(name, value) for value, name in self._names.items()])
            return self._masker


_remembered = _Remembered()


def remember(secrets: Iterable[tuple[str, str]]) -> None:
    """Mask these values in everything that this process says from now on. secrets: names, which may be shown, and values."""
    _remembered.add(secrets)


def cleaner() -> Cleaner:
    """Return a cleaner that knows what this process has read so far, for texts that arrive in pieces."""
    return Cleaner(_remembered.masker())


def forget() -> None:
    """Remember nothing any more, as a process that has just started; for tests that share one."""
    _remembered.clear()


def clean_text(text: str) -> str:
    """Return a text sanitised, and with no secret that this process has read; withheld if that fails for any reason."""
    try:
        return _remembered.masker().mask(sanitise(text))
    except Exception:  # noqa: BLE001 - as in output/clean.py, and without a word in the log: the log comes through here, too
        return WITHHELD


def address_secrets(addresses: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield the passwords, and user names that may be tokens, in addresses by the names of their variables. One without a scheme has them, too."""
    for name, address in addresses.items():
        userinfo, at, _ = split_address(address if "://" in address else f"http://{address}").authority.rpartition("@")
        user, _, password = userinfo.partition(":")
        secret = password or (user if len(user) >= _SHORTEST_USER else "")
        if at and secret:
            yield from ((f"the password in {name}", spelled) for spelled in dict.fromkeys((unquote(secret), secret)))
