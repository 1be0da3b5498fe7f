"""A real Dagger engine for tests, where somebody named one."""

import os
from pathlib import Path

import pytest

from ccterm.agents.claude import CLAUDE_VERSION
from ccterm.executors.dagger.executor import DaggerOptions, EngineChoice

NAMED = {name: os.environ.get(name, "") for name in ("CCTERM_ENGINE", "CCTERM_DAGGER_CLI", "CCTERM_BASE_IMAGE")}
"""Read once: each test has an environment of its own."""


needs_engine = [
    pytest.mark.engine,
    pytest.mark.skipif(
        not all(NAMED.values()), reason=f"no engine is named ({' '.join(name for name in NAMED if not NAMED[name])} not set)"
    ),
]
"""Marks of a module whose tests need a real engine."""


def engine_options() -> DaggerOptions:
    """Return options for the engines that the environment names."""
    return DaggerOptions(
        engines=tuple(EngineChoice(runner) for runner in NAMED["CCTERM_ENGINE"].split(",")),
        cli=Path(NAMED["CCTERM_DAGGER_CLI"]),
        base=NAMED["CCTERM_BASE_IMAGE"],
        claude_version=CLAUDE_VERSION,
    )
