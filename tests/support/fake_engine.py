"""A stand-in for a Dagger engine in a test: the engine, a CLI that finds it, a whole image."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ccterm.agents.claude import CLAUDE_VERSION
from ccterm.executors.dagger.executor import DaggerOptions, EngineChoice
from ccterm.executors.dagger.records import LogRecord
from tests.dagger_engine.engine import FakeEngine
from tests.dagger_engine.images import whole


@dataclass(frozen=True)
class Fake:
    """The engine and what a client needs to use it. base: a tarball of an image that lacks nothing."""

    engine: FakeEngine
    cli: Path
    base: Path

    def options(self, *more: FakeEngine, base: str | None = None, capacities: Sequence[int | None] = ()) -> DaggerOptions:
        """Return options for this engine and more of them."""
        engines = [self.engine, *more]
        limits = [*capacities, *[None] * len(engines)]
        return DaggerOptions(
            engines=tuple(EngineChoice(engine.runner, limit) for engine, limit in zip(engines, limits, strict=False)),
            cli=self.cli,
            base=base or str(self.base),
            claude_version=CLAUDE_VERSION,
        )


def make_base(path: Path) -> Path:
    """Make the tarball of an image that lacks nothing."""
    return whole(CLAUDE_VERSION).tarball(path)


class Listening:
    """Listens to a session's log stream and keeps what it is given."""

    def __init__(self) -> None:
        self.records: list[LogRecord] = []
        self.restarts = 0

    def record(self, record: LogRecord) -> None:
        """Keep a record."""
        self.records.append(record)

    def restart(self) -> None:
        """Count."""
        self.restarts += 1

    @property
    def text(self) -> str:
        """What came on stdout."""
        return "".join(record.text for record in self.records if record.stream == 1)

    @property
    def eofs(self) -> int:
        """How many streams have ended."""
        return sum(record.eof for record in self.records)
