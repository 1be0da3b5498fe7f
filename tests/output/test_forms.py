"""A secret is found in every form that tools print it in: escaped, quoted, encoded, wrapped, or as a part of a file."""

import base64
import html
import json
import shlex
import textwrap
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccterm.output.mask import Masker
from tests.output.secrets import SECRETS, opaque

SMALL = {name: value for name, value in SECRETS.items() if name != "big"}
READABLE: dict[str, Callable[[str], str]] = {
    "raw": str,
    "stripped": str.strip,
    "JSON": json.dumps,
    "JSON in UTF-8": lambda s: json.dumps(s, ensure_ascii=False),
    "JSON in JSON": lambda s: json.dumps({"log": json.dumps({"v": s})}),
    "JSON in UTF-8 in JSON": lambda s: json.dumps({"log": json.dumps({"v": s}, ensure_ascii=False)}),
    "Go's JSON": lambda s: json.dumps(s, ensure_ascii=False).replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e"),
    "PHP's JSON": lambda s: json.dumps(s, ensure_ascii=False).replace("/", "\\/"),
    "URL": lambda s: quote(s, safe=""),
    "URL path": quote,
    "URL form": quote_plus,
    "URL component": lambda s: quote(s, safe="!'()*"),
    "URL whole": lambda s: quote(s, safe="!'()*;,/?:@&=+$#"),
    "URL in lower case": lambda s: "".join(quote(c, safe="").lower() if quote(c, safe="") != c else c for c in s),
    "HTML": html.escape,
    "hex": lambda s: s.encode().hex(),
    "HEX": lambda s: s.encode().hex().upper(),
    "shell assignment": lambda s: "TOKEN=" + shlex.quote(s),
    "Windows line breaks": lambda s: s.replace("\n", "\r\n"),
}
BASE64 = {"base64": base64.b64encode, "base64url": base64.urlsafe_b64encode}


@pytest.mark.parametrize("form", READABLE.values(), ids=READABLE.keys())
@pytest.mark.parametrize("name", SECRETS)
def test_a_readable_form_is_masked(name: str, form: Callable[[str], str]) -> None:
    secret = SECRETS[name]
    masked = Masker({name: secret}).mask(f"<<{form(secret)}>>")
    assert f"[masked:{name}]" in masked
    assert not [line for line in secret.split("\n") if len(line) >= 8 and line in masked]
    assert len(masked) < len(form(secret)) or "\n" in secret or len(secret) < 20


@pytest.mark.parametrize("encode", BASE64.values(), ids=BASE64.keys())
@pytest.mark.parametrize("name", SECRETS)
@pytest.mark.parametrize("before", ["", "u", "u:", "x-access-token:", "oauth2:", '{"token":"'])
@pytest.mark.parametrize("after", ["", "\n", '"}'])
def test_base64_is_masked_at_every_offset_of_the_secret(name: str, before: str, after: str, encode: Callable[[bytes], bytes]) -> None:
    code = encode((before + SECRETS[name] + after).encode()).decode()
    left, right = Masker({name: SECRETS[name]}).mask(f"Basic {code}").split(f"[masked:{name}]")
    assert len(left) - len("Basic ") <= len(before) * 4 / 3 + 2
    assert len(right.rstrip("=")) <= len(after) * 4 / 3 + 2


@pytest.mark.parametrize("columns", [60, 64, 76])
@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("form", [lambda b: base64.b64encode(b).decode(), bytes.hex], ids=["base64", "hex"])
def test_wrapped_code_leaves_no_piece_of_16_characters(name: str, form: Callable[[bytes], str], columns: int) -> None:
    code = form(b"some text before it " + SECRETS[name].encode())
    masked = Masker({name: SECRETS[name]}).mask("\n".join(textwrap.wrap(code, columns)))
    inner = form(SECRETS[name].encode())
    assert "[masked:" in masked
    assert not [at for at in range(len(inner) - 15) if inner[at : at + 16] in masked]


def test_each_line_of_a_secret_is_masked_by_itself() -> None:
    masker = Masker(SMALL)
    for line in SMALL["lines"].split("\n"):
        assert masker.mask(f"> {line}") == ("> [masked:lines]" if len(line) >= 8 else f"> {line}")


def test_white_space_around_a_value_is_not_part_of_it() -> None:
    assert Masker({"T": "\n secret-value \n"}).mask("a secret-value b") == "a [masked:T] b"


def test_a_value_is_found_after_it_was_sanitised() -> None:
    assert Masker({"T": "line one\r\n\u200bline two"}).mask("x line one\nline two y") == "x [masked:T] y"


def test_bytes_of_an_environment_that_are_not_utf8_are_found() -> None:
    scan = Masker({"T": "caf\udce9-latin-1"}).scan()
    scan.feed(b"x caf\xe9-latin-1 y")
    assert scan.names == {"T"}


CREDENTIALS = {
    "claudeAiOauth": {
        "accessToken": opaque(90),
        "refreshToken": "sk-ant-ort01-" + opaque(80),
        "expiresAt": 1795000000000,
        "scopes": ["user:inference", "user:profile"],
        "note": "p\u00e4ss\u2192wort",
    }
}
FILE = json.dumps(CREDENTIALS)
PRINTED: dict[str, str] = {
    "cat": FILE,
    "cat of another layout": json.dumps(CREDENTIALS, indent=2),
    "jq": str(CREDENTIALS["claudeAiOauth"]["accessToken"]),
    "jq of the rest": str(CREDENTIALS["claudeAiOauth"]["refreshToken"]),
    "jq of a list": "user:inference\nuser:profile",
    "jq of odd characters": "p\u00e4ss\u2192wort",
    "head -c 60": FILE[:60],
    "tail -c 150": FILE[-150:],
    "base64": "\n".join(textwrap.wrap(base64.b64encode(FILE.encode()).decode(), 76)),
    "xxd -p": "\n".join(textwrap.wrap(FILE.encode().hex(), 60)),
    "a repr": repr(CREDENTIALS),
}


@pytest.mark.parametrize("printed", PRINTED.values(), ids=PRINTED.keys())
def test_the_fields_of_a_file_are_masked_however_it_is_printed(printed: str) -> None:
    masked = Masker({"login": FILE}).mask(printed)
    tokens = [CREDENTIALS["claudeAiOauth"][key] for key in ("accessToken", "refreshToken")]
    assert "[masked:login]" in masked
    assert not [token for token in tokens if str(token)[:12] in masked or str(token)[-12:] in masked]


@pytest.mark.parametrize("value", ["{", "[1, 2", "[" * 5_000, '{"a": 12345678}', "[]", "{'a': 'python'}"])
def test_what_only_looks_like_json_is_a_value_like_others(value: str) -> None:
    masker = Masker({"V": value})
    assert masker.mask(f"x {value} y") == ("x [masked:V] y" if len(value) >= 6 else f"x {value} y")


@given(st.text(min_size=6).filter(lambda text: len(text.strip()) >= 6))
def test_any_value_is_masked_raw_and_in_json(value: str) -> None:
    masker = Masker({"V": value})
    for text in (value, json.dumps(value), json.dumps(value, ensure_ascii=False), json.dumps([json.dumps(value)])):
        assert "[masked:V]" in masker.mask(text)
