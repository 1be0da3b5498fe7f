"""What a run's programs asked for, printed as a table and as a list to paste."""

import asyncio
import json
import tomllib
from pathlib import Path

import pytest

from ccterm.cli.run_tasks import print_ended
from ccterm.events import HostAsked
from ccterm.models import ExecutionMode, Run, RunId, State, Task, new_id, now
from ccterm.record import Recorder
from ccterm.settings import Settings
from ccterm.state_dir import StateDir, settings_path
from ccterm.store import Store
from ccterm.transcript import Transcript
from ccterm.values import Egress
from tests.conftest import Command

RECORD = Egress(mode="record")


def asked(host: str, *, more: int = 1, allowed: bool = True, port: int = 443) -> HostAsked:
    return HostAsked(host=host, port=port, allowed=allowed, count=more, more=more, why="" if allowed else "not on the list")


@pytest.fixture
def store(state: Path) -> Store:
    return Store.open(StateDir(state).prepare().db)


def record(state: Path, store: Store, *events: HostAsked, egress: Egress = RECORD, repo: str = "acme/shop") -> Run:
    """Record a run that has ended."""
    task = Task(
        prompt="x",
        repo=f"https://github.com/{repo}",
        remote_key=f"github.com/{repo}",
        branch="b",
        execution_mode=ExecutionMode.DAGGER,
        egress=egress,
    )
    [run] = store.submit([Run(id=RunId(new_id()), task=task, created=now())], None)

    async def write() -> Run:
        recorder = Recorder(run, Transcript(StateDir(state).run(run.id), run.id), store)
        recorder.emit(events)
        return await recorder.finish(State.SUCCEEDED)

    return asyncio.run(write())


def test_the_log_has_a_row_for_each_host(command: Command, state: Path, store: Store) -> None:
    run = record(
        state,
        store,
        asked("pypi.org"),
        asked("evil.example", allowed=False),
        asked("pypi.org", more=2),
        asked("evil.example", more=1200, allowed=False),
    )
    printed = command("egress", "log", run.ref).stdout.splitlines()
    assert [line.split()[:3] for line in printed] == [
        ["HOST", "TIMES", "FIRST"],
        ["✓", "pypi.org:443", "3"],
        ["!", "evil.example:443", "1,201"],
    ]
    assert printed[2].endswith("not on the list")
    rows = json.loads(command("egress", "log", run.ref, "--json").stdout)
    assert [(row["host"], row["allowed"], row["count"], row["why"]) for row in rows] == [
        ("pypi.org:443", True, 3, ""),
        ("evil.example:443", False, 1201, "not on the list"),
    ]


def test_a_run_that_wrote_nothing_down_says_why(command: Command, state: Path, store: Store) -> None:
    run = record(state, store, egress=Egress())
    assert "--egress record keeps a list" in command("egress", "log", run.ref).stderr
    quiet = record(state, store)
    assert f"no program of run {quiet.label} asked for a host" in command("egress", "suggest", quiet.ref).stderr


def test_a_suggestion_is_a_setting_that_lets_the_same_hosts_through(command: Command, state: Path, store: Store) -> None:
    one = record(
        state,
        store,
        asked("api.anthropic.com"),
        asked("registry.npmjs.org"),
        asked("evil.example", allowed=False),
        asked("10.0.0.7", port=5432),
    )
    two = record(state, store, asked("my_bucket.s3.example"), asked("registry.npmjs.org"))
    other = record(state, store, asked("docs.example", port=80), asked("docs.example"), repo="acme/other")
    done = command("egress", "suggest", one.ref, two.ref, other.ref)
    settings = Settings.model_validate(tomllib.loads(done.stdout))
    assert settings.repo["github.com/acme/shop"].egress == ("npm", "my_bucket.s3.example:443")
    assert settings.repo["github.com/acme/other"].egress == ("docs.example",)
    assert "not in it, since refused: evil.example\n" in done.stderr
    assert "hosts of the internet by name: 10.0.0.7:5432" in done.stderr
    assert json.loads(command("egress", "suggest", one.ref, "--json").stdout) == [
        {"repo": "github.com/acme/shop", "egress": ["npm"], "refused": ["evil.example:443"], "left_out": ["10.0.0.7:5432"]}
    ]


LIST = Egress(mode="list", hosts=("registry.npmjs.org:443", "api.anthropic.com:443"))


def test_a_host_is_allowed_for_further_runs_and_in_the_settings(command: Command, state: Path, store: Store, isolation: Path) -> None:
    settings_path().parent.mkdir(parents=True, exist_ok=True)
    settings_path().write_text('[repo."github.com/acme/shop"]\negress = ["npm"]\n')
    run = record(state, store, asked("pypi.org", allowed=False), egress=LIST)
    store.close()
    done = command("egress", "allow", run.ref, "pypi.org:443")
    assert done.stdout == '[repo."github.com/acme/shop"]\negress = ["npm", "pypi.org:443"]\n'
    assert settings_path().read_text() == done.stdout
    assert f"retry and continue of run {run.label} may now reach: pypi.org\n" in done.stderr
    assert json.loads(command("show", run.ref, "--json").stdout)["allowed_hosts"] == ["pypi.org:443"]
    again = json.loads(command("egress", "allow", run.ref, "pypi.org:443", "--json").stdout)
    assert (again["allowed_hosts"], again["settings"]) == (["pypi.org:443"], None)


def test_a_preset_is_allowed_by_its_name(command: Command, state: Path, store: Store) -> None:
    settings_path().parent.mkdir(parents=True, exist_ok=True)
    settings_path().write_text('[repo."github.com/acme/shop"]\negress = ["npm"]\n')
    run = record(state, store, egress=LIST)
    store.close()
    assert command("egress", "allow", run.ref, "pypi,npm").stdout == '[repo."github.com/acme/shop"]\negress = ["npm", "pypi"]\n'
    allowed = json.loads(command("show", run.ref, "--json").stdout)["allowed_hosts"]
    assert {*allowed} >= {"pypi.org:443", "files.pythonhosted.org:443"}


def test_the_end_of_a_run_says_which_hosts_it_could_not_reach(state: Path, store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    refused = [asked(f"{number}.example", allowed=False, more=number) for number in range(1, 8)]
    print_ended([record(state, store, *refused, egress=LIST) for _ in range(2)] + [record(state, store, asked("pypi.org"))])
    [said] = capsys.readouterr().err.splitlines()
    assert said.startswith("b, b: ")
    assert "not reached: 1.example, 2.example (2 times), 3.example (3 times), 4.example (4 times), 5.example (5 times), 2 more; " in said
    assert said.endswith("ccterm egress log 1 says why, ccterm egress allow 1 HOST adds one for retry and continue")


@pytest.mark.parametrize(
    ("egress", "host", "why"),
    [
        (Egress(), "pypi.org", "may reach every host"),
        (LIST, "10.0.0.1", 'the request holds "10.0.0.1", which is an address\n  name the host'),
        (LIST, "open", 'the request holds "open", which is no host\n  give a new run --egress open'),
    ],
    ids=["open", "address", "all"],
)
def test_what_cannot_be_allowed_is_refused(command: Command, state: Path, store: Store, egress: Egress, host: str, why: str) -> None:
    run = record(state, store, egress=egress)
    store.close()
    done = command("egress", "allow", run.ref, host)
    assert (done.returncode, why in done.stderr) == (2, True)
