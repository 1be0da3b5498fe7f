"""`ccterm auth`: export the Claude login, show which one runs use, remove what ccterm keeps of it."""

import json
from collections.abc import Sequence

from ccterm.causes import ExitCode
from ccterm.cli.console import carry_out, opened_record, print_data, print_json, print_note
from ccterm.cli.main import environment
from ccterm.cli.streams import print_error
from ccterm.credentials.claude import Logins
from ccterm.credentials.export import export_login, remove_export
from ccterm.credentials.login import Login
from ccterm.credentials.login_sources import LoginSource
from ccterm.daemon import announce_login
from ccterm.errors import PreflightError
from ccterm.models import ExecutionMode, Run, State, now
from ccterm.settings import load_settings

_WHERE = {ExecutionMode.LOCAL: "on this machine (local)", ExecutionMode.DAGGER: "in containers (dagger)"}
_MARKS = {"usable": "·", "renewable": "!", "unusable": "✗", "missing": " "}


def export(*, print_path: bool, as_json: bool) -> ExitCode:
    """Write the copy for containers and say what came of it."""
    exported = export_login(environment())
    carry_out(announce_login(environment()))
    if as_json:
        print_json(exported.model_dump(mode="json"))
        return ExitCode.OK
    print_note(f"the Claude login is in {exported.path}: {exported.sentence}")
    if print_path:
        print_data(str(exported.path))
    return ExitCode.OK


def status(execution_mode: str | None, *, as_json: bool) -> ExitCode:
    """Show every source of a login, the one that runs use, and the runs that use one now; exit 3 when there is none."""
    settings = load_settings(None, environment())
    mode = ExecutionMode(execution_mode) if execution_mode else settings.execution_mode
    logins = Logins(api_key=settings.api_key)
    sources = logins.survey(mode, environment())
    login, refusal = _answer(logins, mode)
    held = carry_out(_holders())
    if as_json:
        print_json(_document(mode, login, sources, held))
    else:
        _print(mode, login, sources, held)
        if refusal:
            print_error(refusal.message, refusal.fix)
    return ExitCode.OK if login else ExitCode.PREFLIGHT


def _answer(logins: Logins, mode: ExecutionMode) -> tuple[Login | None, PreflightError | None]:
    try:
        return logins.login_for(mode, environment()), None
    except PreflightError as error:
        return None, error


async def _holders() -> list[Run]:
    async with opened_record() as record:
        return [run for run in await record.runs(states=[State.RUNNING]) if run.manifest.credential != "none"]


def _document(mode: ExecutionMode, login: Login | None, sources: Sequence[LoginSource], held: Sequence[Run]) -> dict[str, object]:
    shown = {"kind", "source", "expires_at", "scopes"}
    return {
        "execution_mode": mode,
        "login": json.loads(login.model_dump_json(include=shown)) if login else None,
        "sources": [source.model_dump(mode="json") for source in sources],
        "runs": [{"id": run.id, "credential": run.manifest.credential} for run in held],
    }


def _print(mode: ExecutionMode, login: Login | None, sources: Sequence[LoginSource], held: Sequence[Run]) -> None:
    print_data(f"runs {_WHERE[mode]} use {f'{login.source} ({login.kind})' if login else 'no login'}: the first of these that can be used")
    width = max(len(source.name) for source in sources)
    for source in sources:
        end = f", until {source.expires_at.astimezone():%Y-%m-%d %H:%M}" if source.expires_at else ""
        scopes = f"; {' '.join(source.scopes)}" if source.scopes else ""
        print_data(f"{'✓' if source.chosen else _MARKS[source.level]} {source.name:<{width}}  {source.state}{end}{scopes}")
    for run in held:
        minutes = round((now() - run.started).total_seconds() / 60) if run.started else 0
        print_data(f"held by run {run.label}, {run.task.target}, for {minutes} min: {run.manifest.credential}")


def logout(*, as_json: bool) -> ExitCode:
    """Remove the setup-token and the exported copy."""
    removed = [*Logins().tokens.remove(environment()), *remove_export(environment())]
    if as_json:
        print_json({"removed": removed})
    else:
        print_note(f"removed from {', '.join(removed)}" if removed else "ccterm keeps no Claude login")
        print_note("your own Claude login stays: claude, then /logout, removes it; claude.ai lists and revokes tokens")
    return ExitCode.OK
