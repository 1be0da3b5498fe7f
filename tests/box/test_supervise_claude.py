"""The supervisor with the real Claude CLI and an API on loopback."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.box.boxed import Running, alive
from tests.box.conftest import Supervise
from tests.servers.loopback import Gate
from tests.servers.messages_api import MessagesServer
from tests.servers.model_script import Part, bash, say, use
from tests.support.waiting import LIMIT, wait_until

pytestmark = pytest.mark.claude
ALSO_SHOWN_BY_RUNS = pytest.mark.slow
"""For what the fast tier sees in whole runs (tests/e2e/test_claude_steering.py)."""
FLAGS = (
    "-p --input-format stream-json --output-format stream-json --verbose --dangerously-skip-permissions --model sonnet --strict-mcp-config"
)
HANGING = use(bash("touch begun; tail -f /dev/null"))
Start = Callable[..., Running]


@pytest.fixture
def api() -> Iterator[MessagesServer]:
    with MessagesServer() as server:
        yield server


@pytest.fixture
def start(supervise: Supervise, api: MessagesServer, claude_bin: Path) -> Start:
    env = {
        "ANTHROPIC_BASE_URL": api.origin,
        "CLAUDE_CODE_OAUTH_TOKEN": "test-token",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "CLAUDE_CODE_DISABLE_BACKGROUND_TASKS": "1",
        "DISABLE_AUTOUPDATER": "1",
        "IS_SANDBOX": "1",
    }

    def start(*script: Part, **fields: object) -> Running:
        api.script("Go", *script)
        return supervise("Go", argv=[str(claude_bin), *FLAGS.split()], env=env, **fields)

    return start


def steered(run: Running) -> list[tuple[str, bool]]:
    return [(note["d"], note["taken"]) for note in run.notes("steered")]


@ALSO_SHOWN_BY_RUNS
def test_it_ends_by_itself_after_its_result(start: Start) -> None:
    with start(say("hi"), grace_seconds=60) as run:
        report = run.report()
    assert (report["exit"], report["stopped_by"], run.messages("result")[0]["result"]) == (0, "", "hi")
    assert report["seconds"] < 60


@ALSO_SHOWN_BY_RUNS
def test_a_message_while_a_tool_runs_is_taken_up_in_the_same_turn(start: Start, box: Path) -> None:
    with start(use(bash("touch begun; while [ ! -e go ]; do sleep 0.05; done")), say("both done")) as run:
        wait_until((box / "tree" / "begun").exists)
        run.order("say", "and this")
        run.until_said('"state":"queued"')
        (box / "tree" / "go").touch()
        run.report()
    assert (steered(run), len(run.messages("result"))) == ([("and this", True)], 1)


@ALSO_SHOWN_BY_RUNS
def test_a_message_during_the_last_answer_gets_a_turn_of_its_own(start: Start, api: MessagesServer) -> None:
    gate = Gate()
    with start(say("first", gate=gate), say("second")) as run:
        wait_until(lambda: api.calls)
        run.order("say", "one more thing")
        run.until_said('"state":"queued"')
        gate.open()
        run.report()
    assert steered(run) == [("one more thing", True)]
    assert [result["result"] for result in run.messages("result")] == ["first", "second"]


@pytest.mark.parametrize("words", [pytest.param(1, marks=pytest.mark.slow), 5])
def test_messages_that_race_with_the_result_are_all_answered(start: Start, api: MessagesServer, words: int) -> None:
    gate = Gate()
    with start(say("first", gate=gate)) as run:
        wait_until(lambda: api.calls)
        gate.open()
        for number in range(words):
            run.order("say", f"word {number}")
        run.report()
    assert sorted(text for text, _ in steered(run)) == [f"word {number}" for number in range(words)]


@ALSO_SHOWN_BY_RUNS
def test_a_held_one_waits_takes_a_message_and_ends_when_released(start: Start) -> None:
    with start(say("first"), say("second"), hold=True) as run:
        run.until(lambda frame: frame.get("what") == "waiting")
        run.order("say", "go on")
        run.until_said('"result":"second"')
        run.order("release")
        report = run.report()
    assert (report["exit"], report["stopped_by"], steered(run)) == (0, "", [("go on", True)])


def test_a_stop_in_the_middle_of_a_command_gives_a_result_and_leaves_nothing(start: Start, box: Path) -> None:
    with start(HANGING, mark="m-claude-stop", termination_seconds=[60, 5, 2]) as run:  # time to answer, however busy the machine is
        wait_until((box / "tree" / "begun").exists)
        run.order("stop")
        report = run.report()
    assert (report["exit"], report["stopped_by"], run.messages("result")[0]["subtype"]) == (1, "asked", "error_during_execution")
    assert alive("m-claude-stop") == []


def test_after_an_interrupt_a_message_makes_it_do_something_else(start: Start, box: Path) -> None:
    with start(HANGING, say("instead")) as run:
        wait_until((box / "tree" / "begun").exists)
        run.order("interrupt")
        run.order("say", "do this instead")
        run.report()
    assert ([result["is_error"] for result in run.messages("result")], steered(run)) == ([True, False], [("do this instead", True)])


@pytest.mark.slow
def test_silence_is_stopped(start: Start) -> None:
    gate = Gate()
    with start(say("never", gate=gate), silence_seconds=3.0) as run:
        assert run.report()["stopped_by"] == "stalled"
        gate.open()


@pytest.mark.slow
def test_kill_leaves_nothing_of_its_commands(start: Start, box: Path) -> None:
    with start(use(bash("touch begun; setsid nohup tail -f /dev/null & tail -f /dev/null")), mark="m-claude-kill") as run:
        wait_until((box / "tree" / "begun").exists)
        run.order("kill")
        assert run.report()["stopped_by"] == "now"
    assert alive("m-claude-kill") == []


@pytest.mark.slow
def test_a_dead_host_leaves_nothing_of_it(start: Start, box: Path) -> None:
    with start(HANGING, mark="m-claude-host") as run:
        wait_until((box / "tree" / "begun").exists)
        run.cut_parent_watch()
        assert run.process.wait(LIMIT) == -9
    assert alive("m-claude-host") == []
