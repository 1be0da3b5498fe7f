"""What only the local executor does: private directories, the parent watch, reaping by record."""

import asyncio
import os
import signal
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ccterm.causes import Cause
from ccterm.errors import PreflightError, StepError
from ccterm.executors.base import Artifact, Boxes, ServiceContainer
from ccterm.executors.local.executor import LocalExecutor
from ccterm.executors.local.records import BoxRecord
from ccterm.models import RunId
from ccterm.proof import Kept, NothingThere
from ccterm.values import ImageChoice
from tests.box.boxed import alive
from tests.executors.contract import Heard, shell_step
from tests.support.waiting import wait_until

RUN = RunId("01ARZ3NDEKTSV4RRFFQ69G5FAV")
HOST = Path(__file__).with_name("host.py")


@pytest.fixture
async def executor(state: Path) -> AsyncIterator[LocalExecutor]:
    async with LocalExecutor(state) as executor:
        yield executor


@pytest.fixture
async def boxes(executor: LocalExecutor) -> AsyncIterator[Boxes]:
    async with executor.open_run(RUN, ImageChoice()) as boxes:
        yield boxes


async def test_the_programs_for_boxes_are_written_once_a_run_here_is_prepared(tmp_path: Path) -> None:
    async with LocalExecutor(tmp_path) as executor:
        assert not (tmp_path / "lib").exists()
        await executor.seen_with({}, ()).prepare(ImageChoice())
        [made] = (tmp_path / "lib").iterdir()
        async with executor.open_run(RUN, ImageChoice()):
            assert [*(tmp_path / "lib").iterdir()] == [made]


def records(state: Path) -> list[BoxRecord]:
    found = [BoxRecord.read(path) for path in sorted((state / "runs").glob("*/boxes/*.json"))]
    return [record for record in found if record]


async def test_a_box_is_private_and_removed_for_a_proof_only(executor: LocalExecutor, state: Path) -> None:
    async with executor.open_run(RUN, ImageChoice()) as boxes:
        await boxes.execute(
            shell_step("mkdir -p closed/in; touch closed/in/file; chmod 0 closed/in closed", outputs=["closed"]), Heard().append
        )
        root = state / "runs" / RUN / "boxes"
        assert {stat.S_IMODE(path.stat().st_mode) for path in (root, root / "01-setup")} == {0o700}
    assert root.exists()
    await executor.remove_boxes(RUN, NothingThere())
    assert not root.exists()


async def test_each_box_has_its_own_short_tmpdir_until_the_step_ends(boxes: Boxes) -> None:
    heard = Heard()
    for _ in range(2):
        await boxes.execute(shell_step("echo $TMPDIR; touch $TMPDIR/file"), heard.append)
    first, second = heard.lines()
    assert first != second
    assert len(first) < 50
    assert not Path(first).exists()


async def test_a_fifo_blocks_nothing_and_reaches_the_next_step(boxes: Boxes) -> None:
    made = await boxes.execute(shell_step("mkdir work; mkfifo work/fifo", outputs=["work"]), Heard().append)
    heard = Heard()
    await asyncio.wait_for(boxes.execute(shell_step("stat -c %F work/*", inputs=dict(made.outputs)), heard.append), 20)
    assert heard.lines() == ["fifo"]


async def test_git_does_not_search_above_the_box(boxes: Boxes, state: Path) -> None:
    await (await asyncio.create_subprocess_exec("git", "init", "-q", state)).wait()
    heard = Heard()
    await boxes.execute(shell_step("mkdir sub; cd sub; git rev-parse --show-toplevel; echo $?"), heard.append)
    assert heard.lines() == ["128"]


async def test_service_containers_are_refused(boxes: Boxes) -> None:
    with pytest.raises(PreflightError, match="services"):
        await boxes.execute(shell_step("true", services=[ServiceContainer(alias="db", image="postgres", port=5432)]), Heard().append)


async def test_a_network_that_cannot_be_closed_is_refused(boxes: Boxes) -> None:
    heard = Heard()
    with pytest.raises(PreflightError, match="only be closed in a container"):
        await boxes.execute(shell_step("true", closed_network=True), heard.append)
    assert not heard


async def test_mirrors_are_kept_apart_from_other_caches(boxes: Boxes, state: Path) -> None:
    await boxes.execute(shell_step("touch mirror/m npm/n", caches={"mirror": "abc", "npm": "npm"}), Heard().append)
    assert (state / "mirrors" / "abc" / "m").exists()
    assert (state / "caches" / "npm" / "n").exists()


async def test_a_box_that_cannot_be_made_is_an_engine_error(boxes: Boxes) -> None:
    with pytest.raises(StepError) as error:
        await boxes.execute(shell_step("true", inputs={"work": Artifact("/no/such/artifact")}), Heard().append)
    assert error.value.cause is Cause.ENGINE


