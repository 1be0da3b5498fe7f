"""The real Claude CLI in whole runs: tasks go in through a service, and what the model says is scripted by the test."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import psutil

from ccterm.draft import Draft
from ccterm.events import Event
from ccterm.models import Run, RunId
from ccterm.service.protocol import Service
from tests.e2e.arranged import found_below
from tests.servers.messages_api import MessagesServer
from tests.servers.model_script import Part, bash, use
from tests.support.waiting import until

TOKEN = "sk-ant-oat01-Zq3vT8mK1xW5rB7nY2cJ4hD6"
"""The login of all runs. No part of it means anything else in base64 or hexadecimal."""
HANGING = use(bash("tail -f /dev/null"))
"""A command that never ends."""


@dataclass(frozen=True)
class Claude:
    """A service whose runs use the CLI, and everything around it."""

    service: Service
    api: MessagesServer
    remote: Path
    state: Path
    repo: str = ""
    """What runs name as their repository; "" = the remote's path."""
    fields: Mapping[str, object] = field(default_factory=dict)
    """Fields of all drafts."""
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def draft(self, *parts: Part, **fields: object) -> Draft:
        """Return a draft whose session plays these parts; its unique prompt identifies it."""
        prompt = f"Task number {next(self._numbers)}: please do it."
        self.api.script(prompt, *parts)
        given = {
            "agent": "claude",
            "mode": "local",
            "branch": "agent/x",
            "model": "sonnet",
            "skip_permissions": True,
            **self.fields,
            **fields,
        }
        return Draft.model_validate({"prompt": prompt, "repo": self.repo or str(self.remote), **given})

    async def start(self, *parts: Part, **fields: object) -> RunId:
        """Submit one task."""
        [queued] = await self.service.submit([self.draft(*parts, **fields)])
        return queued.id

    async def run(self, *parts: Part, **fields: object) -> Run:
        """Run one task to its end."""
        return await self.service.wait(await self.start(*parts, **fields))

    async def events(self, run: RunId) -> list[Event]:
        """Return all events of a run that has ended."""
        return [event async for event in self.service.follow(run)]

    async def hangs(self, commands: int = 1) -> None:
        """Wait until that many commands hang."""
        await until(lambda: self.processes().count("tail") == commands)

    def kept(self, run: RunId) -> Sequence[str]:
        """Return the names of the files in the record of a run."""
        return sorted(path.name for path in (self.state / "runs" / run).iterdir() if path.is_file())

    def files_with(self, needles: Sequence[bytes]) -> list[Path]:
        """Return the files of the state directory that hold one of these."""
        return found_below(self.state, needles)

    def processes(self) -> list[str]:
        """Return the names of all processes that were started for a box of this state directory."""
        return [process.info["name"] for process in psutil.process_iter(["name"]) if str(self.state) in _environment(process)]


def gateway_process() -> psutil.Process:
    """Return the gateway that this process has started."""
    (found,) = (child for child in psutil.Process().children() if _is_gateway(child))
    return found


def _is_gateway(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE and "ccterm.gateway" in process.cmdline()
    except (psutil.Error, OSError):  # it has just ended
        return False


def _environment(process: psutil.Process) -> str:
    try:
        return "\n".join([*process.environ().values(), process.cwd()])
    except (psutil.Error, OSError):
        return ""
