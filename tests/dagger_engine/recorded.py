"""What was recorded of a real engine: what the stand-in is held against, and what ccterm's own readers are fed with."""

from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, JsonValue

_PLACE = Path(__file__).parent.parent / "captures" / "dagger"


class Sent(BaseModel):
    """One event of a log stream. stream: which of several readers got it."""

    t: float
    stream: int
    text: str


class Recording(BaseModel, extra="allow"):
    """One recording."""

    results_in_the_sdk: list[dict[str, JsonValue]]
    sse: list[Sent] = []

    def result(self, what: str) -> Mapping[str, JsonValue]:
        """Return the result of one thing that was done."""
        return next(each for each in self.results_in_the_sdk if each["what"] == what)

    def events(self, stream: int = 1) -> bytes:
        """Return all that one reader got."""
        return "".join(each.text for each in self.sse if each.stream == stream).encode()

    def named(self, name: str) -> str:
        """Return what stands under a name of its own, such as a trace id."""
        return str((self.model_extra or {})[name])


def recording(name: str) -> Recording:
    """Return a recording by its name."""
    return Recording.model_validate_json((_PLACE / f"{name}.json").read_bytes())
