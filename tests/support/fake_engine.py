"""A stand-in for a Dagger engine in a test: the engine, a CLI that finds it, a whole image."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ccterm.agents.claude import CLAUDE_VERSION
from ccterm.executors.dagger.executor import DaggerOptions, EngineChoice
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
