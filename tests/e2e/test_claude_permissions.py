"""What the real CLI may not do by itself is asked of the user, or denied and said; in both cases the run goes on."""

from collections.abc import Sequence

import pytest

from ccterm.errors import UsageError
from ccterm.events import PermissionAnswered, PermissionAsked, ToolReturned
from ccterm.models import Run, State
from ccterm.render import outcome
from ccterm.values import Decision
from tests.e2e.claude import Claude
from tests.servers.model_script import Part, bash, say, use, write
from tests.support.git import files_at

pytestmark = pytest.mark.claude
FETCH = use(bash("touch made.txt; curl -s http://127.0.0.1:9/a"))
AGAIN = use(bash("curl -s http://127.0.0.1:9/a"))


async def decided(claude: Claude, *parts: Part, decisions: Sequence[tuple[Decision, str]]) -> Run:
    """Run a task to its end; its requests for permission are answered in turn."""
    answers = list(decisions)
    run = await claude.start(*parts, skip_permissions=False, permissions="ask")
    async for event in claude.service.follow(run):
        if isinstance(event, PermissionAsked):
            waiting = await claude.service.find(run)
            assert [asked.id for asked in waiting.permission_requests] == [event.id]
            decision, text = answers.pop(0)
            await claude.service.decide(run, event.id, decision, text)
    assert answers == []
    return await claude.service.find(run)


async def test_what_the_user_allows_is_done_and_nothing_counts_as_denied(claude: Claude) -> None:
    ended = await decided(claude, FETCH, say("Fetched."), decisions=[("allow", "")])
    assert (ended.state, ended.denied, ended.permission_requests) == (State.SUCCEEDED, (), ())
    assert "made.txt" in files_at(claude.remote, "agent/x")
    asked = [event for event in await claude.events(ended.id) if isinstance(event, PermissionAsked)]
    assert [(event.tool, event.input["command"]) for event in asked] == [("Bash", "touch made.txt; curl -s http://127.0.0.1:9/a")]


async def test_what_the_user_refuses_is_not_done_and_the_agent_is_told_why(claude: Claude) -> None:
    ended = await decided(claude, FETCH, say("Then not."), decisions=[("deny", "use the cached copy")])
    assert (ended.state, ended.summary) == (State.SUCCEEDED, "Then not.")
    told = [event.text for event in await claude.events(ended.id) if isinstance(event, ToolReturned)]
    assert told == ["use the cached copy"]
    assert ended.denied == ("Bash touch made.txt; curl -s http://127.0.0.1:9/a",)
    assert outcome(ended).endswith("1 denied")


@pytest.mark.slow
async def test_a_permission_for_the_rest_of_the_run_is_asked_for_once(claude: Claude) -> None:
    ended = await decided(claude, AGAIN, AGAIN, use(write("two.txt", "2\n")), say("Twice."), decisions=[("always", "")])
    answers = [event.answer for event in await claude.events(ended.id) if isinstance(event, PermissionAnswered)]
    assert (ended.summary, answers) == ("Twice.", ["always"])
    assert (
        files_at(claude.remote, "agent/x").keys() - {"two.txt"} == files_at(claude.remote, "main").keys()
    )  # no rule was written into the tree


@pytest.mark.slow
async def test_a_request_is_answered_once(claude: Claude) -> None:
    run = await claude.start(FETCH, say("Fetched."), skip_permissions=False, permissions="ask")
    async for event in claude.service.follow(run):
        if isinstance(event, PermissionAsked):
            await claude.service.decide(run, event.id, "allow")
        if isinstance(event, PermissionAnswered):
            with pytest.raises(UsageError, match=r"no longer asks|takes no messages|ended already"):
                await claude.service.decide(run, event.id, "deny")


@pytest.mark.slow
async def test_without_anybody_to_ask_it_is_denied_and_the_run_says_so(claude: Claude) -> None:
    ended = await claude.run(FETCH, say("I was not allowed to."), skip_permissions=False)
    assert (ended.state, ended.denied) == (State.SUCCEEDED, ("Bash touch made.txt; curl -s http://127.0.0.1:9/a",))
    assert outcome(ended) == "nothing to push, 1 denied"


@pytest.mark.slow
async def test_a_run_that_is_stopped_while_it_asks_ends_and_its_request_with_it(claude: Claude) -> None:
    run = await claude.start(FETCH, say("Fetched."), skip_permissions=False, permissions="ask")
    async for event in claude.service.follow(run):
        if isinstance(event, PermissionAsked):
            await claude.service.cancel(run)
    ended = await claude.service.find(run)
    assert (ended.state, ended.permission_requests) == (State.CANCELLED, ())
    assert [event.answer for event in await claude.events(run) if isinstance(event, PermissionAnswered)] == ["withdrawn"]
