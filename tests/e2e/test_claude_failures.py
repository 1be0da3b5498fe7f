"""However the real CLI or its API fails, the run has the right state and cause, and the work so far is kept."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ccterm.causes import Cause
from ccterm.events import Limited, Retrying
from ccterm.models import Run, State
from tests.conftest import MakeRemote
from tests.e2e.claude import TOKEN, Claude
from tests.servers.messages_api import MessagesServer
from tests.servers.model_script import (
    CUT_SHORT,
    REFUSAL,
    Cut,
    Part,
    Refuse,
    bash,
    overloaded,
    rate_limited,
    say,
    unauthorized,
    usage_limit,
    use,
    write,
)
from tests.support.core import ccterm, documents
from tests.support.git import files_at, tip

pytestmark = pytest.mark.claude
HALF = use(write("half.txt", "half\n"))


async def check_kept(claude: Claude, run: Run) -> None:
    """Check that nothing was pushed, and that `push` delivers the half of the work that was done."""
    assert tip(claude.remote, "agent/x") is None
    assert run.salvage is not None
    await claude.service.push(run.id)
    assert files_at(claude.remote, "agent/x")["half.txt"] == b"half\n"


LASTING: dict[str, tuple[Part, Cause, str]] = {
    "login refused": (unauthorized(), Cause.AUTH, "authentication_failed"),
    "overloaded": (overloaded(), Cause.RATE_LIMITED, "overloaded"),
    "rate limited": (rate_limited(), Cause.RATE_LIMITED, "rate_limit"),
    "no credit": (Refuse(400, "invalid_request_error", "Your credit balance is too low to access the Anthropic API."), Cause.BUDGET, "billing_error"),
    "server error": (Refuse(500, "api_error", "Internal server error"), Cause.AGENT, "server_error"),
    "no answer": (Cut("before"), Cause.AGENT, "connection_failed"),
    "answer cut": (Cut("within"), Cause.AGENT, "connection_failed"),
}  # fmt: skip
"""Failure -> the lasting fault, and how the run ends."""


SOON = ("login refused",)
"""The failures of the fast tier; the slow tier has all others."""


@pytest.mark.parametrize("failure", [each if each in SOON else pytest.param(each, marks=pytest.mark.slow) for each in LASTING])
async def test_a_lasting_failure_has_its_cause_and_the_work_is_kept(failure: str, claude: Claude) -> None:
    part, cause, reason = LASTING[failure]
    run = await claude.run(HALF, part)
    assert (run.state, run.cause, run.reason) == (State.FAILED, cause, reason), run.summary
    assert run.summary
    await check_kept(claude, run)


@pytest.mark.slow
@pytest.mark.parametrize(("answer", "reason"), [(REFUSAL, "refusal"), (CUT_SHORT, "max_output_tokens")], ids=["refusal", "cut short"])
async def test_answers_that_stay_empty_are_a_failure(answer: Part, reason: str, claude: Claude) -> None:
    run = await claude.run(HALF, *[answer] * 8)
    assert (run.state, run.cause, run.reason) == (State.FAILED, Cause.AGENT, reason), run.summary
    await check_kept(claude, run)


@pytest.mark.slow
async def test_what_fails_three_times_and_then_works_is_a_success_that_reports_its_retries(claude: Claude) -> None:
    run = await claude.run(overloaded(times=3), HALF, say("At last."))
    assert run.state is State.SUCCEEDED, run.summary
    assert "half.txt" in files_at(claude.remote, "agent/x")
    retries = [event for event in await claude.events(run.id) if isinstance(event, Retrying)]
    assert [(retry.attempt, retry.of) for retry in retries] == [(1, 3), (2, 3), (3, 3)]
    assert all("529" in retry.why or "overloaded" in retry.why for retry in retries), retries[0].why


@pytest.mark.slow
async def test_an_answer_that_is_cut_once_is_requested_again(claude: Claude) -> None:
    run = await claude.run(HALF, Cut("within", times=1), say("Second try."))
    assert (run.state, run.summary) == (State.SUCCEEDED, "Second try.")
    assert run.pushed is not None


@pytest.mark.parametrize("window", ["five_hour", pytest.param("seven_day", marks=pytest.mark.slow)])
async def test_a_usage_limit_names_its_reset(window: str, claude: Claude) -> None:
    reset = (datetime.now(UTC) + timedelta(hours=2)).replace(microsecond=0)
    limit = usage_limit(int(reset.timestamp()), window="five_hour" if window == "five_hour" else "seven_day")
    run = await claude.run(HALF, limit)
    assert (run.state, run.cause) == (State.FAILED, Cause.USAGE_LIMIT), run.summary
    assert f"resets {reset:%Y-%m-%d %H:%M} UTC" in run.summary
    [limited] = [event for event in await claude.events(run.id) if isinstance(event, Limited) and event.status == "rejected"]
    assert (limited.limit, limited.resets_at) == (window, reset)
    await check_kept(claude, run)


@pytest.mark.slow
async def test_a_turn_limit_is_a_budget(claude: Claude) -> None:
    run = await claude.run(HALF, HALF, HALF, max_turns=1)
    assert (run.state, run.cause, run.reason) == (State.FAILED, Cause.BUDGET, "error_max_turns"), run.summary
    await check_kept(claude, run)


@pytest.mark.slow
async def test_a_spent_budget_is_a_budget(claude: Claude) -> None:
    run = await claude.run(HALF, *[use(bash("true"))] * 5, budget=0.004)
    assert (run.state, run.cause, run.reason) == (State.FAILED, Cause.BUDGET, "error_max_budget_usd"), run.summary
    await check_kept(claude, run)


@pytest.mark.slow
async def test_an_agent_that_is_killed_has_no_result(claude: Claude) -> None:
    run = await claude.run(HALF, use(bash("kill -9 $PPID")), say("never said"))
    assert (run.state, run.cause, run.reason) == (State.FAILED, Cause.AGENT, "no_result"), run.summary
    assert "signal 9" in run.summary
    assert claude.processes() == []
    await check_kept(claude, run)


@pytest.mark.slow
async def test_a_time_limit_stops_a_command_that_hangs(claude: Claude) -> None:
    for timeout in ("15s", "120s"):  # on a busy machine the first one may be over before the CLI is up
        run = await claude.run(HALF, use(bash("tail -f /dev/null")), timeout=timeout)
        assert (run.state, run.cause) == (State.FAILED, Cause.TIMEOUT), run.summary
        if run.salvage:
            break
    assert claude.processes() == []
    await check_kept(claude, run)


CODES: list[tuple[Part, str, int]] = [
    (say("All is well."), "succeeded", 0),
    (unauthorized(), "failed", 6),
    (Refuse(500, "api_error", "Internal server error"), "failed", 1),
]


@pytest.mark.slow
@pytest.mark.parametrize(("part", "state", "code"), CODES, ids=["well", "login refused", "server error"])
async def test_the_command_line_exits_with_the_code_of_the_cause(
    part: Part, state: str, code: int, api: MessagesServer, claude_bin: Path, make_remote: MakeRemote, tmp_path: Path
) -> None:
    api.script("Do the work", part)
    env = {"CCTERM_CLAUDE_BIN": str(claude_bin), "CCTERM_STATE_DIR": str(tmp_path / "state")}
    flags = ("--repo", str(make_remote()), "--branch", "x", "--mode", "local", "--agent", "claude", "--skip-permissions", "--json")
    done = await asyncio.to_thread(ccterm, "run", "Do the work", *flags, env=env)
    assert done.returncode == code, done.stderr
    [run] = documents(done.stdout)
    assert run["state"] == state
    assert TOKEN not in done.stdout + done.stderr
