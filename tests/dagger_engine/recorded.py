"""Recordings of a real engine: the stand-in is compared with them, and ccterm's readers are tested on them."""

from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, JsonValue

_PLACE = Path(__file__).parent.parent / "captures" / "dagger"


class Sent(BaseModel):
    """One event of a log stream. stream: number of the reader that got it."""

    t: float
    stream: int
    text: str


class Recording(BaseModel, extra="allow"):
    """One recording."""

    results_in_the_sdk: list[dict[str, JsonValue]]
    sse: list[Sent] = []

    def result(self, what: str) -> Mapping[str, JsonValue]:
        """Return the result of one recorded action."""
        return next(each for each in self.results_in_the_sdk if each["what"] == what)

    def events(self, stream: int = 1) -> bytes:
        """Return everything that one reader got."""
        return "".join(each.text for each in self.sse if each.stream == stream).encode()

    def named(self, name: str) -> str:
        """Return a named value, such as a trace id."""
        return str((self.model_extra or {})[name])


def recording(name: str) -> Recording:
    """Return a recording by its name."""
    return Recording.model_validate_json((_PLACE / f"{name}.json").read_bytes())
