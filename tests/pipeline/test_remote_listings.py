"""What a run starts from is asked on the host, once for all runs that wait for it, and in a box only where the host cannot tell."""

import asyncio
import contextlib
import itertools
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from pydantic import SecretStr

from ccterm.executors.local.executor import LocalExecutor
from ccterm.git.remote import LISTING_SECONDS
from ccterm.models import now
from ccterm.output.mask import Masker
from ccterm.pipeline.context import RemoteAccess, RunOutput
from ccterm.pipeline.remote_listings import RemoteListings
from ccterm.pipeline.run_control import RunControl, StoppedEarly
from ccterm.pipeline.step_runner import StepRunner
from ccterm.pipeline.targets import BranchTarget
from ccterm.state_dir import StateDir
from ccterm.values import ImageChoice
from tests.box.gitbox import AUTHORIZATION, TOKEN
from tests.conftest import MakeRemote
from tests.pipeline.parts import recorder_of, task
from tests.servers.git_http import GitServer, Hang, Kind, Status
from tests.servers.loopback import Gate, Loopback
from tests.support.git import add_commit, tip, write_files
from tests.support.waiting import until

BRANCH = "agent/x"
DEAD = "http://127.0.0.1:9/remote.git"
"""Nobody listens on the discard port."""


@pytest.fixture
def server(tmp_path: Path, make_remote: MakeRemote) -> Iterator[GitServer]:
    make_remote()
    with GitServer(tmp_path) as server:
        yield server


def access_to(url: str, *, header: str | None = None, elsewhere: bool = False) -> RemoteAccess:
    """Return the access to a remote, by default without a credential."""
    return RemoteAccess(url=url, host_url=url, mirror_key="", header=SecretStr(header) if header else None, elsewhere=elsewhere)


def asked(server: GitServer) -> int:
    """Return how often a server was asked for its refs."""
    return sum(request.kind is Kind.DISCOVER_FETCH for request in server.requests)


async def base(listings: RemoteListings, access: RemoteAccess, started: datetime) -> object:
    """Return the commit that a run on a new branch starts from."""
    report = await listings.start(access, BRANCH, None, started=started)
    assert report is not None
    return report["base"]


async def test_runs_that_were_waiting_share_one_listing(server: GitServer, tmp_path: Path) -> None:
    listings, access, started = RemoteListings(), access_to(server.url("remote.git")), now()
    found = await asyncio.gather(*(base(listings, access, started) for _ in range(8)))
    found.append(await base(listings, access, started - timedelta(hours=1)))
    assert set(found) == {tip(tmp_path / "remote.git", "main")}
    assert asked(server) == 1


async def test_runs_that_were_waiting_share_one_rehearsal_of_the_push(server: GitServer) -> None:
    listings, access, started = RemoteListings(), access_to(server.url("remote.git")), now()
    reports = await asyncio.gather(*(listings.start(access, BRANCH, None, started=started, to_push=True) for _ in range(8)))
    assert all(report and report["ok"] for report in reports)
    assert [request.kind for request in server.requests].count(Kind.DISCOVER_PUSH) == 1
    assert Kind.PUSH not in {request.kind for request in server.requests}


async def test_a_remote_that_took_a_push_is_not_asked_whether_it_takes_another(server: GitServer) -> None:
    listings, access = RemoteListings(), access_to(server.url("remote.git"))
    listings.pushed(access)
    assert await listings.push_refusal(access, started=now()) == ""
    assert Kind.DISCOVER_PUSH not in {request.kind for request in server.requests}
    server.fail(Kind.DISCOVER_PUSH, Status(403))
    assert await listings.push_refusal(access_to(server.url("remote.git"), elsewhere=True), started=now())  # another access
    listings.pushed(access, taken=False)
    server.fail(Kind.DISCOVER_PUSH, Status(403))
    assert await listings.push_refusal(access, started=now())


@pytest.mark.parametrize("code", [401, 403, 404])
async def test_a_remote_that_would_take_no_push_is_no_start(server: GitServer, code: int) -> None:
    server.fail(Kind.DISCOVER_PUSH, Status(code))
    for access in (access_to(server.url("remote.git")), access_to(server.url("remote.git"), elsewhere=True)):
        report = await RemoteListings().start(access, BRANCH, None, started=now(), to_push=True)
        assert report is not None
        assert (report["ok"], report["reason"]) == (False, "no_push")


SSH = """#!/bin/sh
for last; do :; done
case "$last" in git-receive-pack*) [ -z "$REFUSAL" ] || { echo "$REFUSAL" >&2; exit 1; };; esac
exec sh -c "$last"
"""
"""Stands in for ssh to a host that is this machine."""


