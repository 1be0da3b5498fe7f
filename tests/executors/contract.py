"""What every executor must do, as one suite. A test module subclasses it and provides its executor."""

import asyncio
import json
import os
import stat
from collections.abc import AsyncIterator, Iterable
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import JsonValue, SecretStr

from ccterm.box.protocol import Frame
from ccterm.causes import Cause
from ccterm.errors import StepError
from ccterm.executors.base import Artifact, Boxes, Executor, ServiceContainer, Step, StepResult
from ccterm.executors.control import Control, socket_directory
from ccterm.models import RunId, new_id
from ccterm.pipeline.step_specs import checkout_snapshot
from ccterm.state_dir import StateDir
from ccterm.values import ImageChoice
from ccterm.workspace.repository import find_repository
from ccterm.workspace.snapshot.take import take
from tests.support.git import git, grow, make_remote, write_files
from tests.support.waiting import until

TREE = "work"


class Heard(list[Frame]):
    """The frames of one step."""

    def lines(self, stream: int = 1) -> list[str]:
        """Return the lines of a stream, joined from their parts."""
        pieces = [frame.get("d", "") + ("" if frame.get("part") else "\n") for frame in self if frame.get("s") == stream]
        return "".join(pieces).split("\n")[:-1]

    async def until_line(self, text: str) -> None:
        """Wait for a line that contains a text."""
        await until(lambda: any(text in frame.get("d", "") for frame in self))


def shell_step(command: str, *, inputs: dict[str, Artifact] | None = None, **fields: object) -> Step:
    """Return a step that runs a command in the box's root."""
    request: dict[str, JsonValue] = {"command": command, "cwd": ".", "env": {}, "timeout_seconds": 60.0, "mark": "m" + new_id()}
    values = {"name": "setup", "program": "shell", "request": request, "inputs": inputs or {}, "image": "agent"}
    return Step.model_validate(values | fields)


def agent_step(script: list[dict[str, JsonValue]], tree: Artifact, *, limits: dict[str, JsonValue] | None = None, **fields: object) -> Step:
    """Return a step in which a scripted agent works in a tree."""
    request: dict[str, JsonValue] = {
        "argv": ["@box", "scripted"],
        "cwd": TREE,
        "env": {},
        "home": "home",
        "prompt": json.dumps(script),
        "hold": False,
        "hold_seconds": 60.0,
        "wall_seconds": 60.0,
        "silence_seconds": 60.0,
        "mark": "m" + new_id(),
        "control": "control.sock",
        "user": None,
        "keep": [],
    }
    values = {"name": "agent", "program": "supervise", "request": request | (limits or {}), "inputs": {TREE: tree}, "outputs": [TREE]}
    return Step.model_validate(values | {"image": "agent"} | fields)


def snapshot(root: Path) -> dict[bytes, tuple[str, bytes]]:
    """Return each path of a tree with its mode and its content or link target, as bytes."""
    found: dict[bytes, tuple[str, bytes]] = {}
    for directory, directories, files in os.walk(os.fsencode(root)):
        for name in [*directories, *files]:
            path = os.path.join(directory, name)  # noqa: PTH118 - names are bytes here
            found[os.path.relpath(path, os.fsencode(root))] = (stat.filemode(os.lstat(path).st_mode), _content(path))
    return found


def _content(path: bytes) -> bytes:
    if os.path.islink(path):  # noqa: PTH114
        return os.readlink(path)  # noqa: PTH115
    return Path(os.fsdecode(path)).read_bytes() if os.path.isfile(path) else b""  # noqa: PTH113


