"""The service as a program on another machine, or without the state directory, has it: every question and order goes over HTTP."""

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, Unpack
from urllib.parse import urlencode, urlsplit

from ccterm.draft import BatchFile, Draft, anchored_repo
from ccterm.errors import CctermError, DaemonError, UsageError
from ccterm.events import Event, Finished, from_line
from ccterm.git.bounded_json import read_json, require_bounded
from ccterm.models import Allowances, CheckResult, ExecutionMode, Run, RunRef
from ccterm.service import commands
from ccterm.service.caller import CallerEnvironment
from ccterm.service.command_base import ServiceCommand
from ccterm.service.commands import SubmissionKey
from ccterm.service.protocol import Service
from ccterm.service.wire import LINE_VALUES, WireError, error_classes
from ccterm.state_dir import StateDir
from ccterm.store import RunFilter
from ccterm.values import PendingChange

if TYPE_CHECKING:
    import httpx

    from ccterm.credentials.export import Exported

R = TypeVar("R")
_RUNS, _PAGE = "/api/v1/runs", 1000
_SECONDS = 60.0
"""How long an answer may take; events may be silent for longer than the server's own heartbeat only when it is gone."""
_AGAIN_SECONDS = 1.0
_KINDS = {re.sub(r"(?<!^)(?=[A-Z])", "-", kind.__name__).lower(): kind.__name__ for kind in error_classes()}
_NOT_HERE = "use the command line on the machine itself"


@asynccontextmanager
async def connected(address: str | Path, token: str | None) -> AsyncIterator["HttpService"]:
    """Use the server at a URL, or at the path of its private socket. Raises UsageError, and DaemonError when it does not answer."""
    import httpx  # deferred: costs start-up time

    text = str(address)
    is_url = "://" in text
    if is_url and (urlsplit(text).scheme not in ("http", "https") or not urlsplit(text).hostname):
        raise UsageError(f"{text} is no address of a server", "give http://localhost:8001, or the path of its socket")
    transport = None if is_url else httpx.AsyncHTTPTransport(uds=text)
    headers = {"authorization": f"Bearer {token}"} if token else {}
    base = text.rstrip("/") if is_url else "http://localhost"
    # no proxy, no credentials of a .netrc: the token is for this server alone
    async with httpx.AsyncClient(base_url=base, headers=headers, transport=transport, timeout=_SECONDS, trust_env=False) as client:
        service = HttpService(client, text)
        await service.greet()
        yield service


