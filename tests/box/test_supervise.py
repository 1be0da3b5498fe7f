"""The supervisor with the scripted agent."""

import os
import signal
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.box.boxed import ENDED_WELL, HANG, RESULT, Running, alive, supervise_request, without_seconds
from tests.box.conftest import Supervise
from tests.support.waiting import wait_until


def test_an_agent_runs_to_its_end_and_leaves_its_work(supervise: Supervise, box: Path) -> None:
    with supervise([{"write": "a.txt", "text": "hello\n"}, {"say": "Done."}]) as run:
        assert without_seconds(run.report()) == ENDED_WELL
    assert (box / "tree" / "a.txt").read_text() == "hello\n"
    assert run.messages("result")[0]["result"] == "Done."


def test_output_keeps_its_order_and_its_streams(supervise: Supervise) -> None:
    with supervise([{"garbage": 50}]) as run:
        run.report()
    assert [line for line in run.lines() if line.startswith("garbage")] == [f"garbage {number} {{not json" for number in range(50)]
    assert run.lines(2) == [f"complaint {number}" for number in range(50)]


def test_text_in_many_scripts_arrives_complete(supervise: Supervise) -> None:
    text = "日本語 🎈 ümlaut \u2028 \x1b[31m " * 3000
    with supervise([{"say": text}]) as run:
        run.report()
    assert run.messages("assistant")[0]["message"]["content"][0]["text"] == text


def test_a_line_of_three_megabytes_arrives_complete_in_parts(supervise: Supervise) -> None:
    with supervise([{"long_line": 3}]) as run:
        run.report()
    assert len(run.messages("assistant")[0]["message"]["content"][0]["text"]) == 3_000_000
    assert sum(frame.get("part", False) for frame in run.frames) >= 11


def test_frames_are_ascii(lib: Path, box: Path) -> None:
    with Running(lib, box, "supervise", supervise_request([{"say": "ümlaut 🎈"}]), LANG="C") as run:
        run.report()
    assert "ümlaut 🎈" in run.messages("result")[0]["result"]


@pytest.mark.parametrize(
    ("action", "exit_code", "signal"), [({"exit": 7}, 7, None), ({"no_result": 1}, 1, None), ({"crash": "SIGSEGV"}, None, 11)]
)
def test_the_report_says_how_the_agent_ended(supervise: Supervise, action: object, exit_code: object, signal: object) -> None:
    with supervise([action]) as run:
        assert without_seconds(run.report()) == ENDED_WELL | {"exit": exit_code, "signal": signal}


@pytest.mark.parametrize("told", ["", "reftable"])
def test_a_repository_that_the_agent_makes_has_its_refs_in_files_unless_it_is_told_otherwise(
    supervise: Supervise, tmp_path: Path, told: str
) -> None:
    (tmp_path / "gitconfig").write_text("[init]\n\tdefaultRefFormat = reftable\n")  # as git 3 has it
    env = {"GIT_CONFIG_GLOBAL": str(tmp_path / "gitconfig")} | ({"GIT_DEFAULT_REF_FORMAT": told} if told else {})
    make = 'git init -q made && cat made/.git/config; echo "$GIT_DEFAULT_REF_FORMAT"'
    with supervise("", argv=["sh", "-c", make], env=env) as run:
        assert run.report()["ok"]
    assert run.lines()[-1] == (told or "files")
    assert told or not any("reftable" in line for line in run.lines())


def test_a_missing_program_is_reported(supervise: Supervise) -> None:
    with supervise("", argv=["no-such-program"]) as run:
        assert run.report() == {"ok": False, "reason": "not_found", "detail": "no-such-program does not exist"}


def test_a_missing_working_directory_is_reported(supervise: Supervise) -> None:
    with supervise("", cwd="nowhere") as run:
        assert run.report() == {"ok": False, "reason": "not_found", "detail": "nowhere does not exist"}


def test_a_program_that_cannot_be_executed_is_reported(supervise: Supervise, box: Path) -> None:
    (box / "tree" / "agent").write_text("no program")
    with supervise("", argv=[str(box / "tree" / "agent")]) as run:
        assert run.report()["reason"] == "not_executable"


def test_without_a_listener_the_agent_does_not_start(lib: Path, box: Path) -> None:
    with Running(lib, box, "supervise", supervise_request([{"write": "a.txt"}]), listen=False) as run:
        assert run.report()["reason"] == "control"
    assert not (box / "tree" / "a.txt").exists()


