"""A task that the real CLI does becomes one commit on a branch of the remote, and its record is whole."""

import json

import pytest

from ccterm.events import Said, Spent, ToolCalled
from ccterm.models import Run, State
from tests.e2e.claude import TOKEN, Claude
from tests.servers.model_script import bash, edit, read, say, use, write
from tests.support.git import files_at, git, tip

pytestmark = pytest.mark.claude
AUTHOR = "Claude Agent <agent@commandcenter.ai>"
WORK = (
    use(write("docs/new.txt", "one\n"), read("src/a.py")),
    use(edit("docs/new.txt", "one", "two"), edit("src/a.py", "a = 1", "a = 2")),
    use(bash("cp docs/new.txt copy.txt; rm README.md")),
    say("I wrote, edited and copied."),
)


async def test_what_it_writes_edits_and_runs_is_one_commit_on_the_remotes_branch_and_its_record_is_whole(claude: Claude) -> None:
    run = await claude.run(*WORK, message="Add the docs")
    assert run.state is State.SUCCEEDED, run.summary
    check_delivered(claude, run)
    await check_recorded(claude, run)
    check_kept_without_the_login(claude, run)


def check_delivered(claude: Claude, run: Run) -> None:
    assert run.pushed is not None
    assert tip(claude.remote, "agent/x") == run.pushed.sha == run.commit
    assert git(claude.remote, "rev-parse", "agent/x^") == run.base_sha == tip(claude.remote, "main")
    assert git(claude.remote, "log", "-1", "--format=%an <%ae>|%cn <%ce>", "agent/x") == f"{AUTHOR}|{AUTHOR}"
    assert files_at(claude.remote, "agent/x") == {"docs/new.txt": b"two\n", "copy.txt": b"two\n", "src/a.py": b"a = 2\n"}
    message = git(claude.remote, "log", "-1", "--format=%B", "agent/x")
    assert message == f"Add the docs\n\nI wrote, edited and copied.\n\nCcterm-Run: {run.id}\nCcterm-Model: sonnet"


async def check_recorded(claude: Claude, run: Run) -> None:
    assert run.cost_usd > 0
    assert (run.turns, run.tokens.output, run.summary) == (6, 400, "I wrote, edited and copied.")
    assert run.manifest.credential == "env"
    assert {call.session for call in claude.api.calls} == {run.session_id}
    assert {call.headers["authorization"] for call in claude.api.calls} == {f"Bearer {TOKEN}"}
    events = await claude.events(run.id)
    assert [event.name for event in events if isinstance(event, ToolCalled)] == ["Write", "Read", "Edit", "Edit", "Bash"]
    assert [event.text for event in events if isinstance(event, Said)][-1] == "I wrote, edited and copied."
    assert [event.cost_usd for event in events if isinstance(event, Spent)][-1] == run.cost_usd


def check_kept_without_the_login(claude: Claude, run: Run) -> None:
    lines = ("agent.ndjson", "session.jsonl", "transcript.ndjson")
    assert claude.kept(run.id) == sorted((*lines, "environment.json"))
    assert TOKEN not in (claude.state / "runs" / run.id / "environment.json").read_text()
    for name in lines:
        text = (claude.state / "runs" / run.id / name).read_text()
        assert all(json.loads(line) for line in text.splitlines())
        assert "I wrote, edited and copied." in text, name
        assert TOKEN not in text, name


@pytest.mark.slow
async def test_the_subject_is_that_of_its_own_commit(claude: Claude) -> None:
    commit = "git -c user.name=me -c user.email=me@example.com commit --quiet --all -m 'Say hello twice'"
    run = await claude.run(use(bash(f"echo hello >> README.md; {commit}")), use(write("more.txt", "more\n")), say("Committed."))
    assert run.state is State.SUCCEEDED, run.summary
    assert git(claude.remote, "log", "--format=%s|%an", "main..agent/x") == "Say hello twice|Claude Agent"
    assert files_at(claude.remote, "agent/x").keys() == {"README.md", "more.txt", "src/a.py"}


@pytest.mark.slow
async def test_a_second_run_continues_the_branch_from_its_tip(claude: Claude) -> None:
    first = await claude.run(use(write("new.txt", "one\n")), say("Begun."))
    second = await claude.run(use(read("new.txt")), use(edit("new.txt", "one", "two")), say("Continued."))
    assert second.state is State.SUCCEEDED, second.summary
    assert second.base_sha == first.commit
    assert second.session_id != first.session_id
    assert git(claude.remote, "rev-list", "main..agent/x").split() == [second.commit, first.commit]
    assert files_at(claude.remote, "agent/x")["new.txt"] == b"two\n"


@pytest.mark.slow
async def test_no_change_is_a_success_with_nothing_to_push(claude: Claude) -> None:
    run = await claude.run(say("All is well already. Shall I look elsewhere?"))
    assert (run.state, run.reason, run.asked) == (State.SUCCEEDED, "nothing_to_push", True)
    assert tip(claude.remote, "agent/x") is None


async def test_without_permission_it_may_edit_but_not_run_commands(claude: Claude) -> None:
    run = await claude.run(
        use(write("new.txt", "new\n")), use(bash("curl http://127.0.0.1:9 > x.txt")), say("Not allowed."), skip_permissions=False
    )
    assert run.state is State.SUCCEEDED, run.summary
    assert files_at(claude.remote, "agent/x").keys() == {"README.md", "new.txt", "src/a.py"}
    notices = [event.text for event in await claude.events(run.id) if event.kind == "notice"]
    assert any(text.startswith("Permission denied: Bash") for text in notices)
