"""`ccterm check`: every preflight question with its answer and its fix."""

import os

from ccterm import render
from ccterm.causes import ExitCode
from ccterm.cli.console import carry_out, state_dir, tell, tell_json
from ccterm.daemon.wiring import checks_for
from ccterm.executors.base import CheckResult
from ccterm.preflight import run_checks as run_all

_SIGNS = {"pass": "✓", "warn": "!", "fail": "✗"}


def run_checks(mode: str | None, *, as_json: bool) -> ExitCode:
    """Answer all checks; exit 3 when one fails."""

    checks = checks_for(mode, state_dir(), os.environ)

    async def work() -> list[CheckResult]:
        answers = {result.name: result async for result in run_all(checks)}
        return [answers[check.name] for check in checks]  # all are asked at once, and shown in the order of the list

    results = carry_out(work())
    if as_json:
        tell_json([result.model_dump(mode="json") for result in results])
    else:
        for result in results:
            _show(result)
    return ExitCode.PREFLIGHT if any(result.status == "fail" for result in results) else ExitCode.OK


def _show(result: CheckResult) -> None:
    tell(f"{_SIGNS[result.status]} {result.group:<12} {result.text}  ({render.seconds(result.seconds)})")
    if result.fix and result.status != "pass":
        tell(f"  {'':<12} {result.fix}")
