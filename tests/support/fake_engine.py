"""A stand-in Dagger engine for a test, with a CLI that finds it and a complete image."""

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
    """The engine and what a client needs to use it. base: the tarball of a complete image."""

    engine: FakeEngine
    cli: Path
    base: Path

    def options(self, *more: FakeEngine, base: str | None = None, capacities: Sequence[int | None] = ()) -> DaggerOptions:
        """Return options for this engine and further ones."""
        engines = [self.engine, *more]
        limits = [*capacities, *[None] * len(engines)]
        return DaggerOptions(
            engines=tuple(EngineChoice(engine.runner, limit) for engine, limit in zip(engines, limits, strict=False)),
            cli=self.cli,
            base=base or str(self.base),
            claude_version=CLAUDE_VERSION,
        )


def make_base(path: Path) -> Path:
    """Make the tarball of a complete image."""
    return whole(CLAUDE_VERSION).tarball(path)


class Listening:
    """Keeps the records of a session's log stream."""

    def __init__(self) -> None:
        self.records: list[LogRecord] = []
        self.restarts = 0

    def record(self, record: LogRecord) -> None:
        """Keep a record."""
        self.records.append(record)

    def restart(self) -> None:
        """Count a restart."""
        self.restarts += 1

    @property
    def text(self) -> str:
        """The output on stdout."""
        return "".join(record.text for record in self.records if record.stream == 1)

    @property
    def eofs(self) -> int:
        """Number of streams that have ended."""
        return sum(record.eof for record in self.records)
