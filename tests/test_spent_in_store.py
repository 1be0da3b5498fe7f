"""What a run uses is in the store while its agent works, so that other processes show it, and a lost daemon does not take it along."""

from pathlib import Path

from ccterm import render
from ccterm.events import Limited, Spent, Started
from ccterm.models import ExecutionMode, Run, RunId, State, Task, now
from ccterm.record import Recorder, fold
from ccterm.store import Store
from ccterm.transcript import Transcript
from tests.support.waiting import until

RUN = RunId("01FAKE00000000000000000000")


async def test_it_is_saved_soon_and_never_over_a_later_document(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "db")
    run = Run(id=RUN, task=Task(prompt="x", repo="/r", execution_mode=ExecutionMode.LOCAL), created=now(), attempts=(RUN,))
    recorder = Recorder(run, Transcript(tmp_path / "run", RUN), store, spent_after=0.01)
    recorder.emit([Started(), Spent(cost_usd=0.5, about_usd=0.62, input=1000, output=40, turns=3)])
    await recorder.save()
    recorder.emit([Spent(cost_usd=0.5, about_usd=0.75, input=2000, output=80, turns=4)])
    await until(lambda: store.get(RUN).turns == 4)
    assert render.spent(store.get(RUN)) == "≈$0.75 · 4 turns · 2k tokens"
    recorder.emit([Spent(cost_usd=0.5, about_usd=0.8, input=3000, turns=5)])
    await recorder.finish(State.CANCELLED)
    assert (store.get(RUN).state, store.get(RUN).turns) == (State.CANCELLED, 5)
    store.close()


def test_without_a_result_no_dollars_are_shown() -> None:
    task = Task(prompt="x", repo="/r", execution_mode=ExecutionMode.LOCAL)
    run = Run.model_validate({"id": RUN, "task": task, "created": now(), "turns": 2, "tokens": {"input": 900}, "state": State.FAILED})
    assert render.spent(run) == "2 turns · 900 tokens"


def test_what_the_gateway_counted_and_the_usage_windows_are_in_the_run_and_shown() -> None:
    run = Run(id=RUN, task=Task(prompt="p", repo="/r"), created=now())
    run = fold(run, Spent(cost_usd=0.5, input=10, turns=1, requests=4, throttled=2))
    for used in (0.5, 0.91):
        run = fold(run, Limited(limit="five_hour", status="allowed_warning", utilization=used))
    assert (run.requests, run.throttled, [window.utilization for window in run.usage_windows]) == (4, 2, [0.91])
    facts = "\n".join(render.run_facts(run))
    assert "told to wait 2 times (429)" in facts
    assert "five_hour 91%" in facts
