"""Programs that run inside a box: standard library only, started as `python3 -I BOX_LIB/__main__.py PROGRAM REQUEST` (a JSON file, or "-" for stdin).

Each step waits for its program's imports. So no dataclasses here, which bring `inspect`; what only an error needs is imported then, and the types of
requests and reports (`protocol.py`) only by type checkers: making them would take each program 2 ms.
"""

import os

PARENT_WATCH = "CCTERM_PARENT_WATCH"
"""Environment name; "stdin" = the program's stdin is a pipe from the host, and its end means that the host is gone."""

HIDDEN = "hidden"
"""Field of every request, for an executor: names of the variables whose values its engine masks in the program's output."""

CHECKPOINT_BYTES = 64 * 1024 * 1024
"""Most that the files of one checkpoint hold together."""

COMMIT_REPORT = "report.json"
"""Among the outputs of a commit that was made in the agent's box: the step's report, and the body of the message.

A file, because values that an engine masks in the output of that box may occur in it by chance.
"""

SHELL_HEAD, SHELL_SIZE = ">cI", ">HH"
"""How `struct` packs what goes to a shell in a box and comes from it: a head of kind and length; and a window size, rows and columns."""
KEYS, RESIZED, DRAWN, BEAT = b"k", b"s", b"d", b"b"
"""The kinds: to the shell its keys and the window's size, from it what its programs draw, and nothing, to see whether anybody is there."""


def fresh_uuid() -> str:
    """Return a uuid4. Importing uuid would cost start-up time."""
    digits = os.urandom(16).hex()
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"
