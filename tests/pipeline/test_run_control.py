"""Which orders end which steps."""

import asyncio

import pytest

from ccterm.pipeline.run_control import RunControl, StoppedEarly


async def step(*, ended: asyncio.Event) -> str:
    await ended.wait()
    return "done"


async def test_a_step_that_keeps_the_work_runs_after_a_stop_and_ends_at_the_next() -> None:
    control, ended = RunControl(), asyncio.Event()
    await control.cancel()
    running = asyncio.ensure_future(control.guard(step(ended=ended), stops="later"))
    await asyncio.sleep(0)
    assert not running.done()
    await control.cancel()
    with pytest.raises(StoppedEarly) as stopped:
        await running
    assert not stopped.value.now


async def test_a_record_that_fails_ends_no_step_that_keeps_the_work() -> None:
    control, ended = RunControl(), asyncio.Event()
    control.record_failed.set()
    running = asyncio.ensure_future(control.guard(step(ended=ended), stops="later"))
    for _ in range(5):
        await asyncio.sleep(0)
    assert (running.done(), control.asked) == (False, "stop")
    ended.set()
    assert await running == "done"


async def test_a_push_is_ended_by_nothing_but_an_immediate_stop() -> None:
    control, ended = RunControl(), asyncio.Event()
    running = asyncio.ensure_future(control.guard(step(ended=ended), stops="never"))
    await asyncio.sleep(0)
    await control.cancel()
    await asyncio.sleep(0)
    assert not running.done()
    await control.cancel(now=True)
    with pytest.raises(StoppedEarly):
        await running


async def test_a_stop_ends_any_other_step_and_begins_none() -> None:
    control, ended = RunControl(), asyncio.Event()
    running = asyncio.ensure_future(control.guard(step(ended=ended)))
    await asyncio.sleep(0)
    await control.cancel()
    for waiting in (running, control.guard(step(ended=ended))):
        with pytest.raises(StoppedEarly):
            await waiting
