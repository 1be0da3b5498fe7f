"""Typical secrets, and texts that look as if they held one but do not."""

import hashlib
import random
import string
import uuid
from collections.abc import Iterator

LETTERS = string.ascii_letters + string.digits
_dice = random.Random(20)


def opaque(size: int, dice: random.Random = _dice, alphabet: str = LETTERS) -> str:
    """Return a random token."""
    return "".join(dice.choices(alphabet, k=size))


_claude = "sk-ant-oat01-" + opaque(95, alphabet=LETTERS + "-_")
_github = "ghp_" + opaque(36)

SECRETS = {
    "claude": _claude,
    "github": _github,
    "overlapping": "abaabaab",
    "prefix": _github[:22],
    "suffix": _claude[-24:],
    "lines": "-----BEGIN THING-----\n" + "\n".join(opaque(64) for _ in range(4)) + "\nshort\n-----END THING-----",
    "special": 'p"a\\ss &%é<w>/ö',
    "big": opaque(16 * 1024),
}
"""Eight secrets: shaped like real ones, self-overlapping, nested, of several lines, with odd characters, long."""


def pieces(text: str, size: int, offset: int) -> Iterator[str]:
    """Yield a text in pieces of one size, after a first piece of `offset` characters."""
    yield text[:offset]
    yield from (text[at : at + size] for at in range(offset, len(text), size))


def benign_lines(count: int) -> Iterator[str]:
    """Yield lines that look as if they held secrets but do not."""
    dice = random.Random(7)
    for number in range(count):
        sha = hashlib.sha1(str(number).encode()).hexdigest()
        yield dice.choice(_BENIGN).format(
            n=number,
            sha=sha,
            short=sha[:9],
            sha256=hashlib.sha256(sha.encode()).hexdigest(),
            uuid=uuid.UUID(sha[:32]),
            code=opaque(86, dice, LETTERS + "+/"),
            name=dice.choice(_WORDS),
            word=dice.choice(_WORDS),
        )


_WORDS = ("token", "password", "secret_key", "access-token-provider", "GITHUB_TOKEN", "github_pattern", "skeleton", "ghost_writer", "AKIRA")
_BENIGN = (
    "commit {sha}",
    "{short} Fix the {word} parser (#{n})",
    '"integrity": "sha512-{code}=="',
    "sha256:{sha256}  dist/{name}-{n}.tar.gz",
    "request id {uuid} took {n} ms",
    "GitHub tokens begin with ghp_, gho_, ghu_, ghs_ or ghr_; fine-grained ones with github_pat_",
    "Anthropic keys start with sk-ant-api03-, setup tokens with sk-ant-oat01-",
    "export ANTHROPIC_API_KEY=sk-ant-... # your {word}",
    "if value.startswith(('glpat-', 'AKIA')): return {n}",
    "ghp_xxxx, github_pat_{n}, glpat-{short}, AKIA{n}",
    "a PEM file begins with -----BEGIN PRIVATE KEY----- and ends with -----END PRIVATE KEY-----",
    "-----BEGIN CERTIFICATE-----",
    "MII{code}",
    "Serving on http://localhost:8080/ and http://[::1]:{n}/?next=me@example.com",
    "git@github.com:owner/{name}.git and ssh://git@github.com:22/owner/repo",
    "https://example.com/@{name}/{short}?at=10:30@home",
    "postgres://db.internal:5432/{name}",
    "def {name}(self, {word}: str) -> None:  # line {n}",
    "    {name} = config['{word}'] or os.environ.get('X_{n}', '')",
    "eyJhbGciOiJIUzI1NiJ9 is the base64 of a header",
    "data:image/png;base64,{code}",
    "{uuid} {uuid} {sha256}",
    "Contact first.last+{n}@example.com, tel. 0{n}-{n}",
    "s3://bucket-{n}/{sha}/{name}.json",
    "diff --git a/{name} b/{name} index {short}..{short} 100644",
)
