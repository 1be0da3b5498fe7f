"""Everything that a box prints comes in here: decoded, sanitised, masked, then turned into events.

`sanitise` removes what could drive a terminal or hide in a text, `mask` replaces secrets, and `clean` does both in that order: an
escape sequence inside a token must not hide it from the masker.
"""
