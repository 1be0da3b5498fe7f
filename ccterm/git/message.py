"""What a commit message takes over of an agent's words: those that hosts and CI systems obey it may use, but not give orders with them.

A pushed message that says `[skip ci]` switches off the checks of what it brings; one that says `Fixes #1` closes an issue at the merge.
"""

import re

SUMMARY = 2_000
"""Longest summary of an agent's work, in characters."""
_SWITCH = re.compile(r"\[([^\[\]\n]{0,60}(?<![a-z])(?:skip(?:ped|ping)?|no)(?![a-z])[^\[\]\n]{0,60})\]", re.IGNORECASE)
_STARS = re.compile(r"\*{2,}[ \t]*(no[ _-]?ci)[ \t]*\*{2,}", re.IGNORECASE)
_FLAG = re.compile(r"-{2,}(?=(?:skip|no)-?ci\b)", re.IGNORECASE)
_CHECKS = re.compile(r"(skip-checks)[ \t]*:", re.IGNORECASE)
_CLOSING = re.compile(r"\b(?:clos(?:e[sd]?|ing)|fix(?:e[sd]|ing)?|resolv(?:e[sd]?|ing)|implement(?:s|ed|ing)?)\b", re.IGNORECASE)
_NUMBER = re.compile(r"(\w?)#(?=\d)")
_NAMED = re.compile(r"\b(GH)-(?=\d)", re.IGNORECASE)
_ADDRESS = re.compile(r"\b[a-z]+://(?=\S+/(?:issues|pull|pulls|merge_requests|work_items|epics|_workitems/edit)/\d)", re.IGNORECASE)
_TICKET = re.compile(r"\b[A-Z][A-Z0-9_]+-\d")
_COMMAND = re.compile(r"(?<![\w&])#+(?=[A-Za-z])")
_ORDER = re.compile(r"^(?=[A-Za-z][A-Za-z-]*[ \t]*: ?\S|BREAKING[ -]CHANGE|/[a-z])", re.MULTILINE)


def defused(text: str) -> str:
    """Return a text with the same words and no orders: what skips checks has no brackets, what closes an issue no number sign."""
    before = ""
    while before != text:
        before = text
        text = _SWITCH.sub(r"(\1)", text)
        text = _CHECKS.sub(r"\1", _FLAG.sub("", _STARS.sub(r"\1", text)))
    if _CLOSING.search(text):
        text = _NUMBER.sub(lambda found: f"{found[1]} no. " if found[1] else "no. ", text)
        text = _ADDRESS.sub("", _NAMED.sub(r"\1 ", text))
    return _COMMAND.sub("", text) if _TICKET.search(text) else text


def without_trailers(text: str) -> str:
    """Return a text in which lines that look like trailers, or like commands to a host, are indented: then they are text."""
    return _ORDER.sub("  ", text)


def shortened(summary: str) -> str:
    """Return a summary that is at most SUMMARY characters long."""
    summary = summary.strip()
    return summary if len(summary) <= SUMMARY else summary[: SUMMARY - 1].rstrip() + "…"


def message_body(summary: str, trailers: str) -> str:
    """Return what follows the subject: the agent's summary, which gives no orders and adds no trailers, and our own trailers."""
    return "\n\n".join(part for part in (without_trailers(defused(shortened(summary))), trailers) if part)
