"""`ccterm demo` on a terminal: six scripted agents on a throwaway repository, in the same screens as real ones."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from ccterm.cli.console import print_note
from ccterm.cli.demo import sample_repository
from ccterm.cli.demo_scripts import FILES, TASKS, DemoTask
from ccterm.cli.main import environment
from ccterm.cli.tty_guard import guarded
from ccterm.daemon import open_service
from ccterm.draft import Draft
from ccterm.executors.temporary import temporary
from ccterm.models import ExecutionMode
from ccterm.service.protocol import Service


def demo_terminal() -> int:
    """Show the demo until it is left; nothing remains of it."""
    return guarded(_show)


def _show(parent: int) -> int:
    from ccterm.cli.errors import explain

    try:
        with temporary("demo") as place, sample_repository(place, FILES) as remote:
            code = asyncio.run(_play(place, remote, parent))
        with suppress(OSError):  # the terminal itself may be gone
            print_note("the demo is over; its runs, their work and its repository are removed")
        return code
    except Exception as error:  # noqa: BLE001 - the entry point of this process
        return explain(error)


async def _play(place: Path, remote: Path, parent: int) -> int:
    from ccterm.settings import load_settings
    from ccterm.tui.app import CctermApp
    from ccterm.tui.memory import Memory
    from ccterm.tui.run import run

    settings = load_settings(None, environment(), {"execution_mode": "local", "agent": "scripted"})
    app = CctermApp.provided_with(settings, memory=Memory(None), checks=False, keeps=False)
    asyncio.get_running_loop().add_reader(parent, app.exit)
    return await run(app, lambda: staged(place, remote))


@asynccontextmanager
async def staged(place: Path, remote: Path) -> AsyncIterator[Service]:
    """Open a service on a state directory that is removed with the demo, with the demo's runs under way."""
    async with open_service(place / "state", environment()) as service:
        await service.submit(_drafts(place, remote), max_concurrent=len(TASKS))
        yield service


def _drafts(place: Path, remote: Path) -> Sequence[Draft]:
    return [_draft(part, place / f"script-{number}.json", remote) for number, part in enumerate(TASKS)]


def _draft(part: DemoTask, script: Path, remote: Path) -> Draft:
    script.write_text(json.dumps({"script": part.script}), "utf-8")
    return Draft(
        task=part.prompt,
        repo=str(remote),
        branch=part.branch,
        message=part.message,
        agent="scripted",
        agent_args=("--script", str(script)),
        execution_mode=ExecutionMode.LOCAL,
        hold=part.hold,
    )
