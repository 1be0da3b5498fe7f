"""What becomes of runs of the real CLI when their login is refused, or ends before they would."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from ccterm.causes import Cause
from ccterm.events import Held, Notice
from ccterm.models import Run, RunId, State, now
from tests.e2e.claude import TOKEN, Claude
from tests.servers.messages_api import MessagesServer
from tests.servers.model_script import say, unauthorized, use, write
from tests.support.git import files_at

pytestmark = pytest.mark.claude
HALF = use(write("half.txt", "half\n"))
REFUSED = replace(unauthorized(), times=3)
"""What the CLI gives up after: it asks twice more."""
NEWER = TOKEN.replace("Zq3v", "Yp4w")
StoredToken = Callable[[timedelta], None]


@pytest.fixture
def stored_token(api: MessagesServer, isolation: Path, monkeypatch: pytest.MonkeyPatch) -> StoredToken:
    """Store a setup-token that ends after some time, instead of the one in the environment."""
    monkeypatch.delenv("CLAUDE_CODE_OAUTH_TOKEN")

    def store(left: timedelta) -> None:
        path = isolation / ".claude-container" / "setup-token.json"
        path.parent.mkdir(mode=0o700, exist_ok=True)
        stored: datetime = now() - timedelta(days=365) + left
        path.write_text(json.dumps({"token": "sk-ant-oat01-" + "D" * 95, "stored": stored.isoformat()}))
        path.chmod(0o600)

    return store


async def notices(claude: Claude, run: Run) -> str:
    return "\n".join([event.text for event in await claude.events(run.id) if isinstance(event, Notice)])


async def held(claude: Claude, run: RunId) -> str:
    """Return why a queued run is held, once it is."""
    async for event in claude.service.follow(run):
        if isinstance(event, Held) and not event.turn:
            return event.reason
    return ""


@pytest.mark.slow
async def test_a_refused_login_ends_one_run_holds_the_next_ones_and_a_newer_one_lets_all_go_on(
    claude: Claude, monkeypatch: pytest.MonkeyPatch
) -> None:
    drafts = [claude.draft(HALF, REFUSED, say("I went on."), branch="a"), *(claude.draft(say("Fine."), HALF, branch=name) for name in "bc")]
    refused, *others = await claude.service.submit(drafts, max_concurrent=1)
    ended = await claude.service.wait(refused.id)
    assert (ended.state, ended.cause) == (State.FAILED, Cause.AUTH)
    assert ended.salvage is not None
    assert "session.jsonl" in claude.kept(ended.id)
    requests = len(claude.api.calls)
    refusal = "Claude refused the login (CLAUDE_CODE_OAUTH_TOKEN); set another one, and submit something from there"
    assert [await held(claude, run.id) for run in others] == [refusal] * 2
    assert await claude.service.renewed() == []
    monkeypatch.setenv("CLAUDE_CODE_OAUTH_TOKEN", NEWER)
    await claude.service.look_again()
    assert [(await claude.service.wait(run.id)).state for run in others] == [State.SUCCEEDED] * 2
    assert {call.headers["authorization"] for call in claude.api.calls[requests:]} == {f"Bearer {NEWER}"}
    assert await claude.service.renewed() == [refused.id]
    again = await claude.service.restart(refused.id)
    assert (again.continues, await claude.service.renewed(), await claude.service.refused()) == (refused.id, [], [])
    done = await claude.service.wait(again.id)
    assert (done.state, done.summary, done.session_id) == (State.SUCCEEDED, "I went on.", ended.session_id)
    assert files_at(claude.remote, "a")["half.txt"] == b"half\n"


@pytest.mark.slow
async def test_a_run_gets_a_time_limit_that_its_login_outlives_and_says_so(claude: Claude, stored_token: StoredToken) -> None:
    stored_token(timedelta(minutes=30, seconds=55))
    short, long = await claude.run(HALF, branch="a", timeout="10m"), await claude.run(HALF, branch="b")
    assert (short.state, long.state) == (State.SUCCEEDED, State.SUCCEEDED)
    assert "time limit" not in await notices(claude, short)
    assert "time limit 25 min instead of 60: the Claude login ends at" in await notices(claude, long)
    assert long.task.limits.wall_seconds == 3600


@pytest.mark.slow
async def test_a_login_that_ends_in_less_than_ten_minutes_holds_a_run_until_there_is_another(
    claude: Claude, stored_token: StoredToken
) -> None:
    stored_token(timedelta(minutes=9))
    run = await claude.start(HALF)
    assert "ends at" in await held(claude, run)
    assert claude.api.calls == []
    stored_token(timedelta(days=200))
    await claude.service.look_again()
    assert (await claude.service.wait(run)).state is State.SUCCEEDED