def odd_tree(root: Path) -> Path:
    """Make a tree with every kind of legitimate entry."""
    root.mkdir()
    for name in ("plain", "-rf", "new\nline", "ESC\x1b[31m", "日本語", "a" * 255, " space ", "'\"`$(x)"):
        (root / name).write_text(f"content of {name[:20]}")
    (root / os.fsdecode(b"not utf-8 \xff\xfe")).write_bytes(b"\x00\xff")
    (root / "script").write_text("#!/bin/sh\n")
    (root / "script").chmod(0o755)
    (root / "read-only").write_text("x")
    (root / "read-only").chmod(0o444)
    (root / "deep/er/and/deeper").mkdir(parents=True)
    (root / "deep/er/file").write_text("deep")
    (root / "to-file").symlink_to("plain")
    (root / "to-nothing").symlink_to("no/such/file")
    (root / "to-root").symlink_to("/etc/hostname")
    (root / "to-directory").symlink_to("deep")
    return root


class ExecutorContract:
    """The suite. A subclass provides the fixture `executor`, already entered."""

    @pytest.fixture
    async def boxes(self, executor: Executor) -> AsyncIterator[Boxes]:
        async with executor.open_run(RunId(new_id()), ImageChoice()) as boxes:
            yield boxes

    @pytest.fixture
    async def tree(self, boxes: Boxes, tmp_path: Path) -> Artifact:
        (tmp_path / "given").mkdir()
        (tmp_path / "given" / "README.md").write_text("hello\n")
        return await boxes.provide(tmp_path / "given")

    @pytest.fixture
    async def control(self) -> AsyncIterator[Control]:
        directory = socket_directory()
        async with Control.listen(directory) as control:
            yield control
        directory.rmdir()

    async def test_output_comes_in_order_and_complete(self, boxes: Boxes) -> None:
        heard = Heard()
        result = await boxes.execute(shell_step("seq 1 2000; seq 1 20 >&2"), heard.append)
        assert heard.lines() == [str(number) for number in range(1, 2001)]
        assert heard.lines(2) == [str(number) for number in range(1, 21)]
        assert [frame["n"] for frame in heard] == list(range(len(heard)))
        assert (heard[-1]["k"], result.report and result.report["ok"], result.detail) == ("end", True, "")

    async def test_a_command_that_fails_is_a_report_and_leaves_its_outputs(self, boxes: Boxes, tmp_path: Path) -> None:
        count, again = {"count": f"count-{new_id()}"}, Heard()
        command = "echo ran >> count/file; mkdir out; echo kept > out/file; echo oops >&2; exit 7"
        result = await boxes.execute(shell_step(command, outputs=["out", "missing"], caches=count), Heard().append)
        assert result.report is not None
        assert (result.report["ok"], result.report["exit"], result.report["tail"]) == (False, 7, "oops\n")
        assert set(result.outputs) == {"out"}
        await boxes.collect(result.outputs["out"], tmp_path / "out")
        assert (tmp_path / "out" / "file").read_text() == "kept\n"
        await boxes.execute(shell_step("cat count/file", caches=count), again.append)
        assert again.lines() == ["ran"]  # asking for what is missing did not run it again

    async def test_a_step_program_that_dies_leaves_no_report_but_its_outputs(self, boxes: Boxes) -> None:
        step = shell_step("mkdir out; touch out/file; kill -9 $PPID; sleep 60", outputs=["out"])
        result = await boxes.execute(step, Heard().append)
        assert result.report is None
        assert result.detail
        assert "out" in result.outputs

    async def test_an_agent_that_crashes_is_a_report(self, boxes: Boxes, tree: Artifact, control: Control) -> None:
        result = await boxes.execute(agent_step([{"write": "kept"}, {"crash": "SIGSEGV"}], tree), Heard().append, control)
        assert result.report is not None
        assert (result.report["exit"], result.report["signal"], result.report["stopped_by"]) == (None, 11, "")
        assert TREE in result.outputs

    async def test_a_step_that_exceeds_its_timeout_is_killed(self, boxes: Boxes) -> None:
        step = shell_step("mkdir out; sleep 60", outputs=["out"], timeout=timedelta(seconds=1))
        result = await boxes.execute(step, Heard().append)
        assert (result.report, "1 s" in result.detail) == (None, True)

    async def test_a_cancelled_step_ends_and_the_next_one_runs(self, boxes: Boxes) -> None:
        heard = Heard()
        task = asyncio.ensure_future(boxes.execute(shell_step("echo began; sleep 60"), heard.append))
        await heard.until_line("began")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(task, 30)
        result = await boxes.execute(shell_step("true"), Heard().append)
        assert result.report
        assert result.report["ok"]

    async def test_a_step_cancelled_before_it_starts_never_runs(self, boxes: Boxes) -> None:
        heard = Heard()
        task = asyncio.ensure_future(boxes.execute(shell_step("echo began"), heard.append))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert heard == []

    async def test_a_silent_agent_is_stopped_and_its_work_kept(
        self, boxes: Boxes, tree: Artifact, control: Control, tmp_path: Path
    ) -> None:
        at_once: list[JsonValue] = ["sh", "-c", "printf kept > work.txt; exec sleep 600"]  # Python takes long to start on a busy machine
        step = agent_step([], tree, limits={"silence_seconds": 0.5, "argv": at_once, "termination_seconds": [0.2, 0.2, 2]})
        result = await boxes.execute(step, Heard().append, control)
        assert result.report
        assert result.report["stopped_by"] == "stalled"
        await boxes.collect(result.outputs[TREE], tmp_path / "out")
        assert (tmp_path / "out" / "work.txt").read_text() == "kept"

    async def test_a_stopped_agents_work_is_kept(self, boxes: Boxes, tree: Artifact, control: Control, tmp_path: Path) -> None:
        heard = Heard()
        step = agent_step([{"write": "work.txt", "text": "kept"}, {"say": "hanging"}, {"hang": True}], tree)
        running = asyncio.ensure_future(boxes.execute(step, heard.append, control))
        await heard.until_line("hanging")
        assert await control.send({"do": "stop"})
        result = await running
        assert result.report
        assert result.report["stopped_by"] == "asked"
        await boxes.collect(result.outputs[TREE], tmp_path / "out")
        assert (tmp_path / "out" / "work.txt").read_text() == "kept"

    async def test_a_message_reaches_the_agent_and_is_answered(self, boxes: Boxes, tree: Artifact, control: Control) -> None:
        heard = Heard()
        running = asyncio.ensure_future(boxes.execute(agent_step([{"say": "one"}], tree, limits={"hold": True}), heard.append, control))
        await until(lambda: any(frame.get("what") == "waiting" for frame in heard))
        await control.send({"do": "say", "text": '[{"say": "two"}]'})
        await heard.until_line('"result":"two"')
        await control.send({"do": "end"})
        await running
        assert [frame["taken"] for frame in heard if frame.get("what") == "steered"] == [True]
        assert not await control.send({"do": "say", "text": "too late"})

    async def test_a_very_long_line_arrives_complete(self, boxes: Boxes) -> None:
        heard = Heard()
        await boxes.execute(shell_step("head -c 3000000 /dev/zero | tr '\\0' x; echo; echo next"), heard.append)
        assert [len(line) for line in heard.lines()] == [3_000_000, 4]

    async def test_text_in_many_scripts_arrives_complete(self, boxes: Boxes) -> None:
        line, heard = "日本語 🎈 ümlaut \u2028 \x1b[31m é", Heard()
        await boxes.execute(shell_step(f"yes '{line}' | head -n 20000"), heard.append)
        assert heard.lines() == [line] * 20_000

    async def test_modes_links_and_odd_names_are_preserved(self, boxes: Boxes, tmp_path: Path) -> None:
        source = odd_tree(tmp_path / "odd")
        step = shell_step("true", inputs={"deep/mount": await boxes.provide(source)}, outputs=["deep/mount"])
        result = await boxes.execute(step, Heard().append)
        await boxes.collect(result.outputs["deep/mount"], tmp_path / "out")
        assert snapshot(tmp_path / "out") == snapshot(source)

    async def test_excluded_paths_are_not_provided(self, boxes: Boxes, tmp_path: Path) -> None:
        (tmp_path / "given" / "node_modules" / "x").mkdir(parents=True)
        (tmp_path / "given" / "kept").touch()
        await boxes.collect(await boxes.provide(tmp_path / "given", exclude=["node_modules"]), tmp_path / "out")
        assert set(snapshot(tmp_path / "out")) == {b"kept"}

    async def test_a_collected_artifact_is_private(self, boxes: Boxes, tree: Artifact, tmp_path: Path) -> None:
        await boxes.collect(tree, tmp_path / "out")
        assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == 0o700

    async def test_a_step_works_on_its_own_copy(self, boxes: Boxes, tree: Artifact, tmp_path: Path) -> None:
        step = shell_step(f"echo changed > {TREE}/README.md", inputs={TREE: tree}, outputs=[TREE])
        changed = await boxes.execute(step, Heard().append)
        await boxes.collect(tree, tmp_path / "before")
        await boxes.collect(changed.outputs[TREE], tmp_path / "after")
        assert [(tmp_path / name / "README.md").read_text() for name in ("before", "after")] == ["hello\n", "changed\n"]

    async def test_an_artifact_at_its_last_use_arrives_complete(self, boxes: Boxes, tree: Artifact, tmp_path: Path) -> None:
        step = shell_step("true", inputs={TREE: tree}, last_use=frozenset({TREE}), outputs=[TREE])
        result = await boxes.execute(step, Heard().append)
        await boxes.collect(result.outputs[TREE], tmp_path / "out")
        assert set(snapshot(tmp_path / "out")) == {b"README.md"}

    async def test_what_was_collected_for_its_last_use_can_be_provided_again(self, boxes: Boxes, tree: Artifact, tmp_path: Path) -> None:
        await boxes.collect(tree, tmp_path / "out", last_use=True)
        heard = Heard()
        again = await boxes.provide(tmp_path / "out", exclude=["others"])
        await boxes.execute(shell_step(f"cat {TREE}/README.md", inputs={TREE: again}), heard.append)
        assert heard.lines() == ["hello"]

    async def test_a_secret_is_only_in_its_own_step(self, boxes: Boxes) -> None:
        first, second = Heard(), Heard()
        command = 'test "$MY_TOKEN" = s3cr3t-value && echo has; env | grep -c MY_TOKEN; grep -rc s3cr3t . --include=request.json'
        await boxes.execute(shell_step(command, secrets={"MY_TOKEN": SecretStr("s3cr3t-value")}), first.append)
        await boxes.execute(shell_step("env | grep -c MY_TOKEN; true"), second.append)
        assert first.lines()[:2] == ["has", "1"]
        assert second.lines() == ["0"]
        assert "s3cr3t" not in json.dumps([*first, *second])

    async def test_a_secret_in_a_long_line_does_not_end_the_step(self, boxes: Boxes) -> None:
        """An engine masks the value, which changes the length of what it is in."""
        heard, long = Heard(), "printf %600s x"
        command = f'{long}; echo " $MY_TOKEN"; {long} >&2; echo " $MY_TOKEN" >&2; exit 3'
        result = await boxes.execute(shell_step(command, secrets={"MY_TOKEN": SecretStr("s3cr3t-value")}), heard.append)
        assert result.report is not None, result.detail
        assert result.report["exit"] == 3
        [line] = heard.lines()
        assert line.startswith(" " * 599 + "x ")

    async def test_two_runs_are_isolated_from_each_other(self, executor: Executor, tmp_path: Path) -> None:
        async def run(name: str) -> StepResult:
            async with executor.open_run(RunId(new_id()), ImageChoice()) as boxes:
                mark, heard = SecretStr(f"secret-of-{name}"), Heard()
                await boxes.execute(shell_step(f"echo {name} > mine", secrets={"MY_TOKEN": mark}), heard.append)
                return await boxes.execute(shell_step("ls; env"), heards[name].append)

        heards = {"one": Heard(), "two": Heard()}
        await asyncio.gather(*(run(name) for name in heards))
        for name, other in (("one", "two"), ("two", "one")):
            seen = "\n".join(heards[name].lines())
            assert not any(word in seen for word in ("mine", f"secret-of-{name}", f"secret-of-{other}"))

    async def test_a_cache_is_kept_between_runs(self, executor: Executor) -> None:
        seen = Heard()
        for command in ("echo kept > store/file", "cat store/file"):
            async with executor.open_run(RunId(new_id()), ImageChoice()) as boxes:
                await boxes.execute(shell_step(command, caches={"store": "npm-cache"}), seen.append)
        assert seen.lines() == ["kept"]

    async def test_every_check_passes(self, executor: Executor) -> None:
        results = [await check.run() for check in executor.checks()]
        assert _failed(results) == []

    async def test_a_snapshot_of_a_working_copy_becomes_the_tree(self, boxes: Boxes, tmp_path: Path) -> None:
        files = {"README.md": "hello\n", ".gitattributes": "* text eol=crlf\n", ".gitignore": ".env\n"}
        git(tmp_path, "clone", "--quiet", str(grow(make_remote(tmp_path / "remote.git", files))), "copy")
        copy = tmp_path / "copy"
        write_files(copy, {"README.md": "edited\r\nmixed\n", "untracked": "new\n", ".env": "A=1\n"})
        state = StateDir(tmp_path / "state").prepare()
        taken = take(find_repository(str(copy), os.environ, tmp_path), state, tmp_path / "taken", env=os.environ, include=[".env"])
        assert taken.include is not None
        given = [await boxes.provide(place) for place in (taken.clean, taken.include)]
        result = await boxes.execute(checkout_snapshot(*given, base=taken.base, branch=taken.branch), Heard().append)
        assert result.report is not None
        assert result.report["ok"], result.report
        await boxes.collect(result.outputs[TREE], tmp_path / "out")
        found, expected = (
            {name: content for name, (_, content) in snapshot(each).items() if name.split(b"/")[0] != b".git"}
            for each in (tmp_path / "out", copy)
        )
        assert found == expected
        assert found.items() >= {b"README.md": b"edited\r\nmixed\n", b"untracked": b"new\n", b".env": b"A=1\n", b"library": b""}.items()
        tree = tmp_path / "out"
        assert git(tree, "tag", "--list").split() == ["v0.9", "v1.0"]
        assert git(tree, "cat-file", "-t", "v1.0") == "tag"
        assert (git(tree, "branch", "--show-current"), git(tree, "status", "--porcelain")) == (taken.branch, "")


def _failed(results: Iterable[object]) -> list[object]:
    return [result for result in results if getattr(result, "status", "") == "fail"]


class ServiceContract:
    """What an executor with service containers adds to the contract."""

    @pytest.mark.parametrize(
        ("service", "why"),
        [
            (ServiceContainer(alias="db", image="localhost:1/nothing:1", port=5432), "failed to resolve image"),
            (ServiceContainer(alias="db", image="", port=5432, ready="false"), "service exited before healthcheck"),
        ],
        ids=["no image", "not ready"],
    )
    async def test_a_service_that_cannot_start_is_the_reason(self, boxes: Boxes, base: Path, service: ServiceContainer, why: str) -> None:
        service = service.model_copy(update={"image": service.image or str(base)})
        with pytest.raises(StepError, match=f"the service db cannot start: {why}") as failed:
            await boxes.execute(shell_step("true", services=[service]), Heard().append)
        assert (failed.value.cause, failed.value.reason) == (Cause.ENGINE, "service")
        assert "traceparent" not in failed.value.message
        assert (await boxes.execute(shell_step("true"), Heard().append)).report
