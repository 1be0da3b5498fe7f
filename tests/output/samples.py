"""What the tests of cleaning share: secrets of every kind, ordinary lines, and ways to cut a text."""

import json
import random
import string
import uuid
from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from hypothesis import strategies as st

ALPHANUMERIC = string.ascii_letters + string.digits


def token(seed: int, length: int, alphabet: str = ALPHANUMERIC) -> str:
    """Return made-up token characters, the same for the same seed."""
    return "".join(random.Random(seed).choices(alphabet, k=length))


_GITHUB = "ghp_" + token(1, 36)
_CLAUDE = "sk-ant-oat01-" + token(2, 93, ALPHANUMERIC + "-_") + "AA"
LOGIN = {"claudeAiOauth": {"accessToken": token(3, 108), "refreshToken": token(4, 96), "expiresAt": 1790000000000, "scopes": ["user:inference"]}}

SECRETS = {
    "github": _GITHUB,
    "claude": _CLAUDE,
    "self-overlapping": "abcabcabcabd" * 3,
    "prefix of another": _GITHUB[:22],
    "suffix of another": _CLAUDE[-30:],
    "several lines": f"-first line of it-\n{token(5, 40)}\n-the last line-",
    "16 KiB": token(6, 16 * 1024),
    "odd characters": 'pa"ss\\wo & rd%é~ü',
}


class Stream(Protocol):
    """Anything that is fed with pieces of a text."""

    def feed(self, text: str) -> str: ...

    def flush(self) -> str: ...


def through(stream: Stream, pieces: Iterable[str]) -> str:
    """Return everything that a stream lets out."""
    return "".join([*(stream.feed(piece) for piece in pieces), stream.flush()])


def pieces(text: str, size: int, first: int = 0) -> Iterator[str]:
    """Cut a text into pieces of one size, after a first one of another."""
    if first:
        yield text[:first]
    for begin in range(first, len(text), size):
        yield text[begin : begin + size]


def cuttings(text: str) -> st.SearchStrategy[list[str]]:
    """Return all ways to cut a text."""
    return st.lists(st.integers(0, len(text)), max_size=40).map(lambda places: _cut(text, places))


def _cut(text: str, places: Sequence[int]) -> list[str]:
    edges = [0, *sorted(places), len(text)]
    return [text[begin:end] for begin, end in zip(edges, edges[1:], strict=False)]


def benign_lines(count: int, seed: int = 0) -> Iterator[str]:
    """Yield lines such as agents print all day: hashes, ids, paths, code, and prose that names the prefixes of tokens."""
    chance = random.Random(seed)
    for _ in range(count):
        yield chance.choice(_KINDS)(chance)


def _hexes(chance: random.Random, length: int) -> str:
    return f"{chance.getrandbits(4 * length):0{length}x}"


def _uuid(chance: random.Random) -> str:
    return str(uuid.UUID(int=chance.getrandbits(128), version=4))


_WORDS = (
    "the token begins with sk-ant- or ghp_ and is never logged AKIA github_pat_ glpat- masks gho_ ghs_x set a user:password pair "
    "ghp_your_token_here sk-ant-... AKIAEXAMPLE -----BEGIN CERTIFICATE----- -----BEGIN PRIVATE KEY----- https:// note@example.org"
).split()
_KINDS = (
    lambda chance: f"commit {_hexes(chance, 40)}",
    lambda chance: f"{_hexes(chance, 64)}  dist/package-1.{chance.randint(0, 99)}.tar.gz",
    lambda chance: f'  "id": "{_uuid(chance)}", "parent": "{_uuid(chance)}",',
    lambda chance: " ".join(chance.choices(_WORDS, k=12)),
    lambda chance: f"https://example.org:8443/a/{_hexes(chance, 8)}?at={chance.randint(0, 9)}#L{chance.randint(1, 400)}",
    lambda chance: f"git@example.org:team/{_hexes(chance, 6)}.git and ssh://git@example.org:22/team/x.git",
    lambda chance: f"tests/test_{chance.choice(_WORDS)[:4]}.py::test_{_hexes(chance, 5)} PASSED [{chance.randint(0, 100):3}%]",
    lambda chance: f"    value_{chance.randint(0, 99)} = parse(items[{chance.randint(0, 9)}:], default={chance.random():.3f})  # see docs",
    lambda chance: f"integrity sha512-{token(chance.randint(0, 10**9), 86, ALPHANUMERIC + '+/')}==",
    lambda chance: json.dumps({"ts": chance.randint(10**9, 2 * 10**9), "msg": " ".join(chance.choices(_WORDS, k=6)), "ok": True}),
)
