"""Rewrites the head of a Markdown file that instructs an agent, so that it describes and restricts but permits and runs nothing.

The head is YAML between two lines of dashes. No YAML parser decides here: known keys are read line by line and written anew as quoted
text, so whatever else the head holds (hooks, servers, permissions, anchors, another spelling of them) is not in the result.
"""

import json
import re
from collections.abc import Collection, Iterator

from ccterm.git.bounded_json import read_json

_HEAD = re.compile(r"\ufeff?---[ \t]*\n(.*?)^---[ \t]*(?:\n|\Z)", re.DOTALL | re.MULTILINE)
_KEY = re.compile(r"""(["']?)([A-Za-z][A-Za-z0-9_-]*)\1[ \t]*:(?:[ \t]+(.*))?""")
_FLAGS = ("true", "false")


def defused(text: str, keep: Collection[str]) -> tuple[str, set[str]]:
    """Return the file with the named keys only in its head, and the other keys that it had."""
    text = text.replace("\r\n", "\n")
    head = _HEAD.match(text)
    pairs = list(_pairs(head[1] if head else ""))
    kept = {key: value for key, value in pairs if key in keep}
    lines = [f"{key}: {_quoted(value)}\n" for key, value in kept.items()]
    # a head is always written: else the next lines could be taken for one
    fresh = f"---\n{''.join(lines) or 'user-invocable: true' + chr(10)}---\n"
    return fresh + (text[head.end() :] if head else text), {key for key, _ in pairs if key not in keep}


def _pairs(head: str) -> Iterator[tuple[str, str]]:
    """Yield the keys at the left margin, each with its value as text."""
    key, first, more = "", "", list[str]()
    for line in head.split("\n"):
        match = _KEY.fullmatch(line.rstrip())
        if match is None:
            if not line.startswith("#"):
                more.append(line)
            continue
        if key:
            yield key, _value(first, more)
        key, first, more = match[2], (match[3] or "").strip(), []
    if key:
        yield key, _value(first, more)


def _value(first: str, more: list[str]) -> str:
    """Return a plain, quoted, folded, block or list value as one text."""
    rest = [line.strip() for line in more]
    if re.fullmatch(r"[|>][+-]?\d?", first):
        return ("\n" if first[0] == "|" else " ").join(rest).strip()
    items = [line[1:].strip() for line in rest if line.startswith("- ")]
    if not first and items:
        return ", ".join(_unquoted(item) for item in items)
    whole = " ".join(line for line in (first, *rest) if line)
    if whole.startswith("[") and whole.endswith("]"):
        return ", ".join(_unquoted(item.strip()) for item in whole[1:-1].split(","))
    return _unquoted(whole)


def _quoted(value: str) -> str:
    """Return a value as YAML and JSON both have it; what YAML cannot hold is left out."""
    if value in _FLAGS:
        return value
    return json.dumps("".join(char for char in value if char.isprintable() or char in "\n\t"), ensure_ascii=False)


def _unquoted(text: str) -> str:
    if len(text) > 1 and text[0] == text[-1] == '"':
        try:
            return str(read_json(text))
        except ValueError:
            return text[1:-1]
    return text[1:-1].replace("''", "'") if len(text) > 1 and text[0] == text[-1] == "'" else text