class HttpService(Service):
    """Asks a server of `ccterm serve`. What only the command line may ask is a UsageError."""

    def __init__(self, client: "httpx.AsyncClient", address: str) -> None:
        self.machine = _OtherMachine()
        self._client = client
        self._address = address

    async def greet(self) -> None:
        """Make sure that the server is there and lets this program in. Raises DaemonError and UsageError."""
        await self._json("GET", "/healthz")

    @property
    def state(self) -> StateDir:
        """There is none on this side. Raises UsageError."""
        raise _not_over_http()

    async def find(self, ref: RunRef) -> Run:
        """Return the run that a caller means."""
        [found] = (await self._json("GET", f"{_RUNS}?{urlencode({'name': ref})}"))["runs"]
        return _run(found)

    async def runs(self, **which: Unpack[RunFilter]) -> list[Run]:
        """Return runs, oldest first; page by page."""
        found: list[Run] = []
        since, most, after, before = which.get("since"), which.get("limit"), which.get("after"), which.get("before")
        asked = [("state", state.value) for state in which.get("states", ())]
        asked += [(name, str(value)) for name, value in (("batch", which.get("batch")), ("branch", which.get("branch"))) if value]
        asked += [("since", since.astimezone().isoformat())] if since else []
        more = True
        while more and (most is None or len(found) < most):
            limit = _PAGE if most is None else min(_PAGE, most - len(found))
            page = [*asked, ("limit", str(limit)), *([("before", str(before))] if before else [])]
            answer = await self._json("GET", f"{_RUNS}?{urlencode(page)}")
            runs = [_run(each) for each in answer["runs"]]
            wanted = [run for run in runs if after is None or (run.number or 0) > after]
            found += wanted
            more, before = answer["next"] is not None and len(wanted) == len(runs), runs[-1].number if runs else None
        return found[::-1]

    async def follow(self, run: RunRef, *, after: int = -1, live: bool = True) -> AsyncGenerator[Event, None]:
        """Yield a run's events as they happen; goes on where it was when the connection breaks."""
        known = await self._id(run)
        while True:
            came = False
            async with aclosing(self._stream(f"{_RUNS}/{known}/events?live={str(live).lower()}", after)) as lines:
                async for line in lines:
                    event = from_line(require_bounded(line, values=LINE_VALUES).encode())
                    after, came = event.seq, True
                    yield event
                    if isinstance(event, Finished):
                        return
            if not live:
                return
            if not came:
                if (await self.find(known)).state.final:
                    return
                await asyncio.sleep(_AGAIN_SECONDS)

    async def _stream(self, path: str, after: int) -> AsyncGenerator[bytes, None]:
        """Yield the data of each event of a stream; ends when the connection does."""
        import httpx

        headers = {"last-event-id": str(after)} if after >= 0 else {}
        rest = b""
        try:
            async with self._client.stream("GET", path, headers=headers) as answer:
                if answer.is_error:
                    raise _refusal(answer.status_code, await answer.aread())
                async for chunk in answer.aiter_bytes():
                    *lines, rest = (rest + chunk).split(b"\n")
                    for line in lines:
                        if line.startswith(b"data: "):
                            yield line.removeprefix(b"data: ")
        except httpx.ConnectError as error:
            raise self._gone() from error
        except httpx.HTTPError:
            return  # it broke; the caller knows how far it came

    async def patch(self, run: RunRef) -> bytes | None:
        """Return what a run changed as a patch, with secrets masked."""
        known = await self._id(run)
        answer = await self._asked("GET", f"{_RUNS}/{known}/patch")
        if answer.status_code == 404 and b"urn:ccterm:problem:no-changes" in answer.content:
            return None
        if answer.is_error:
            raise _refusal(answer.status_code, answer.content)
        return answer.content

    async def pending(self, run: RunRef) -> list[PendingChange]:  # noqa: ARG002 - the interface
        """This needs the state directory. Raises UsageError."""
        raise UsageError("what a run would change is not listed over HTTP", "look at its patch")

    async def submit(
        self,
        drafts: Sequence[Draft],
        *,
        max_concurrent: int | None = None,
        source: BatchFile | None = None,  # noqa: ARG002 - a program may not say what needs the user's trust
        key: SubmissionKey | None = None,
    ) -> list[Run]:
        """Queue tasks as one batch; without a repository they work on the one that the server serves first."""
        body: dict[str, Any] = {"tasks": [_task(draft) for draft in drafts]}
        if max_concurrent is not None:
            body["max_concurrent"] = max_concurrent
        answer = await self._json("POST", "/api/v1/agents/run-parallel", body, {"idempotency-key": key} if key else None)
        return [_run(each) for each in answer["runs"]]

    async def checks(
        self,
        execution_mode: ExecutionMode | None = None,
        *,
        repo: str | None = None,
        branch: str | None = None,
        here: str | None = None,  # noqa: ARG002 - a place on another machine
    ) -> AsyncGenerator[CheckResult, None]:
        """Yield what the server's machine needs for runs. Where no repo is named, the network is that of the one which it serves first."""
        asked = {"execution_mode": execution_mode, "repo": repo, "branch": branch}
        query = urlencode({name: str(value) for name, value in asked.items() if value})
        for each in await self._json("GET", "/api/v1/checks" + (f"?{query}" if query else "")):
            with _understood():
                yield CheckResult.model_validate(each)

    async def cancel_all(self, *, now: bool = False) -> None:
        """Stop every queued and running run."""
        for run in await self.runs():
            if not run.state.final:
                await self.cancel(run.id, now=now)

    async def perform(self, command: ServiceCommand[R]) -> R:
        """Have the server carry out a command. Raises what it raised there, and UsageError for what is not asked over HTTP."""
        order, body = _order(command)
        answer = await self._json("POST", f"{_RUNS}/{order}", body)
        with _understood():
            return command.unpack(None if isinstance(command, _SILENT) else answer)

    async def _json(self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None) -> Any:  # noqa: ANN401 - JSON
        answer = await self._asked(method, path, body, headers)
        if answer.is_error:
            raise _refusal(answer.status_code, answer.content)
        with _understood():
            return read_json(answer.content, values=LINE_VALUES)

    async def _asked(self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None) -> "httpx.Response":
        import httpx

        for last in (method != "GET", True):  # a question may be asked again
            try:
                return await self._client.request(method, path, json=body, headers=headers)
            except (httpx.HTTPError, OSError) as error:
                if last:
                    raise self._gone() from error
        raise AssertionError("the last attempt returns or raises")

    def _gone(self) -> DaemonError:
        return DaemonError(f"no server answers at {self._address}", "start one: ccterm serve")


