"""Fixtures for transcripts: the directory of a run, and its content."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ccterm.events import Event
from ccterm.models import RunId
from ccterm.transcript import EVENTS_FILE, read_events

RUN = RunId("01J0000000000000000000TEST")
Stored = Callable[[], list[Event]]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / RUN


@pytest.fixture
def stored(directory: Path) -> Stored:
    """Returns the events in the file now."""
    return lambda: list(read_events(directory / EVENTS_FILE))