def test_a_message_during_the_turn_is_taken_up_in_it(supervise: Supervise) -> None:
    with supervise([{"say": "began"}, {"bash": "while [ ! -e go ]; do sleep 0.02; done"}, {"say": "end"}]) as run:
        run.until_said("began")
        run.order("say", '[{"say": "and that"}]')
        run.order("say", '[{"write": "go"}]')
        run.until(lambda _: sum('"queued"' in line for line in run.lines()) == 2)  # the agent has both
        (Path(run.messages("system")[0]["cwd"]) / "go").touch()
        run.report()
    assert [note["taken"] for note in run.notes("steered")] == [True, True]
    assert len(run.messages("result")) == 1


def test_a_message_before_the_agent_is_up_is_taken_up(supervise: Supervise, box: Path) -> None:
    with supervise([{"bash": "while [ ! -e go ]; do sleep 0.02; done"}, {"say": "first"}]) as run:
        run.order("say", '[{"say": "second"}]')
        run.until(lambda _: any('"queued"' in line for line in run.lines()))
        (box / "tree" / "go").touch()
        run.report()
    assert [note["taken"] for note in run.notes("steered")] == [True]


def test_a_late_message_is_answered(supervise: Supervise, box: Path) -> None:
    (box / "tree" / "agent.py").write_text(
        """import os, time
print('{"type":"result"}', flush=True)
while os.read(0, 1000): pass
print("no more is read", flush=True)
while not os.path.exists("go"): time.sleep(0.01)
"""
    )
    with supervise("", argv=["python3", "agent.py"]) as run:
        run.until_said("no more is read")
        run.order("say", "one more thing")
        late = run.until(lambda frame: frame.get("what") == "steered")
        (box / "tree" / "go").touch()
        assert run.report()["exit"] == 0
    assert (late["d"], late["taken"], "ccterm retry" in late["detail"]) == ("one more thing", False, True)


def test_a_held_agent_waits_takes_a_message_and_ends_when_released(supervise: Supervise) -> None:
    with supervise([{"say": "one"}], hold=True) as run:
        until = run.until(lambda frame: frame.get("what") == "waiting")["until"]
        run.order("say", '[{"say": "two"}]')
        run.until_said('"result":"two"')
        run.order("release")
        assert without_seconds(run.report()) == ENDED_WELL
    assert until > 0
    assert ["until" in note for note in run.notes("waiting")] == [True, False, True, False]


def test_a_hold_during_the_turn_takes_effect(supervise: Supervise) -> None:
    with supervise([{"say": "one"}, {"bash": "while [ ! -e go ]; do sleep 0.02; done"}]) as run:
        run.until_said("one")
        run.order("hold")
        (Path(run.messages("system")[0]["cwd"]) / "go").touch()
        run.until(lambda frame: frame.get("what") == "waiting")
        run.order("end")
        assert without_seconds(run.report()) == ENDED_WELL


def test_a_hold_that_came_before_the_result_takes_effect_even_if_both_are_seen_at_once(supervise: Supervise, box: Path) -> None:
    with supervise([{"say": "one"}, {"bash": "while [ ! -e go ]; do sleep 0.02; done; touch gone"}]) as run:
        run.until_said("one")
        run.process.send_signal(signal.SIGSTOP)
        run.order("hold")
        (box / "tree" / "go").touch()
        wait_until((box / "tree" / "gone").exists)
        run.process.send_signal(signal.SIGCONT)
        run.until(lambda frame: frame.get("what") == "waiting")
        run.order("end")
        assert without_seconds(run.report()) == ENDED_WELL


def test_waiting_ends_by_itself(supervise: Supervise) -> None:
    with supervise([{"say": "one"}], hold=True, hold_seconds=0.2) as run:
        assert without_seconds(run.report()) == ENDED_WELL


def test_waiting_is_not_silence_and_ends_well_at_the_time_limit(supervise: Supervise) -> None:
    with supervise("", argv=["sh", "-c", RESULT], hold=True, silence_seconds=0.3, wall_seconds=1.0) as run:
        assert without_seconds(run.report()) == ENDED_WELL


@pytest.mark.parametrize(("orders", "by"), [(["login_awaited"], "timeout"), (["login_awaited", "login_settled"], "stalled")])
def test_to_wait_for_a_login_is_no_silence_but_takes_time(supervise: Supervise, orders: Sequence[str], by: str) -> None:
    with supervise(HANG, silence_seconds=1.5, wall_seconds=4.0 if by == "timeout" else 60.0) as run:
        run.until_said("hanging")
        for order in orders:
            run.order(order)
        assert without_seconds(run.report()) == ENDED_WELL | {"stopped_by": by}


