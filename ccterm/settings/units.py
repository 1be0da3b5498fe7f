"""Durations and names as people write them: types that settings and batch files share."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, ValidationInfo

from ccterm.errors import UsageError
from ccterm.remotes import check_base

_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(d|h|min|m|sec|s)", re.IGNORECASE)
_UNIT = {"d": 86400, "h": 3600, "m": 60, "min": 60, "s": 1, "sec": 1}
_LONGEST = timedelta(days=7)
_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
_OURS = re.compile(r"(CCTERM_|GIT_|LD_|DYLD_|PYTHON).*|HOME|USER|SHELL|IFS|BASH_ENV|ENV", re.IGNORECASE)
_SECRETIVE = re.compile(r"sk-ant-|gh[pousr]_[A-Za-z0-9]{20}|github_pat_|glpat-|-----BEGIN [A-Z ]*PRIVATE KEY|AKIA[0-9A-Z]{16}")
_SOURCE = re.compile(r"(env:[A-Za-z_][A-Za-z0-9_]*|keyring:\S(.*\S)?|cmd:\s*\S.*)")

_SECRET_WORDS = re.compile("TOKENS?|SECRETS?|PASSWORDS?|PASSWD|PASSPHRASE|PASS|PW|PAT|KEYS?|APIKEY|CREDENTIALS?|CREDS")
"""Words of a name, such as the KEY in STRIPE_KEY."""
_SECRET_PARTS = ("TOKEN", "SECRET", "PASSWORD", "PASSWD", "PASSPHRASE", "CREDENTIAL", "APIKEY", "PRIVATEKEY", "ACCESSKEY")
"""Parts of a name without its underscores, such as PGPASSWORD."""


def duration(value: object) -> timedelta:
    """Return a duration: "90s", "45m", "2h", "1h30m"; a bare number is minutes. At most seven days. Raises ValueError."""
    if isinstance(value, timedelta):
        length = value
    elif isinstance(value, int | float) and not isinstance(value, bool):
        length = _minutes(value)
    elif isinstance(value, str):
        length = _from_text(value.strip())
    else:
        raise ValueError('is not a duration; write it as "90s", "45m" or "2h"')  # noqa: TRY004 - pydantic catches ValueError alone
    if not timedelta(0) < length <= _LONGEST:
        raise ValueError("is out of range; give a positive duration of at most seven days")
    return length


def _minutes(number: float) -> timedelta:
    return timedelta(minutes=number) if 0 < number <= 60 * 24 * 7 else timedelta(0)


def _from_text(text: str) -> timedelta:
    if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", text):
        return _minutes(float(text))
    parts = _PART.findall(text[:40])
    if not parts or _PART.sub("", text).strip():
        raise ValueError('is not a duration; write it as "90s", "45m" or "2h"')
    return timedelta(seconds=min(sum(float(number) * _UNIT[unit.lower()] for number, unit in parts), 1e9))


def duration_text(length: timedelta) -> str:
    """Return the shortest form in which a settings file has a duration: "90s", "45m", "2h". `duration` reads it, unlike ISO 8601, pydantic's own."""
    for unit in ("d", "h", "m"):
        count, rest = divmod(length, timedelta(seconds=_UNIT[unit]))
        if not rest:
            return f"{count}{unit}"
    return f"{length.total_seconds():f}".rstrip("0").rstrip(".") + "s"


def env_name(name: str) -> str:
    """Return the name of an environment variable that a user may set for the agent. Raises ValueError."""
    if not _ENV_NAME.fullmatch(name):
        raise ValueError("is not a valid name for an environment variable; use letters, digits and _")
    if _OURS.fullmatch(name):
        raise ValueError("is a variable that the box sets itself; choose another name")
    return name


def looks_secret(name: str) -> bool:
    """Return whether a variable's name suggests that its value is a secret."""
    upper = name.upper()
    return any(map(_SECRET_WORDS.fullmatch, re.split(r"[^A-Z]+", upper))) or any(part in upper.replace("_", "") for part in _SECRET_PARTS)