async def test_collecting_to_an_existing_directory_is_refused(boxes: Boxes, tmp_path: Path) -> None:
    with pytest.raises(StepError, match="cannot be copied"):
        await boxes.collect(Artifact(str(tmp_path)), tmp_path)


@pytest.mark.parametrize(
    "command", ["sleep 600", "trap '' TERM INT; while :; do sleep 1; done", "setsid sleep 600 & sleep 600", "exec -c sleep 600"]
)
async def test_a_cancelled_step_is_dead_before_cancellation_returns(boxes: Boxes, state: Path, command: str) -> None:
    heard = Heard()
    task = asyncio.ensure_future(boxes.execute(shell_step(f"echo began; {command}"), heard.append))
    await heard.until_line("began")
    [record] = records(state)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert alive(record.mark) == []
    assert record.process
    assert not record.process.alive


async def test_a_killed_supervisor_leaves_no_process(boxes: Boxes, state: Path, tmp_path: Path) -> None:
    heard = Heard()
    step = shell_step("echo began; setsid sleep 600 & sleep 600")
    task = asyncio.ensure_future(boxes.execute(step, heard.append))
    await heard.until_line("began")
    [record] = records(state)
    assert record.process
    os.kill(record.process.pid, signal.SIGKILL)
    assert (await task).report is None
    assert alive(record.mark) == []


async def test_a_failing_sink_ends_the_step_and_its_processes(boxes: Boxes, state: Path) -> None:
    def sink(frame: object) -> None:
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        await boxes.execute(shell_step("echo began; sleep 600"), sink)
    assert [alive(record.mark) for record in records(state)] == [[]]


async def test_outputs_of_a_dead_daemon_can_be_recovered(executor: LocalExecutor, state: Path, tmp_path: Path) -> None:
    host = start_host(state, "hang")
    os.kill(host.pid, signal.SIGKILL)
    host.wait()
    left = executor.orphaned_outputs(RUN) or {}
    assert set(left) == {"work"}
    async with executor.open_run(RUN, ImageChoice()) as boxes:
        await boxes.collect(left["work"], tmp_path / "out")
        result = await boxes.execute(
            shell_step("cat work/file", inputs={"work": left["work"]}, last_use=frozenset({"work"})), Heard().append
        )
        assert result.report
        assert result.report["tail"] == "kept\n"
    assert (tmp_path / "out" / "file").read_text() == "kept\n"
    await executor.remove_boxes(RUN, Kept(tmp_path / "out"))
    assert executor.orphaned_outputs(RUN) == {}


def start_host(state: Path, what: str) -> "subprocess.Popen[str]":
    """Start another process that runs a step, and wait until the step reports it."""
    env = {**os.environ, "TMPDIR": str(state.parent)}
    host = subprocess.Popen([sys.executable, str(HOST), str(state), RUN, what], stdout=subprocess.PIPE, text=True, env=env)
    assert host.stdout
    while line := host.stdout.readline():
        if "began" in line:
            return host
    raise AssertionError("the host did not come up")


@pytest.mark.first_is_fast
@pytest.mark.parametrize("what", ["hang", "deaf", "daemon"])
def test_nothing_outlives_a_killed_host(state: Path, bundles: Path, what: str) -> None:
    host = start_host(state, what)
    [record] = records(state)
    assert alive(record.mark)
    os.kill(host.pid, signal.SIGKILL)
    host.wait()
    wait_until(lambda: not alive(record.mark))


async def test_cancelling_twice_cancels_once(boxes: Boxes, state: Path) -> None:
    heard = Heard()
    task = asyncio.ensure_future(boxes.execute(shell_step("echo began; trap '' TERM; sleep 600"), heard.append))
    await heard.until_line("began")
    task.cancel()
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [alive(record.mark) for record in records(state)] == [[]]


CHANGES = {
    "nothing": "",
    "a file": "echo y >> {made}/config",
    "a new file": "touch {made}/hooks",
    "a lost file": "rm {made}/config",
    "a link in place of a file": "cp {made}/config {made}/../aside; ln -sf ../aside {made}/config",
    "a link in place of a directory": "mv {made}/in {made}/../in; ln -s ../in {made}/in",
}


@pytest.mark.first_is_fast
@pytest.mark.parametrize("change", CHANGES)
async def test_a_sealed_output_that_something_else_changed_is_not_used(boxes: Boxes, change: str) -> None:
    write = "mkdir -p made/in; echo x | tee made/config made/in/file"
    made = (await boxes.execute(shell_step(write, outputs=["made"], sealed=["made"]), Heard().append)).outputs["made"]
    await boxes.execute(shell_step(CHANGES[change].format(made=made.handle) or "true"), Heard().append)
    reading = boxes.execute(shell_step("cat made/config", inputs={"made": made}, last_use=["made"]), Heard().append)
    if change == "nothing":
        assert (await reading).report
        return
    with pytest.raises(StepError, match="changed") as caught:
        await reading
    assert (caught.value.cause, caught.value.reason) == (Cause.AGENT, "changed")
