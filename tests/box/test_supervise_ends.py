"""How the supervisor ends an agent: a stop, a kill, the limits, and an agent that does not end by itself."""

from pathlib import Path

import pytest

from tests.box.boxed import DEAF, ENDED_WELL, HANG, without_seconds
from tests.box.conftest import Supervise


def test_a_stopped_agent_still_prints_its_result(supervise: Supervise) -> None:
    with supervise(HANG) as run:
        run.until_said("hanging")
        run.order("stop")
        assert without_seconds(run.report()) == ENDED_WELL | {"stopped_by": "asked"}
    assert run.messages("result")[0]["subtype"] == "error_during_execution"
    assert len(run.notes("stopping")) == 1


def test_a_stop_while_the_agent_types_takes_effect(supervise: Supervise) -> None:
    with supervise([{"type": "word " * 4000, "seconds": 600}], termination_seconds=[0.5, 0.5, 2]) as run:
        run.until_said("text_delta")
        run.order("stop")
        assert run.report()["stopped_by"] == "asked"


def test_a_message_after_the_stop_is_not_taken_up(supervise: Supervise) -> None:
    with supervise(DEAF, termination_seconds=[0.5, 0.5, 2]) as run:
        run.until_said("hanging")
        run.order("stop")
        run.order("say", "wait")
        run.report()
    assert [(note["d"], note["taken"]) for note in run.notes("steered")] == [("wait", False)]


def test_an_agent_that_ignores_signals_is_killed_in_the_end(supervise: Supervise) -> None:
    with supervise(DEAF, termination_seconds=[0.2, 0.2, 2]) as run:
        run.until_said("hanging")
        run.order("stop")
        assert without_seconds(run.report()) == ENDED_WELL | {"exit": None, "signal": 9, "stopped_by": "asked"}


def test_sigterm_is_the_second_step_of_a_stop(supervise: Supervise) -> None:
    with supervise([{"say": "hanging"}, {"hang": ["SIGINT"]}], termination_seconds=[0.2, 20, 2]) as run:
        run.until_said("hanging")
        run.order("stop")
        assert without_seconds(run.report()) == ENDED_WELL | {"exit": 143, "stopped_by": "asked"}


def test_kill_takes_effect_at_once(supervise: Supervise) -> None:
    with supervise(DEAF, termination_seconds=[60, 60, 2]) as run:
        run.until_said("hanging")
        run.order("kill")
        assert without_seconds(run.report()) == ENDED_WELL | {"exit": None, "signal": 9, "stopped_by": "now"}


@pytest.mark.parametrize(("limit", "by"), [("wall_seconds", "timeout"), ("silence_seconds", "stalled")])
def test_the_limits_are_enforced(supervise: Supervise, limit: str, by: str) -> None:
    until_interrupted = "read -r prompt; read -r interrupt"  # an agent that is up at once, however busy the machine
    with supervise("", argv=["sh", "-c", until_interrupted], **{limit: 0.5}) as run:
        assert without_seconds(run.report()) == ENDED_WELL | {"stopped_by": by}


def test_an_agent_that_does_not_end_after_its_result_is_ended_and_its_result_stays_the_last(supervise: Supervise, box: Path) -> None:
    agent = box / "tree" / "agent.py"
    agent.write_text('import time\nprint(\'{"type":"result"}\', flush=True)\ntime.sleep(300)\n')
    with supervise("", argv=["python3", "agent.py"], grace_seconds=0.3) as run:
        assert without_seconds(run.report()) == ENDED_WELL | {"exit": None, "signal": 15}