def passed_name(name: str) -> str:
    """Return the name of a variable of the user's environment that is passed on as it is. Raises ValueError."""
    env_name(name)
    if looks_secret(name):
        raise ValueError(
            f'looks like a secret, which would be shown in output; write [secrets.{name}] with from = "env:{name}" and its steps'
        )
    return name


def plain_value(value: object) -> str:
    """Return the value of an environment variable as text; refuse one that looks like a secret. Raises ValueError."""
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        raise ValueError("is not text; put it in quotes")  # noqa: TRY004 - pydantic catches ValueError alone
    if isinstance(value, int) and not -(10**30) < value < 10**30:
        raise ValueError("is a number of more than 30 digits; put it in quotes if it is meant")
    text = str(value)
    if "\0" in text:
        raise ValueError("contains a NUL character")
    if _SECRETIVE.search(text):
        raise ValueError("looks like a secret; settings never contain one: say where it is in a [secrets.NAME] table")
    return text


def source(text: str) -> str:
    """Return where a secret is: env:NAME, keyring:NAME or cmd:COMMAND. Raises ValueError, without the text: it may be the secret itself."""
    if not _SOURCE.fullmatch(text) or not text.isprintable():
        raise ValueError(
            'must say where the secret is: "env:NAME", "keyring:NAME" or "cmd:COMMAND"; settings never contain the secret itself'
        )
    return text


def placed(path: Path, info: ValidationInfo) -> Path:
    """Return a path with ~ expanded, relative to the directory that the validation context names as `base`, if any."""
    base = info.context.get("base") if isinstance(info.context, dict) else None
    path = path.expanduser()
    return Path(base) / path if base else path


def whole_text(text: str) -> str:
    """Return a text that can be stored and passed to programs. Raises ValueError."""
    if "\0" in text:
        raise ValueError("contains a NUL character; remove it")
    if any("\ud800" <= char <= "\udfff" for char in text):
        raise ValueError("contains half a character (a lone surrogate); remove it")
    return text


def shaped(pattern: str, words: str) -> AfterValidator:
    """Return what accepts only texts that match a pattern as a whole. words: what is wrong with others; what to write instead."""
    compiled = re.compile(pattern)

    def checked(text: str) -> str:
        if not compiled.fullmatch(text):
            raise ValueError(words)
        return text

    return AfterValidator(checked)


def base_name(name: str) -> str:
    """Return the name of what a new branch starts from, if it is valid. Raises ValueError."""
    try:
        return check_base(name)
    except UsageError as error:
        raise ValueError(f"is refused: {error}") from error


def listed(value: object) -> object:
    """Split a text with commas into a list."""
    return [word.strip() for word in value.split(",") if word.strip()] if isinstance(value, str) else value


def inside(name: str) -> str:
    """Return a path or glob, if it stays below its directory. Raises ValueError."""
    if name.startswith("/") or ".." in name.split("/") or "\0" in name or not name:
        raise ValueError("must be a path below its directory; leave out / at the start and ..")
    return name


Dollars = Annotated[float, Field(ge=0.001, le=1_000_000, allow_inf_nan=False)]
Turns = Annotated[int, Field(ge=1, le=1_000_000)]
TokenCount = Annotated[int, Field(ge=1, le=1_000_000_000_000)]
Count = Annotated[int, Field(ge=0, le=1_000_000_000)]
Megabytes = Annotated[int, Field(ge=1, le=1_000_000)]
Duration = Annotated[timedelta, BeforeValidator(duration), PlainSerializer(duration_text, when_used="json")]
Words = Annotated[tuple[str, ...], BeforeValidator(listed)]
Command = Annotated[str, Field(min_length=1, max_length=20_000), AfterValidator(whole_text)]
Base = Annotated[str, AfterValidator(base_name)]
InsidePath = Annotated[str, AfterValidator(inside)]
PlacedPath = Annotated[Path, AfterValidator(placed)]
PassedName = Annotated[str, AfterValidator(passed_name)]
EnvName = Annotated[str, AfterValidator(env_name)]
PlainValue = Annotated[str, BeforeValidator(plain_value)]
SecretSource = Annotated[str, AfterValidator(source)]
SecretStep = Literal["setup", "agent", "verify"]
