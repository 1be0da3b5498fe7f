"""What the cases of a table of texts are called in the names of tests."""

import re


def ident(value: object) -> str:
    """Return a case's name: short, and of characters that every terminal has."""
    text = re.sub(r"[^A-Za-z0-9./:@_-]", lambda char: f"<{ord(char[0]):x}>", str(value))
    return text if len(text) < 60 else f"{text[:40]}({len(text)})"
