"""Reads a TOML file into a model; every error has the file, the line and the fix."""

import os
import re
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ValidationError

from ccterm.errors import SettingsError
from ccterm.problems import Loc, Problem, all_problems, problem

if TYPE_CHECKING:  # most users have no such file, and the first frame waits for it
    import tomllib

M = TypeVar("M", bound=BaseModel)
_LARGEST = 1024 * 1024
_DEEPEST = 10
"""How many keys lead to a value at most: no table of ours is nested so deeply."""
_KEY = re.compile(r"""\s*((?:"[^"]*"|'[^']*'|[\w-]+)(?:\s*\.\s*(?:"[^"]*"|'[^']*'|[\w-]+))*)\s*=""")
_LONG_KEY = re.compile(r"""(?<![\w"'-])(?:(?:[\w-]+|"[^"\n]*"|'[^'\n]*')[ \t]*\.[ \t]*){100}""")
"""A key of so many parts takes tomllib as long as the square of their number: with a megabyte of them, a repository would stop every command."""
_HEADER = re.compile(r"\s*\[[^\[].*\]\s*(#.*)?")


def read_bytes(path: Path, *, follow: bool = True, own: bool = True, largest: int = _LARGEST) -> bytes | None:
    """Return the content of a small regular file, or None when there is none. Raises SettingsError.

    follow: whether it may be a symbolic link. own: refuse what another user made or can change.
    """
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | (0 if follow else os.O_NOFOLLOW)  # NONBLOCK: a planted pipe must not block us
    try:
        descriptor = os.open(path, flags)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}", "fix or remove it") from error
    try:
        _refuse_strange(path, os.fstat(descriptor), own=own, largest=largest)
        with os.fdopen(os.dup(descriptor), "rb") as file:
            return file.read(largest)
    finally:
        os.close(descriptor)


def _refuse_strange(path: Path, info: os.stat_result, *, own: bool, largest: int) -> None:
    if not stat.S_ISREG(info.st_mode) or info.st_size > largest:
        raise SettingsError(f"{path} is not a regular file of at most {largest >> 20} MiB", "fix or remove it")
    if own and (info.st_uid not in (0, os.geteuid()) or info.st_mode & 0o002):
        raise SettingsError(
            f"{path} is writable by other users, and it may contain commands to run", f"take ownership of it, and chmod o-w {path}"
        )


def parse(path: Path, data: bytes, model: type[M]) -> M:
    """Return the model that the content of a file describes. Raises SettingsError."""
    text = _decoded(path, data)
    table = _table(path, text)
    try:
        return model.model_validate(table, context=_context(path))
    except ValidationError as error:
        raise _fault(path, KeyLines(text), problem(error, model)) from error


def parse_all(path: Path, data: bytes, model: type[M]) -> tuple[M, Sequence[SettingsError]]:
    """Return the model of what is sound in a file, and what is wrong with the rest, in the order of its lines."""
    try:
        text = _decoded(path, data)
        table = _table(path, text)
    except SettingsError as error:
        return model.model_construct(), [error]
    sound, problems = all_problems(table, model, _context(path))
    lines = KeyLines(text)
    return sound, [_fault(path, lines, each) for each in sorted(problems, key=lambda each: lines.of(each.at) or 0)]


def _context(path: Path) -> dict[str, str]:
    return {"base": str(path.parent)}


def _fault(path: Path, lines: "KeyLines", found: Problem) -> SettingsError:
    line = lines.of(found.at)
    return SettingsError(f"{path}{f', line {line}' if line else ''}: {found.text}", found.fix)


def _table(path: Path, text: str) -> dict[str, Any]:
    import tomllib

    if long := _LONG_KEY.search(text):
        raise SettingsError(f"{path}{_line_of(text, long)}: a key of more than a hundred parts", "write tables as [name]")
    try:
        return tomllib.loads(text + "\n")  # without it an error at the end has no line
    except tomllib.TOMLDecodeError as error:
        raise _syntax(path, error) from error
    except ValueError as error:  # of Python: a number whose digits it will not count
        number = _line_of(text, re.search(r"[0-9_]{1000}", text))
        raise SettingsError(f"{path}{number}: a number of thousands of digits", "write a smaller one") from error
    except RecursionError as error:
        raise SettingsError(f"{path} is nested too deeply", "make it flat") from error


def _line_of(text: str, found: re.Match[str] | None) -> str:
    return f", line {text.count(chr(10), 0, found.start()) + 1}" if found else ""


def _decoded(path: Path, data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise SettingsError(f"{path}, line {line}: not UTF-8", "save it as UTF-8") from error


def _syntax(path: Path, error: "tomllib.TOMLDecodeError") -> SettingsError:
    words = str(error)
    place = re.search(r" \(at (line \d+), (column \d+)\)$", words)
    where, text = (f", {place[1]}, {place[2]}", words[: place.start()]) if place else ("", words)
    return SettingsError(f"{path}{where}: {text}", "write key = value, texts in quotes, tables as [name]")


class KeyLines:
    """The lines of a text in which its keys are, found once for all that is asked: a file of another's may hold as many faults as lines."""

    def __init__(self, text: str) -> None:
        self._keys: dict[Sequence[str], int] = {}
        """Keys as they are written, with those of their table -> the first line."""
        self._below: dict[Sequence[str], int] = {}
        """The same for what such keys begin with."""
        header: tuple[str, ...] = ()
        for number, content in enumerate(text.splitlines(), 1):
            key: tuple[str, ...] = ()
            if _HEADER.fullmatch(content):
                header = _path(content)
            elif match := _KEY.match(content):
                key = _path(f"{match[1]} = 0")
            else:
                continue
            here = (header + key)[:_DEEPEST]
            self._keys.setdefault(here, number)
            for length in range(1, len(here) + 1):
                self._below.setdefault(here[:length], number)

    def of(self, at: Loc) -> int | None:
        """Return the line, counted from 1, of the innermost of the keys that exists."""
        wanted = tuple(str(part) for part in at)
        shorter = (self._keys[wanted[:length]] for length in range(len(wanted) - 1, 0, -1) if wanted[:length] in self._keys)
        return self._below.get(wanted) or next(shorter, None)


def _path(text: str) -> tuple[str, ...]:
    import tomllib

    try:
        table: object = tomllib.loads(text)
    except tomllib.TOMLDecodeError:  # a line of a multi-line text
        return ("\0",)
    keys: list[str] = []
    while isinstance(table, dict) and table:
        name, table = next(iter(table.items()))
        keys.append(str(name))
    return tuple(keys)
