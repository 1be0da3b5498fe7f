"""A store and a transcript that the first version wrote are read and shown by today's names."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from ccterm.events import Finished, Judged, Pushed, StepStarted, from_line
from ccterm.state_dir import StateDir
from ccterm.transcript import EVENTS_FILE, read_events
from tests.conftest import Command

WRITTEN = Path(__file__).parents[1] / "captures" / "first_version"
RUN = "01M8KXB19QNM2GVY4RZYWYQ8MV"
STEPS = ["resolve", "checkout", "agent", "commit", "policy", "push"]


@pytest.fixture
def old(state: Path) -> Path:
    """A state directory as the first version left it, with one pushed run."""
    directory = StateDir(state).prepare()
    with closing(sqlite3.connect(directory.db)) as connection:
        connection.executescript((WRITTEN / "store.sql").read_text())
    run = state / "runs" / RUN
    run.mkdir(parents=True, mode=0o700)
    (run / EVENTS_FILE).write_bytes((WRITTEN / "transcript.ndjson").read_bytes())
    return state


def test_its_runs_are_listed_and_shown(command: Command, old: Path) -> None:
    assert "pushed" in command("runs").stdout
    run = json.loads(command("show", "last", "--json").stdout)
    assert [step["name"] for step in run["steps"]] == STEPS
    assert run["pushed"]["verified"] is True
    assert "published" not in run


def test_its_transcript_is_read(command: Command, old: Path) -> None:
    events = list(read_events(WRITTEN / "transcript.ndjson"))
    assert [event.step for event in events if isinstance(event, StepStarted)] == STEPS
    assert [event.verified for event in events if isinstance(event, Pushed)] == [True]
    logs = command("logs", "last")
    assert logs.returncode == 0
    assert "pushed" in logs.stdout
    assert "cannot be read" not in logs.stdout


@pytest.mark.parametrize(
    ("written", "cause", "reason"),
    [
        ('{"seq":9,"kind":"finished","state":"failed","cause":"harvest","reason":"git"}', "commit", "git"),
        ('{"seq":9,"kind":"finished","state":"succeeded","reason":"nothing_to_publish"}', None, "nothing_to_push"),
    ],
    ids=["cause", "reason"],
)
def test_how_a_run_ended_is_read_by_current_names(written: str, cause: str | None, reason: str) -> None:
    event = from_line(written.encode())
    assert isinstance(event, Finished)
    assert (event.cause, event.reason) == (cause, reason)


def test_a_rule_of_a_verdict_is_read_by_its_name_of_today() -> None:
    finding = '{"rule":"twin","severity":"refuse","text":"names that differ only in case","paths":["README.MD"]}'
    event = from_line(b'{"seq":8,"kind":"verdict","verdict":{"ok":false,"findings":[%s]},"changes":{}}' % finding.encode())
    assert isinstance(event, Judged)
    assert [finding.rule for finding in event.verdict.findings] == ["case_collision"]
