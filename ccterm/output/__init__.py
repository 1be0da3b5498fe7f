"""The one door for everything that a box prints: decode, sanitise, mask, then events.

`sanitise` takes out what could drive a terminal or hide in a text, `mask` replaces secrets, `clean` does both in that order: an escape
sequence inside a token must not hide it.
"""
