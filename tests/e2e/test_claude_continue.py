"""Runs of the real CLI that go on: one conversation, and a commit for each turn."""

import json
from pathlib import Path

import pytest

from ccterm.causes import Cause
from ccterm.models import Run, State
from tests.e2e.claude import HANGING, TOKEN, Claude
from tests.servers.model_script import bash, say, use, write
from tests.support.git import files_at, git

pytestmark = pytest.mark.claude
TURNS = (
    use(write("one.txt", "1\n")),
    say("Wrote one."),
    use(bash("echo 2 >> one.txt")),
    say("Wrote two."),
    use(bash("echo 3 >> one.txt")),
    say("Wrote three."),
)


async def going_on(claude: Claude, run: Run, text: str) -> Run:
    return await claude.service.wait((await claude.service.continue_(run.id, text)).id)


@pytest.mark.slow
async def test_three_turns_are_three_commits_and_one_conversation(claude: Claude) -> None:
    first = await claude.run(*TURNS)
    second = await going_on(claude, first, "Now write two, please.")
    third = await going_on(claude, second, "Now write three, please.")
    assert third.state is State.SUCCEEDED, third.summary
    assert files_at(claude.remote, "agent/x")["one.txt"] == b"1\n2\n3\n"
    assert git(claude.remote, "rev-list", "main..agent/x").split() == [third.commit, second.commit, first.commit]
    last = claude.api.calls[-1]
    assert all(last.says(text) for text in (first.task.prompt, second.task.prompt, third.task.prompt))
    assert {call.session for call in claude.api.calls} == {first.session_id} == {third.session_id}
    assert [run.cost_usd for run in (second, third)] == [pytest.approx(first.cost_usd)] * 2
    assert [run.tokens for run in (second, third)] == [first.tokens] * 2
    conversation = (claude.state / "runs" / third.id / "session.jsonl").read_text()
    assert all(json.loads(line) for line in conversation.splitlines())
    assert "Now write two, please." in conversation


@pytest.mark.slow
async def test_with_the_users_own_home_the_clis_own_file_goes_on(claude: Claude, monkeypatch: pytest.MonkeyPatch, isolation: Path) -> None:
    monkeypatch.delenv("CLAUDE_CODE_OAUTH_TOKEN")
    own = isolation / ".claude"
    own.mkdir()
    login = {"claudeAiOauth": {"accessToken": TOKEN, "scopes": ["user:inference"]}}
    (own / ".credentials.json").write_text(json.dumps(login))
    first = await claude.run(*TURNS)
    second = await going_on(claude, first, "Now write two, please.")
    assert second.state is State.SUCCEEDED, second.summary
    assert claude.api.calls[-1].says(first.task.prompt)
    assert second.cost_usd == pytest.approx(first.cost_usd)
    for path in own.glob("projects/*/*.jsonl"):
        path.unlink()
    third = await going_on(claude, second, "Now write three, please.")
    assert (third.state, third.cause, third.reason) == (State.FAILED, Cause.CHECKOUT, "earlier")
    assert "--fresh" in third.action


@pytest.mark.slow
async def test_a_run_that_was_stopped_goes_on_after_the_login_was_renewed(claude: Claude, monkeypatch: pytest.MonkeyPatch) -> None:
    run = await claude.start(use(write("half.txt", "half\n")), HANGING, use(bash("cp half.txt whole.txt")), say("Done."))
    await claude.hangs()
    await claude.service.cancel(run)
    stopped = await claude.service.wait(run)
    monkeypatch.setenv("CLAUDE_CODE_OAUTH_TOKEN", f"{TOKEN}-renewed")
    more = await going_on(claude, stopped, "Go on, please.")
    assert more.state is State.SUCCEEDED, more.summary
    assert files_at(claude.remote, "agent/x").keys() >= {"half.txt", "whole.txt"}
    assert claude.api.calls[-1].headers["authorization"] == f"Bearer {TOKEN}-renewed"
    assert claude.api.calls[-1].says(stopped.task.prompt)
