"""The body of a run's commit: the agent's summary, defused, then ccterm's own trailers."""

import re

from ccterm.models import RunId
from ccterm.output.sanitise import sanitise

SUMMARY_CAP = 10 * 1024
"""Longest summary in a commit, in characters."""
_TRAILER = re.compile(r"^(?=[A-Za-z][A-Za-z-]*: ?\S)", re.MULTILINE)


def commit_body(summary: str, *, run: RunId, model: str | None) -> str:
    """Return the body. Lines of the agent that look like trailers are indented, so that only ours count as such."""
    text = _TRAILER.sub("  ", sanitise(summary).strip()[:SUMMARY_CAP])
    trailers = [f"Ccterm-Run: {run}", *([f"Ccterm-Model: {model}"] if model else [])]
    return "\n\n".join(part for part in (text, "\n".join(trailers)) if part)
