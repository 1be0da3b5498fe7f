"""Unregistered tokens are recognised by their shape; texts that merely mention them are left alone."""

import json
import random
from collections.abc import Callable
from urllib.parse import quote

import pytest

from ccterm.output.mask import Masker
from tests.output.secrets import LETTERS, benign_lines, opaque, pieces

NOBODY = Masker({})


def private_key(dice: random.Random, kind: str = "RSA ", lines: int = 13) -> str:
    body = "\n".join(opaque(64, dice, LETTERS + "+/") for _ in range(lines))
    return f"-----BEGIN {kind}PRIVATE KEY-----\n{body}\n{opaque(14, dice)}==\n-----END {kind}PRIVATE KEY-----"


TOKENS: dict[str, Callable[[random.Random], str]] = {
    "sk-ant-api": lambda dice: "sk-ant-api03-" + opaque(93, dice, LETTERS + "-_") + "AA",
    "sk-ant-oat": lambda dice: "sk-ant-oat01-" + opaque(95, dice, LETTERS + "-_"),
    "sk-ant-ort": lambda dice: "sk-ant-ort01-" + opaque(95, dice, LETTERS + "-_"),
    **{prefix: lambda dice, prefix=prefix: prefix + opaque(36, dice) for prefix in ("ghp_", "gho_", "ghu_", "ghs_", "ghr_")},  # type: ignore[misc]  # mypy cannot tell the type of a lambda with a default
    "github_pat_": lambda dice: "github_pat_" + opaque(22, dice) + "_" + opaque(59, dice),
    "glpat-": lambda dice: "glpat-" + opaque(20, dice, LETTERS + "-_"),
    "AKIA": lambda dice: "AKIA" + opaque(16, dice, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"),
    "PEM": private_key,
    "PEM of another kind": lambda dice: private_key(dice, dice.choice(("", "EC ", "OPENSSH ", "ENCRYPTED "))),
}
CONTEXTS = ("{}", "export T={}\n", '{{"token": "{}"}}', "Authorization: Bearer {}", "a {}, and b", "https://x.example/?t={}&u=1", "'{}'")


@pytest.mark.parametrize("make", TOKENS.values(), ids=TOKENS.keys())
def test_a_token_is_masked_wherever_it_stands(make: Callable[[random.Random], str]) -> None:
    dice = random.Random(3)
    for number in range(20):
        token, context = make(dice), CONTEXTS[number % len(CONTEXTS)]
        assert NOBODY.mask(context.format(token)) == context.format("[masked:token]")


@pytest.mark.parametrize("size", [1, 2, 5, 16, 61])
@pytest.mark.parametrize("make", TOKENS.values(), ids=TOKENS.keys())
def test_a_token_is_masked_however_it_is_cut(make: Callable[[random.Random], str], size: int) -> None:
    text = f"one {make(random.Random(size))} two\n"
    stream = NOBODY.stream()
    assert "".join([*map(stream.feed, pieces(text, size, 1)), stream.flush()]) == "one [masked:token] two\n"


@pytest.mark.parametrize(
    "printed",
    [str, json.dumps, lambda key: json.dumps(json.dumps(key)), lambda key: key.replace("\n", "\r\n"), lambda key: key.replace("\n", " ")],
    ids=["plainly", "as JSON", "as JSON in JSON", "with Windows line breaks", "in one line"],
)
def test_a_private_key_is_masked_however_it_is_printed(printed: Callable[[str], str]) -> None:
    key = private_key(random.Random(9))
    masked = NOBODY.mask(f"<{printed(key)}>")
    assert "[masked:token]" in masked
    assert len(masked) < 30


def test_a_private_key_with_headers_is_masked() -> None:
    head = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,0123456789ABCDEF\n\n"
    assert NOBODY.mask(head + private_key(random.Random(9)).partition("\n")[2] + "\nend") == "[masked:token]\nend"


@pytest.mark.parametrize(
    "printed", [str, json.dumps, lambda key: json.dumps(json.dumps(key))], ids=["plainly", "as JSON", "as JSON in JSON"]
)
def test_quotes_in_the_headers_of_a_private_key_do_not_hide_it(printed: Callable[[str], str]) -> None:
    key = (
        private_key(random.Random(9), kind="PGP ")
        .replace("PRIVATE KEY", "PRIVATE KEY BLOCK")
        .replace("-----\n", '-----\nComment: "mine"\n\n', 1)
    )
    stream = NOBODY.stream()
    masked = NOBODY.mask(f"<{printed(key)}>")
    assert masked.strip('<>"\\') == "[masked:token]"
    assert "".join([*map(stream.feed, printed(key)), stream.flush()]).strip('"\\') == "[masked:token]"


def test_the_first_lines_of_a_private_key_are_masked_without_its_end() -> None:
    head = "\n".join(private_key(random.Random(9)).split("\n")[:4])
    assert NOBODY.mask(f"{head}\nand then some words") == "[masked:token]\nand then some words"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://user:pa55@host.example/x", "https://[masked:token]@host.example/x"),
        ("postgres://app:p%40ss@db:5432/app", "postgres://[masked:token]@db:5432/app"),
        ("redis://:hunter2@cache", "redis://[masked:token]@cache"),
        ("https://x-access-token:abc@github.com/o/r.git", "https://[masked:token]@github.com/o/r.git"),
        ("ftp://u:p@ss:w@rd@host/", "ftp://[masked:token]@host/"),
        ("https://u:p@[::1]:8443/", "https://[masked:token]@[::1]:8443/"),
        ("ssh://git@github.com:22/o/r", "ssh://git@github.com:22/o/r"),
        ("http://localhost:8080/@me", "http://localhost:8080/@me"),
        ("https://host:443?to=me@example.com", "https://host:443?to=me@example.com"),
        ("http://[::1]:8080/", "http://[::1]:8080/"),
    ],
)
def test_user_and_password_of_a_url_are_masked(url: str, shown: str) -> None:
    assert NOBODY.mask(f"see {url} now") == f"see {shown} now"