def test_an_interrupt_aborts_the_turn_and_the_next_message_begins_another(supervise: Supervise) -> None:
    with supervise(HANG, hold=True) as run:
        run.until_said("hanging")
        run.order("interrupt")
        run.until(lambda frame: frame.get("what") == "waiting")
        run.order("say", '[{"say": "better"}]')
        run.until_said('"result":"better"')
        run.order("end")
        assert without_seconds(run.report()) == ENDED_WELL
    assert [result["is_error"] for result in run.messages("result")] == [True, False]


def test_an_agent_that_never_reads_its_stdin_still_runs(supervise: Supervise) -> None:
    with supervise("x" * 1_000_000, argv=["sh", "-c", "echo fine"]) as run:
        assert without_seconds(run.report()) == ENDED_WELL
    assert run.lines() == ["fine"]


def test_a_grandchild_that_holds_stdout_delays_nothing(supervise: Supervise) -> None:
    with supervise([{"fork": "holder"}, {"say": "Done."}]) as run:
        report = run.report()
    assert without_seconds(report) == ENDED_WELL
    assert report["seconds"] < 5


@pytest.mark.slow
def test_a_foreign_process_that_holds_stdout_delays_the_end_by_five_seconds_at_most(supervise: Supervise, box: Path) -> None:
    with supervise("", argv=["sh", "-c", "echo $$; while [ ! -e go ]; do sleep 0.02; done"]) as run:
        run.until(lambda frame: frame["k"] == "line")
        with Path(f"/proc/{run.lines()[0]}/fd/1").open("wb"):
            (box / "tree" / "go").touch()
            assert 4 < run.report()["seconds"] < 9


def test_a_slow_host_slows_the_agent_and_orders_still_work(supervise: Supervise) -> None:
    mark = os.urandom(8).hex()
    with supervise([{"say": "began"}, {"flood": 10_000_000, "bytes": 100, "raw": True}], mark=mark) as run:
        run.until_said("began")
        run.reading.clear()
        run.order("kill")
        wait_until(lambda: not alive(mark))
        run.reading.set()
        assert run.report()["stopped_by"] == "now"


def test_a_flood_arrives_complete_without_growing_memory(supervise: Supervise) -> None:
    peaks: list[int] = []
    with supervise([{"flood": 60_000, "bytes": 500, "raw": True}, {"say": "Done."}]) as run:
        wait_until(lambda: ended(run, peaks))
        run.report()
    assert sum(line == "x" * 499 for line in run.lines()) == 60_000
    assert max(peaks) < 40_000_000


def ended(run: Running, peaks: list[int]) -> bool:
    peaks.append(resident(run.process.pid))
    return run.process.poll() is not None


def resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def test_files_of_the_home_are_kept(supervise: Supervise, box: Path) -> None:
    session = "0b9f1a3e-0000-4000-a000-000000000000"
    keep = [{"glob": f".claude/projects/*/{session}.jsonl", "to": "session"}]
    with supervise([{"say": "noted"}], argv=["@box", "scripted", "--session-id", session], keep=keep) as run:
        run.report()
    assert "noted" in (box / "session" / f"{session}.jsonl").read_text()


def test_internal_variables_do_not_reach_the_agent(lib: Path, box: Path) -> None:
    request = supervise_request([{"env": "env.txt"}], env={"MINE": "2"})
    with Running(lib, box, "supervise", request, CCTERM_SECRET_SOCKET="x", OTEL_TRACES_EXPORTER="x", VISIBLE="1") as run:
        run.report()
    seen = dict(line.split("=", 1) for line in (box / "tree" / "env.txt").read_text().splitlines())
    assert {name for name in seen if name.startswith(("CCTERM_", "OTEL_"))} == {"CCTERM_MARK"}
    assert (seen["VISIBLE"], seen["MINE"], seen["HOME"]) == ("1", "2", str(box / "home"))


@pytest.mark.skipif(os.getuid() != 0, reason="only root can drop to another user")
def test_as_root_the_agent_runs_as_its_user(lib: Path) -> None:
    script = "id -un; grep NoNewPrivs /proc/self/status; cat /proc/$PPID/environ | wc -c; echo $HOME; kill -9 $PPID; echo $?"
    request = supervise_request("", argv=["sh", "-c", script], user="nobody", home=None, cwd=".")
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        with Running(lib, Path(directory), "supervise", request, HOME="/root") as run:
            run.report()
    assert run.lines() == ["nobody", "NoNewPrivs:\t1", "0", "/nonexistent", "1"]


def test_an_invalid_request_is_reported(lib: Path, box: Path) -> None:
    with Running(lib, box, "supervise", {"control": None}) as run:
        assert run.report() == {"ok": False, "reason": "internal", "detail": "KeyError: 'mark'"}
