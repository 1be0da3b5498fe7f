"""The token that a caller over TCP must have: a new one for each server, in a file that only this user can read."""

import fcntl
import hmac
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256

from ccterm.errors import StateError, UsageError
from ccterm.output.own_text import remember
from ccterm.state_dir import StateDir, private_file, write_private


class Token:
    """One server's token. id: what logs call it."""

    def __init__(self, value: str | None = None) -> None:
        self.value = value or secrets.token_urlsafe(32)
        self._expected = b"Bearer " + self.value.encode()
        self.id = sha256(self.value.encode()).hexdigest()[:8]
        remember([("the server's token", self.value)])

    def fits(self, header: bytes) -> bool:
        """Whether an Authorization header carries it; takes equally long whatever it carries."""
        scheme, _, rest = header.partition(b" ")
        return hmac.compare_digest(scheme.title() + b" " + rest.strip(b" "), self._expected)


@contextmanager
def only_server(state: StateDir) -> Iterator[Token]:
    """Be the one server of a state directory, with a token in its file, while the block lasts. Raises UsageError when another one is."""
    lock = private_file(state.server_lock)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UsageError(
                "a server of this state directory runs already", "stop it, or use it: ccterm token prints its token"
            ) from error
        token = Token()
        write_private(state.server_token, token.value.encode() + b"\n")
        try:
            yield token
        finally:
            state.server_token.unlink(missing_ok=True)
    finally:
        os.close(lock)


def current_token(state: StateDir) -> str:
    """Return the token of the server that runs now. Raises UsageError when none does."""
    nobody = UsageError("no server runs", "start one: ccterm serve")
    try:
        lock = os.open(state.server_lock, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            raise nobody  # what a killed one left in the file is worth nothing
        except BlockingIOError:
            return state.server_token.read_text().strip()
        finally:
            os.close(lock)
    except FileNotFoundError:
        raise nobody from None
    except OSError as error:
        raise StateError(f"{state.server_token} cannot be read: {error.strerror}", "check its permissions") from error
