"""A real Dagger engine for tests, where the environment names one.

CCTERM_ENGINE_PID is the process of the first one, for a test that kills it: nobody else may use that engine, and it has to be started anew.
"""

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from ccterm.agents.claude import CLAUDE_VERSION
from ccterm.executors.dagger.executor import DaggerOptions, EngineChoice

NAMED: Mapping[str, str] = {name: os.environ.get(name, "") for name in ("CCTERM_ENGINE", "CCTERM_DAGGER_CLI", "CCTERM_BASE_IMAGE")}
"""Read once, because each test gets its own environment."""
NAMED_PID = os.environ.get("CCTERM_ENGINE_PID", "")


def require_engine(*, engines: int = 1) -> None:
    """Skip the module being collected when too few engines are named."""
    if missing := [name for name in NAMED if not NAMED[name]]:
        pytest.skip(f"no Dagger engine: {', '.join(missing)} not set", allow_module_level=True)
    if len(runners()) < engines:
        pytest.skip(f"CCTERM_ENGINE names fewer than {engines} engines", allow_module_level=True)


def engine_pid() -> int:
    """Return the process of the first engine; skip the test when it may not be killed."""
    if not NAMED_PID:
        pytest.skip("CCTERM_ENGINE_PID names no engine that may be killed")
    return int(NAMED_PID)


def runners() -> list[str]:
    """Return the engines that the environment names."""
    return NAMED["CCTERM_ENGINE"].split(",")


def engine_options() -> DaggerOptions:
    """Return options for the first engine."""
    return DaggerOptions(
        engines=(EngineChoice(runners()[0]),),
        cli=Path(NAMED["CCTERM_DAGGER_CLI"]),
        base=NAMED["CCTERM_BASE_IMAGE"],
        claude_version=CLAUDE_VERSION,
    )


def name_engine(monkeypatch: pytest.MonkeyPatch, kept: Path, **others: str) -> None:
    """Name the engine in a test's environment. kept: a directory that outlives the test, for images."""
    named = {**NAMED, "CCTERM_ENGINE": runners()[0], "XDG_CACHE_HOME": str(kept), "XDG_STATE_HOME": str(kept), **others}
    for name, value in named.items():
        monkeypatch.setenv(name, value)