NAMES = (
    "access_token",
    "private_token",
    "token",
    "X-Amz-Signature",
    "X-Amz-Credential",
    "sig",
    "key",
    "api_key",
    "client_secret",
    "PASSWORD",
)
HOSTS = ("host.example", "[2001:db8::1]:8443", "10.0.0.7:8080", "xn--bcher-kva.example")
PASSWORDS = ("s3cretWord", "p%40ss%3Aword", "p@ss:w@rd", "tok-7Q2mWx9Zr4Lk", "%E2%82%AC-secret")
SCHEMES = ("https", "http", "ssh", "git+ssh", "postgresql", "amqps")
URLS = [
    *((f"{scheme}://user:{word}@{HOSTS[0]}/o/r.git", word, f"@{HOSTS[0]}/o/r.git") for scheme in SCHEMES for word in PASSWORDS),
    *((f"https://:{word}@{host}/p?next=1", word, f"@{host}/p?next=1") for host in HOSTS for word in PASSWORDS),
    *(
        (f"https://{host}/p?a=1&{name}=s3cretWord%2F9#end", "s3cretWord", f"https://{host}/p?a=1&{name}=")
        for host in HOSTS
        for name in NAMES
    ),
    *((f"https://h.example/?{name}=s3cretWord", "s3cretWord", f"https://h.example/?{name}=") for name in NAMES),
    *((f"https://a.example/?next=https://u:{word}@b.example/x", word, "@b.example/x") for word in PASSWORDS),
    *((f"clone https://u:{word}@c.example/x\nthen", word, "@c.example/x\nthen") for word in PASSWORDS),
    *((f"https://u:{quote(word)}@d.example/x?token={quote(word)}", quote(word), "@d.example/x?token=") for word in PASSWORDS),
    *((f"git@host.example:o/r.git and wss://u:{word}@e.example", word, "git@host.example:o/r.git and wss://") for word in PASSWORDS),
]


def test_what_is_secret_in_120_urls_is_masked_and_host_and_path_stay() -> None:
    assert len(URLS) == 120
    for url, secret, kept in URLS:
        shown = NOBODY.mask(url)
        assert secret not in shown, url
        assert kept in shown, url
        stream = NOBODY.stream()
        assert "".join([*map(stream.feed, pieces(url, 3, 1)), stream.flush()]) == shown, url


@pytest.mark.parametrize(
    "text",
    [
        "?token=$TOKEN",
        "?token=<token>",
        "?key=${{ secrets.KEY }}",
        "a?b=1&page=1234567",
        "why not? token=",
        "?monkey=banana1",
        "?token=...",
    ],
)
def test_a_query_without_a_secret_is_left_alone(text: str) -> None:
    assert NOBODY.mask(text) == text


def test_lines_that_only_look_like_secrets_are_left_alone() -> None:
    assert [line for line in benign_lines(10_000) if NOBODY.mask(line) != line][10:] == []


def test_a_registered_token_is_labelled_with_its_own_name() -> None:
    token = TOKENS["ghp_"](random.Random(1))
    masker = Masker({"GH_TOKEN": token})
    assert masker.mask(f"{token} {TOKENS['ghp_'](random.Random(2))}") == "[masked:GH_TOKEN] [masked:token]"
    assert masker.masked(TOKENS["ghp_"](random.Random(2)))[1] == frozenset()