class _OtherMachine:
    """The machine of the server, of which nothing is asked over HTTP."""

    @property
    def environ(self) -> Mapping[str, str]:
        """Raises UsageError."""
        raise _not_over_http()

    def caller(self) -> CallerEnvironment:
        """Raise UsageError."""
        raise _not_over_http()

    def make_image(self) -> AsyncIterator[str]:
        """Raise UsageError."""
        raise _not_over_http()

    async def export_login(self) -> "Exported":
        """Raise UsageError."""
        raise _not_over_http()


def _not_over_http() -> UsageError:
    return UsageError("this cannot be asked over HTTP", _NOT_HERE)


_SILENT = (commands.Cancel, commands.Steer, commands.Hold, commands.Release)
"""Commands that return nothing; the server answers with the run."""


def _order(command: object) -> tuple[str, Mapping[str, object]]:
    """Return the path of an order below the runs, and its body."""
    match command:
        case commands.Cancel(run=run, now=now):
            return f"{run}/cancel", {"now": now}
        case commands.Steer(run=run, text=text):
            return f"{run}/steer", {"text": text}
        case commands.Continue(run=run):
            return f"{run}/continue", command.model_dump(include={"text", "branch", "fresh"})
        case commands.Apply(run=run, allow=allow, only=only) if allow == Allowances():
            return f"{run}/apply", {"paths": only}
        case commands.Push(run=run, allow=allow) if allow == Allowances():
            return f"{run}/push", {}
        case commands.Hold(run=run) | commands.Release(run=run) | commands.Retry(run=run) | commands.Undo(run=run):
            return f"{run}/{command.do}", {}
        case commands.Apply() | commands.Push():
            raise UsageError("rules cannot be lifted over HTTP", _NOT_HERE)
        case _:
            raise _not_over_http()


def _task(draft: Draft) -> Mapping[str, object]:
    """Return a draft as a body has it, where changes are applied unless it says otherwise."""
    given = draft.model_dump(mode="json", exclude_none=True)
    if draft.branch is None:
        given["apply"] = bool(draft.apply)
    if draft.repo is not None:
        given["repo"] = anchored_repo(draft.repo)
    return given


def _run(document: object) -> Run:
    with _understood():
        return Run.model_validate(document)


@contextmanager
def _understood() -> Iterator[None]:
    """Raise DaemonError for an answer that cannot be read."""
    try:
        yield
    except ValueError as error:
        raise DaemonError("the server's answer cannot be read", "use the same version of ccterm on both sides") from error


def _refusal(status: int, content: bytes) -> CctermError:
    """Return the error that a problem document tells of."""
    try:
        problem = read_json(content)
        kind = str(problem["type"]).removeprefix("urn:ccterm:problem:")
        told = WireError(
            type=_KINDS.get(kind, "UsageError" if status < 500 else "DaemonError"),
            message=str(problem["detail"]),
            fix=str(problem["action"]),
            cause=problem.get("cause"),
            reason=str(problem.get("reason", "")),
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return DaemonError(f"the server answered with status {status}", "is it ccterm serve that listens there?")
    return told.error()
