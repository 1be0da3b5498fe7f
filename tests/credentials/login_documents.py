"""Documents of Claude logins, as the CLI writes them and as they must not be used; for the parser and the shell script alike."""

import json
import time

ACCESS, REFRESH = "sk-ant-oat01-AAAAAAAAAAAAAAAAAAAA", "sk-ant-ort01-BBBBBBBBBBBBBBBBBBBB"
SCOPES = ["user:inference", "user:profile"]


def soon(hours: float = 8) -> int:
    """Return a time in milliseconds."""
    return int((time.time() + hours * 3600) * 1000)


def login(**more: object) -> bytes:
    """Return a document as the CLI writes it, with some fields changed; None leaves one out."""
    oauth = {"accessToken": ACCESS, "refreshToken": REFRESH, "expiresAt": soon(), "scopes": SCOPES, "subscriptionType": "max"} | more
    return json.dumps({"claudeAiOauth": {name: value for name, value in oauth.items() if value is not None}}).encode()


_GOOD = login(expiresAt=4102444800000)
_TOKEN = ACCESS.encode()

MALFORMED = {
    "empty": b"",
    "space": b" \n\t",
    "not json": b"hello",
    "cut": _GOOD[:-1],
    "cut in the token": _GOOD[:40],
    "two documents": _GOOD + _GOOD,
    "trailing text": _GOOD + b" x",
    "trailing comma": _GOOD[:-2] + b",}}",
    "single quotes": _GOOD.replace(b'"', b"'"),
    "comment": b"// login\n" + _GOOD,
    "byte order mark": b"\xef\xbb\xbf" + _GOOD,
    "utf-16": _GOOD.decode().encode("utf-16"),
    "not utf-8": _GOOD.replace(b"max", b"\xff\xfe\xfd"),
    "nul byte": _GOOD.replace(b"max", b"m\x00x"),
    "nul bytes behind": _GOOD + b"\x00\x00",
    "null": b"null",
    "number": b"1764430000000",
    "text": b'"sk-ant-oat01-x"',
    "list": b"[]",
    "list of documents": b"[" + _GOOD + b"]",
    "deep": b"[" * 60_000,
    "deep objects": b'{"a":' * 9_000,
    "nothing in it": b"{}",
    "other key": _GOOD.replace(b"claudeAiOauth", b"claudeAiOAuth"),
    "oauth is null": b'{"claudeAiOauth": null}',
    "oauth is a list": b'{"claudeAiOauth": []}',
    "oauth is text": b'{"claudeAiOauth": "sk-ant-oat01-x"}',
    "oauth is empty": b'{"claudeAiOauth": {}}',
    "no token": login(accessToken=None),
    "token is null": _GOOD.replace(b'"' + _TOKEN + b'"', b"null"),
    "token is a number": login(accessToken=17),
    "token is a list": login(accessToken=[ACCESS]),
    "token in two lines": login(accessToken=f"{ACCESS[:20]}\n{ACCESS[20:]}"),
    "raw line break in the token": _GOOD.replace(_TOKEN, _TOKEN[:20] + b"\n" + _TOKEN[20:]),
    "token with a space": login(accessToken=f"{ACCESS} "),
    "token with a quote": login(accessToken=f'{ACCESS}"'),
    "token with an umlaut": login(accessToken="sk-ant-öat01-AAAA"),
    "token with an escape": login(accessToken=f"{ACCESS}\x1b[31m"),
    "token for ever": login(accessToken="a" * 9000),
    "refresh token is a number": login(refreshToken=17),
    "expiry is text": login(expiresAt="soon"),
    "expiry is a date": login(expiresAt="2031-01-01T00:00:00Z"),
    "expiry is true": login(expiresAt=True),
    "expiry is a fraction": login(expiresAt=4102444800000.5),
    "expiry is a float": _GOOD.replace(b"4102444800000", b"4.1e12"),
    "expiry is negative": login(expiresAt=-1),
    "expiry is far": login(expiresAt=10**15),
    "expiry is a list": login(expiresAt=[4102444800000]),
    "expiry with a leading zero": _GOOD.replace(b"4102444800000", b"04102444800000"),
    "scopes are text": login(scopes="user:inference"),
    "scopes are an object": login(scopes={"user:inference": True}),
    "scopes hold a number": login(scopes=["user:inference", 1]),
    "a scope with a space": login(scopes=["user:inference user:profile"]),
    "plan is a number": login(subscriptionType=5),
    "plan is strange": login(subscriptionType="max\x1b[31m"),
}
"""Name -> bytes that are no document of a login."""

UNUSABLE = {
    "blanked by a failed refresh": (login(accessToken="", refreshToken="", expiresAt=0), "was logged out by a failed refresh"),
    "blanked token": (login(accessToken=""), "was logged out by a failed refresh"),
    "expiry is zero": (login(expiresAt=0), "was logged out by a failed refresh"),
    "no scopes": (login(scopes=None), "lacks the scope user:inference"),
    "empty scopes": (login(scopes=[]), "lacks the scope user:inference"),
    "other scopes": (login(scopes=["user:profile"]), "lacks the scope user:inference"),
    "huge": (_GOOD + b" " * 65_536, "is larger than 64 KiB"),
    "expired": (login(expiresAt=soon(-1)), "expired"),
    "expired, in seconds": (login(expiresAt=soon(-1) // 1000), "expired"),
}
"""Name -> a well-formed document that cannot be used, and what is said of it."""
