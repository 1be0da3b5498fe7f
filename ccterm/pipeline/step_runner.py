"""Runs the steps of one run: their frames go through the output pipeline, their reports are checked, their start and end are recorded."""

import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TypeVar

from pydantic import JsonValue, ValidationError

from ccterm.agents.stream import StreamParser
from ccterm.box.protocol import Frame
from ccterm.causes import Cause
from ccterm.errors import StepError, UsageError
from ccterm.events import StepFinished, StepStarted
from ccterm.executors.base import Boxes, FrameSink, Step, StepResult
from ccterm.executors.control import Control
from ccterm.machine_errors import reported_error
from ccterm.output.pipeline import OutputPipeline
from ccterm.output.sanitise import sanitise
from ccterm.pipeline.context import RunOutput
from ccterm.pipeline.gateway_access import PASS_NAME
from ccterm.pipeline.reports import StepReport
from ccterm.pipeline.run_control import RunControl, Stops
from ccterm.record import Recorder
from ccterm.values import StepName

R = TypeVar("R", bound=StepReport)
Spared = Callable[[], Coroutine[None, None, StepResult | None]]
"""Returns a step's result without running it in a box, or None when its box is needed."""
_CAUSES: dict[StepName, Cause] = {
    "resolve": Cause.CHECKOUT,
    "checkout": Cause.CHECKOUT,
    "merge": Cause.CONFLICT,
    "setup": Cause.SETUP,
    "agent": Cause.AGENT,
    "commit": Cause.COMMIT,
    "verify": Cause.VERIFY,
    "push": Cause.PUSH,
}


class StepRunner:
    """Runs the steps of one run, in boxes and on the host."""

    def __init__(self, output: RunOutput, boxes: Boxes, recorder: Recorder, control: RunControl) -> None:
        self._output = output
        self._boxes = boxes
        self._recorder = recorder
        self._control = control

    async def report(self, step: Step, shape: type[R], *, stops: Stops = "always", spared: Spared | None = None) -> R:
        """Run a step that must succeed; return its typed report."""
        return (await self.run(step, shape, stops=stops, spared=spared))[1]

    async def run(self, step: Step, shape: type[R], *, stops: Stops = "always", spared: Spared | None = None) -> tuple[StepResult, R]:
        """Run a step that must succeed; return its result and its typed report."""
        result, output = await self.execute(step, stops=stops, spared=spared)
        report = output.report or {}
        if not report.get("ok"):
            message = sanitise(str(report.get("detail") or result.detail or "it ended without a report"))
            self.finished(step.name, result, ok=False, detail=message)
            raise _failure(step.name, str(report.get("reason") or ""), message, output.report)
        self.finished(step.name, result, ok=True, detail=_detail(step.name, report, result))
        return result, _typed(step.name, report, shape)

    async def execute(
        self,
        step: Step,
        *,
        stops: Stops = "always",
        control: Control | None = None,
        parser: StreamParser | None = None,
        on_line: Callable[[], None] = lambda: None,
        on_checkpoint: FrameSink = lambda _: None,
        spared: Spared | None = None,
    ) -> tuple[StepResult, OutputPipeline]:
        """Run a step to its end, good or bad.

        on_line: called for each line of output. on_checkpoint: takes frames of checkpoints. spared: may have its result without its box.
        """
        self._recorder.emit([StepStarted(step=step.name)])
        output = self._output.pipeline(parser)
        sink, begin = self._sink(output, on_line, on_checkpoint), time.monotonic()
        try:
            result = await self._control.guard(self._carry_out(step, sink, control, spared), stops=stops, control=control)
        except BaseException:
            self._recorder.emit([StepFinished(step=step.name, ok=False, seconds=round(time.monotonic() - begin, 3), detail="stopped")])
            raise
        finally:
            output.close()
            if printed := output.secrets_seen - {PASS_NAME}:  # with a pass nobody can do anything
                seen = printed.union(self._recorder.run.secrets_seen)
                self._recorder.change(secret_seen=True, secrets_seen=tuple(sorted(seen)))
        return result, output

    def _sink(self, output: OutputPipeline, on_line: Callable[[], None], on_checkpoint: FrameSink) -> FrameSink:
        def sink(frame: Frame) -> None:
            if frame["k"] == "checkpoint":  # no output: it never reaches the transcript
                on_checkpoint(frame)
                return
            if frame.get("what") == "looked":
                self._control.looked.set()
                return
            if frame["k"] == "line":
                on_line()
            elif frame.get("what") == "steered":
                self._control.answered(str(frame.get("request", "")))
            output.frame(frame)

        return sink

    async def _carry_out(self, step: Step, sink: FrameSink, control: Control | None, spared: Spared | None) -> StepResult:
        begin = time.monotonic()
        result = await spared() if spared else None
        if result is None:
            return await self._boxes.execute(step, sink, control)
        if result.report is not None:
            sink(Frame(n=0, t=0.0, k="report", report=result.report))
        return replace(result, seconds=time.monotonic() - begin)

    def finished(self, name: StepName, result: StepResult, *, ok: bool, detail: str) -> None:
        """Record how a step ended."""
        self._recorder.emit([StepFinished(step=name, ok=ok, seconds=round(result.seconds, 3), detail=detail)])

    @asynccontextmanager
    async def on_host(self, name: StepName, cause: Cause) -> AsyncIterator[list[str]]:
        """Record a step that runs on the host; what the block adds to the list becomes its detail. UsageError becomes StepError."""
        begin, details = time.monotonic(), list[str]()
        self._recorder.emit([StepStarted(step=name)])
        ok = False
        try:
            yield details
            ok = True
        except UsageError as error:
            details.append(error.message)
            raise StepError(cause, error.message, error.fix, reason=name) from error
        except StepError as error:
            details.append(error.message)
            raise
        finally:
            took = round(time.monotonic() - begin, 3)
            self._recorder.emit([StepFinished(step=name, ok=ok, seconds=took, detail=", ".join(details))])


def _failure(name: StepName, reason: str, message: str, report: Mapping[str, JsonValue] | None) -> StepError:
    """Return the error that a step's report, or its program's end without one, amounts to."""
    words = message if report is None else str(report.get("tail") or "")
    if found := reported_error(reason, words):
        return StepError(found.cause, message, reason=found.reason)
    return StepError(_CAUSES[name], message, reason=reason)


def _typed(name: StepName, report: Mapping[str, JsonValue], shape: type[R]) -> R:
    try:
        return shape.model_validate(report)
    except ValidationError as error:
        message = f"the {name} step sent an invalid report: {error.errors()[0]['msg']}"
        raise StepError(_CAUSES[name], message, "please report this") from error


def _detail(name: StepName, report: Mapping[str, JsonValue], result: StepResult) -> str:
    match name:
        case "resolve":
            base = report.get("base")
            return str(base)[:12] if base else "empty repository"
        case "checkout":
            if report.get("given"):
                return "from the snapshot"
            return "reused" if result.reused else "fetched" if report.get("fetched") else "from the mirror"
        case "setup":
            return "reused" if result.reused else ""
        case "commit":
            if not report.get("files"):
                return "no changes"
            return f"{report['files']} file{'' if report['files'] == 1 else 's'} +{report['added']} -{report['removed']}"
        case "push":
            return "verified"
        case _:
            return ""