@pytest.mark.parametrize(
    ("refusal", "refused"),
    [
        ("", False),
        ("ERROR: Permission to o/r.git denied to octocat.", True),
        ("ERROR: The key you are authenticating with has been marked as read only.", True),
        ("remote: ERROR: This deploy key does not have write access to this project.", True),
        ("remote: ERROR: You are not allowed to push code to this project.", True),
        ("FATAL: W any r octocat DENIED by fallthru", True),
        ("Gitea: User permission denied for writing.", True),
        ("kex_exchange_identification: Connection closed by remote host", False),
    ],
)
async def test_a_push_is_rehearsed_over_ssh_too(
    tmp_path: Path, make_remote: MakeRemote, monkeypatch: pytest.MonkeyPatch, refusal: str, *, refused: bool
) -> None:
    remote = make_remote()
    write_files(tmp_path, {"bin/ssh": SSH.replace("$REFUSAL", refusal)})
    (tmp_path / "bin" / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    access = replace(access_to(f"ssh://git@host.invalid{remote}"), known_hosts="")
    report = await RemoteListings().start(access, BRANCH, None, started=now(), to_push=True)
    assert report is not None
    assert (report["ok"], report.get("reason")) == ((False, "no_push") if refused else (True, None))


async def test_a_remote_that_does_not_tell_whether_it_would_take_a_push_is_taken_to(server: GitServer) -> None:
    gate = Gate()
    for fault, listings in ((Status(500), RemoteListings()), (Hang(gate), RemoteListings(seconds=2))):
        server.heal()
        server.fail(Kind.DISCOVER_PUSH, fault)
        report = await listings.start(access_to(server.url("remote.git")), BRANCH, None, started=now(), to_push=True)
        assert report is not None
        assert report["ok"]
    gate.open()


async def test_a_run_sees_what_was_pushed_before_it_was_started(server: GitServer, tmp_path: Path) -> None:
    listings, access = RemoteListings(), access_to(server.url("remote.git"))
    await base(listings, access, now())
    commit = add_commit(tmp_path / "remote.git", {"new": "1"})
    assert await base(listings, access, now()) == commit


async def test_a_remote_is_asked_again_after_a_push(server: GitServer, tmp_path: Path) -> None:
    listings, access, started = RemoteListings(), access_to(server.url("remote.git")), now()
    await base(listings, access, started)
    commit = add_commit(tmp_path / "remote.git", {"new": "1"})
    other = replace(access, header=SecretStr("Authorization: Basic eDp5"))
    listings.pushed(other)  # whoever pushed
    assert await base(listings, access, started) == commit


async def test_a_listing_is_shared_only_with_who_has_the_same_credential(tmp_path: Path, make_remote: MakeRemote) -> None:
    make_remote()
    with GitServer(tmp_path, token=TOKEN) as server:
        listings, started = RemoteListings(), now()
        access = access_to(server.url("remote.git"), header=AUTHORIZATION)
        assert await base(listings, access, started) == tip(tmp_path / "remote.git", "main")
        report = await listings.start(replace(access, header=None, elsewhere=True), BRANCH, None, started=started)
    assert report is not None  # a box would be refused, too
    assert (report["ok"], report["reason"]) == (False, "auth")
    assert AUTHORIZATION.split()[-1] not in str(report)


async def test_one_that_is_cancelled_takes_the_answer_from_nobody(server: GitServer, tmp_path: Path) -> None:
    listings, access, started = RemoteListings(), access_to(server.url("remote.git")), now()
    first, second = (asyncio.ensure_future(base(listings, access, started)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    assert await second == tip(tmp_path / "remote.git", "main")
    assert first.cancelled()


async def test_a_remote_that_only_boxes_reach_is_left_to_them(tmp_path: Path) -> None:
    listings, here = RemoteListings(), access_to(DEAD)
    report = await listings.start(here, BRANCH, None, started=now())
    assert report is not None
    assert (report["ok"], report["reason"]) == (False, "network")
    assert await listings.start(replace(here, elsewhere=True), BRANCH, None, started=now()) is None


async def test_a_remote_that_does_not_answer_in_time_is_left_to_a_box_at_once(server: GitServer) -> None:
    access = access_to(server.url("remote.git"), elsewhere=True)
    gate = Gate()
    server.fail(Kind.DISCOVER_FETCH, Hang(gate))
    listings = RemoteListings(seconds=0.5)
    assert await listings.start(access, BRANCH, None, started=now()) is None
    assert await listings.start(access, BRANCH, None, started=now()) is None
    gate.open()
    assert asked(server) <= 1  # none if git was not up in time


async def test_more_refs_than_the_host_reads_are_left_to_a_box(server: GitServer) -> None:
    listings = RemoteListings(limit=50)
    assert await listings.start(access_to(server.url("remote.git")), BRANCH, None, started=now()) is None


async def test_a_listing_without_end_is_ended_at_the_limit(
    tmp_path: Path, make_remote: MakeRemote, monkeypatch: pytest.MonkeyPatch
) -> None:
    remote = make_remote()
    write_files(tmp_path, {"bin/git": f"#!/bin/sh\nexec yes '{'1' * 40}\trefs/heads/b'\n"})
    (tmp_path / "bin" / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    begin = time.monotonic()
    assert await RemoteListings(limit=1 << 20).start(access_to(str(remote)), BRANCH, None, started=now()) is None
    assert time.monotonic() - begin < LISTING_SECONDS / 2


class EndlessRefs(BaseHTTPRequestHandler):
    """Lists refs for as long as somebody listens."""

    def do_GET(self) -> None:
        """Answer."""
        self.send_response(200)
        self.send_header("Content-Type", "application/x-git-upload-pack-advertisement")
        self.end_headers()
        with contextlib.suppress(OSError):
            self.wfile.write(b"001e# service=git-upload-pack\n0000")
            for start in itertools.count(0, 20_000):
                lines = (b"%040x refs/heads/b%d\n" % (n + 1, n) for n in range(start, start + 20_000))
                self.wfile.write(b"".join(b"%04x%s" % (len(line) + 4, line) for line in lines))

    def log_message(self, *_args: object) -> None:
        """Stay silent."""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux bounds the memory of git, which holds all refs before it prints one")
async def test_git_itself_holds_no_endless_list_of_refs() -> None:
    with Loopback(EndlessRefs) as server:
        for access in (access_to(f"{server.origin}/r.git"), access_to(f"{server.origin}/r.git", elsewhere=True)):
            report = await RemoteListings(seconds=LISTING_SECONDS).start(access, BRANCH, None, started=now())
            assert report == {
                "ok": False,
                "reason": "refs",
                "detail": "the remote lists more refs than ccterm takes, which are about a million",
            }


async def test_a_failure_is_not_remembered(server: GitServer, tmp_path: Path) -> None:
    listings, access, started = RemoteListings(), access_to(server.url("remote.git")), now()
    server.fail(Kind.DISCOVER_FETCH, Status(500), times=1)
    report = await listings.start(access, BRANCH, None, started=started)
    assert report is not None
    assert report["ok"] is False
    assert await base(listings, access, started) == tip(tmp_path / "remote.git", "main")


async def test_a_box_asks_where_the_host_cannot(remote: Path, state_dir: Path) -> None:
    state = StateDir(state_dir).prepare()
    recorder, access = recorder_of(state, task(remote, "")), replace(access_to(str(remote)), host_url=DEAD, elsewhere=True)
    async with LocalExecutor(state.path) as executor, executor.open_run(recorder.run.id, ImageChoice()) as boxes:
        steps = StepRunner(RunOutput(Masker([]), recorder), boxes, recorder, RunControl())
        found = await BranchTarget(steps, boxes, recorder, recorder.run.task, access).check_out()
    await recorder.close()
    assert found.base == recorder.run.base_sha == tip(remote, "main")
    assert [(step.name, step.ok) for step in recorder.run.steps] == [("resolve", True), ("checkout", True)]


async def test_asking_is_ended_by_a_cancellation(server: GitServer, state_dir: Path) -> None:
    state, control = StateDir(state_dir).prepare(), RunControl()
    gate = Gate()
    server.fail(Kind.DISCOVER_FETCH, Hang(gate))
    url = server.url("remote.git")
    recorder = recorder_of(state, task(Path("unused"), "", remote=url))
    async with LocalExecutor(state.path) as executor, executor.open_run(recorder.run.id, ImageChoice()) as boxes:
        steps = StepRunner(RunOutput(Masker([]), recorder), boxes, recorder, control)
        checking_out = asyncio.ensure_future(BranchTarget(steps, boxes, recorder, recorder.run.task, access_to(url)).check_out())
        await until(lambda: asked(server) == 1)
        await control.cancel()
        with pytest.raises(StoppedEarly):
            await checking_out
    gate.open()
    await recorder.close()
