"""A gateway in front of the loopback API, and what stands for boxes: a door to a run's socket, and the real CLI behind it."""

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import NamedTuple

from pydantic import JsonValue, SecretStr

from ccterm.agents.claude import QUIET
from ccterm.gateway.client import Gateway, GatewayLogin, LimitWindows, RunNumbers, RunPass
from ccterm.models import RunId
from tests.servers.messages_api import MessagesServer
from tests.servers.model_script import Part
from tests.support.waiting import until

TOKEN = "sk-ant-oat01-Zq3vT8mK1xW5rB7nY2cJ4hD6"
PIECE = 64 * 1024
_numbers = count(1)


def login(value: str) -> GatewayLogin:
    """Return a login of that value."""
    return GatewayLogin("authorization", SecretStr(value))


LOGIN = login(TOKEN)


def new_run() -> RunId:
    """Return the id of another run."""
    return RunId(f"01JDTESTRUN{next(_numbers):015}")


@dataclass
class Heard:
    """Everything that a gateway told."""

    refusals: list[str] = field(default_factory=list)
    numbers: dict[RunId, RunNumbers] = field(default_factory=dict)
    windows: list[LimitWindows] = field(default_factory=list)
    spent: list[RunId] = field(default_factory=list)
    restarts: list[RunId] = field(default_factory=list)
    unreached: list[str] = field(default_factory=list)
    waiting: list[tuple[RunId, bool]] = field(default_factory=list)
    """Runs that began to wait for a login, or no longer do."""

    async def tokens(self, run: RunId, number: int) -> None:
        """Wait until a run has used so many tokens."""
        await until(lambda: self.numbers.get(run, RunNumbers()).tokens == number)

    def refused(self, login: str) -> None:
        self.refusals.append(login)

    def used(self, run: RunId, numbers: RunNumbers) -> None:
        self.numbers[run] = numbers

    def waits(self, run: RunId, *, waits: bool) -> None:
        self.waiting.append((run, waits))

    def unreachable(self, run: RunId, why: str) -> None:
        self.unreached.append(why)

    def limits(self, login: str, windows: LimitWindows) -> None:
        self.windows.append(windows)

    def restarted(self, run: RunId) -> None:
        self.restarts.append(run)

    def over_budget(self, run: RunId) -> None:
        self.spent.append(run)


class Ended(NamedTuple):
    """How a CLI ended, and what it printed."""

    code: int
    lines: Sequence[Mapping[str, JsonValue]]

    @property
    def result(self) -> Mapping[str, JsonValue]:
        """Return its result line."""
        return self.lines[-1]

    def of(self, kind: str) -> Sequence[Mapping[str, JsonValue]]:
        """Return the lines of a type, or of a subtype."""
        return [line for line in self.lines if kind in (line.get("type"), line.get("subtype"))]


@dataclass(frozen=True)
class Boxes:
    """Admits runs and starts the CLI in what stands for their boxes."""

    gateway: Gateway
    heard: Heard
    api: MessagesServer
    claude: Path
    directory: Path
    base_url: str | None = None
    """None = way B, through CONNECT; else way A, for this address."""

    def with_cli(self, claude: Path) -> "Boxes":
        """Return the same with the real CLI."""
        return replace(self, claude=claude)

    async def kill(self) -> None:
        """Kill the gateway's process and wait until the next one serves all runs."""
        killed = self.gateway.pid
        assert killed
        os.kill(killed, signal.SIGKILL)
        await until(lambda: self.gateway.pid not in (None, killed))
        await self.admit()

    async def admit(self, run: RunId | None = None, *, login: GatewayLogin = LOGIN, max_tokens: int | None = None) -> RunPass:
        """Admit a run."""
        return await self.gateway.admit(run or new_run(), "login", login, base_url=self.base_url, max_tokens=max_tokens)

    async def run(self, *parts: Part, run: RunId | None = None, max_tokens: int | None = None) -> Ended:
        """Admit a run, play these parts to its CLI, and wait for its end."""
        return await self.claude_with(await self.admit(run, max_tokens=max_tokens), *parts)

    async def claude_with(
        self,
        given: RunPass,
        *parts: Part,
        arguments: Sequence[str] = (),
        home: Path | None = None,
        variable: str = "CLAUDE_CODE_OAUTH_TOKEN",
    ) -> Ended:
        """Run the CLI with a pass in that variable."""
        prompt = f"Task number {next(_numbers)}: please do it."
        self.api.script(prompt, *parts)
        home = home or self.directory / f"home{next(_numbers)}"
        (home / "work").mkdir(parents=True, exist_ok=True)
        (home / "ca.pem").write_text(given.ca)
        async with door(given.socket) as port:
            process = await asyncio.create_subprocess_exec(
                *(self.claude, "-p", prompt, "--output-format", "stream-json", "--verbose", "--dangerously-skip-permissions"),
                *("--model", "sonnet", "--setting-sources", "user", *arguments),
                cwd=home / "work",
                env={**self._environ(given, home, f"http://127.0.0.1:{port}"), variable: given.token.get_secret_value()},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
            )
            try:
                out, _ = await process.communicate()
            except BaseException:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                raise
        return Ended(process.returncode or 0, [json.loads(line) for line in out.splitlines()])

    def _environ(self, given: RunPass, home: Path, proxy: str) -> dict[str, str]:
        way = {"ANTHROPIC_BASE_URL": proxy} if self.base_url else {"HTTPS_PROXY": proxy, "NODE_EXTRA_CA_CERTS": str(home / "ca.pem")}
        own = {"HOME": str(home), "PATH": os.environ["PATH"], "IS_SANDBOX": "1"}
        return {**QUIET, **own, **way}


@asynccontextmanager
async def door(to: Path) -> AsyncIterator[int]:
    """Listen on the loopback for a box, and pass bytes to a run's socket as they are; yields the port."""

    async def enter(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            inner_reader, inner_writer = await asyncio.open_unix_connection(to)
            await asyncio.gather(_pump(reader, inner_writer), _pump(inner_reader, writer))
        writer.close()

    server = await asyncio.start_server(enter, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(PIECE):
            writer.write(data)
            await writer.drain()
    writer.close()
