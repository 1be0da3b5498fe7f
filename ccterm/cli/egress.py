"""`ccterm egress`: which hosts runs asked for, and a list of them to paste."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from ccterm import render
from ccterm.boundaries import host_text
from ccterm.causes import ExitCode
from ccterm.cli.console import carry_out, opened_record, opened_service, print_data, print_json, print_note
from ccterm.cli.main import environment
from ccterm.events import Event, HostAsked
from ccterm.models import Run
from ccterm.settings.egress import can_be_listed, folded
from ccterm.settings.widen import WiderList, setting
from ccterm.workspace.repository import settings_key


@dataclass
class HostUse:
    """How often a run's programs asked for a host, and when first."""

    host: str
    allowed: bool
    why: str
    first: datetime | None
    count: int = 0

    def document(self) -> dict[str, object]:
        """Return it as JSON values."""
        first = self.first.isoformat() if self.first else None
        return {"host": self.host, "allowed": self.allowed, "count": self.count, "why": self.why, "first": first}


def uses(events: Iterable[Event]) -> list[HostUse]:
    """Return what a transcript tells of hosts, each once as let through and once as refused, in the order in which they were asked for."""
    found: dict[tuple[str, bool], HostUse] = {}
    for event in events:
        if isinstance(event, HostAsked):
            host = f"{event.host}:{event.port}"
            use = found.setdefault((host, event.allowed), HostUse(host, event.allowed, event.why, event.at))
            use.count += event.more
    return list(found.values())


async def _read(refs: Sequence[str]) -> list[tuple[Run, list[HostUse]]]:
    async with opened_record() as record:
        runs = [await record.find(ref) for ref in refs]
        return [(run, uses([event async for event in record.follow(run.id, live=False)])) for run in runs]


def print_log(ref: str, *, as_json: bool) -> ExitCode:
    """Print the hosts that a run asked for."""
    [(run, found)] = carry_out(_read([ref]))
    if as_json:
        print_json([use.document() for use in found])
        return ExitCode.OK
    rows = [["✓" if use.allowed else "!", use.host, f"{use.count:,}", render.clock(use.first), use.why] for use in found]
    for line in render.table(rows, ["", "HOST", "TIMES", "FIRST", "WHY NOT"], frozenset({2})) if rows else ():
        print_data(line)
    if not rows:
        _say_why_nothing(run)
    return ExitCode.OK


def _say_why_nothing(run: Run) -> None:
    open_ = f"the hosts that run {run.label} asked for were not recorded: its network was open; --egress record keeps a list"
    print_note(open_ if run.task.egress.mode == "open" else f"no program of run {run.label} asked for a host")


def print_suggestion(refs: Sequence[str], *, as_json: bool) -> ExitCode:
    """Print the hosts that runs reached as a setting, for each repository. What was refused is named but not part of it."""
    environ = environment()
    of_repository: dict[str, list[HostUse]] = {}
    for run, found in carry_out(_read(refs)):
        of_repository.setdefault(settings_key(run.task, environ), []).extend(found)
        if not found and not as_json:
            _say_why_nothing(run)
    lists = [Suggestion.of(key, found) for key, found in of_repository.items() if found]
    if as_json:
        print_json([each.document() for each in lists])
    for each in lists if not as_json else ():
        each.print()
    return ExitCode.OK


@dataclass
class Suggestion:
    """A list for one repository. refused: hosts that were asked for in vain; left_out: hosts that no list can hold."""

    key: str
    hosts: tuple[str, ...]
    refused: tuple[str, ...]
    left_out: tuple[str, ...]

    @classmethod
    def of(cls, key: str, found: Sequence[HostUse]) -> "Suggestion":
        """Return the list of what was reached."""
        reached = dict.fromkeys(use.host for use in found if use.allowed)
        usable = [host for host in reached if can_be_listed(host)]
        refused = dict.fromkeys(use.host for use in found if not use.allowed and use.host not in reached)
        return cls(key, folded(usable), tuple(refused), tuple(host for host in reached if host not in usable))

    def document(self) -> dict[str, object]:
        """Return it as JSON values."""
        return {"repo": self.key or None, "egress": self.hosts, "refused": self.refused, "left_out": self.left_out}

    def print(self) -> None:
        """Print it as part of a settings file, and what is to be said of it as notes."""
        for line in setting(self.key, self.hosts):
            print_data(line)
        if self.refused:
            print_note(f"not in it, since refused: {', '.join(map(host_text, self.refused))}")
        if self.left_out:
            print_note(f"not in it, since a list holds hosts of the internet by name: {', '.join(self.left_out)}")


def allow_hosts(ref: str, hosts: Sequence[str], *, as_json: bool) -> ExitCode:
    """Let what goes on with a run reach hosts, and new runs on its repository where the settings have a list for it."""

    async def work() -> tuple[Run, WiderList | None]:
        async with opened_service() as service:
            run = await service.allow_hosts(ref, hosts)
            wider = await service.wider_list(run.id, hosts)
            if wider:
                await asyncio.to_thread(wider.write)
            return run, wider

    run, wider = carry_out(work())
    if as_json:
        print_json({"run": run.id, "allowed_hosts": run.allowed_hosts, "settings": wider.lines[1] if wider else None})
        return ExitCode.OK
    print_note(f"retry and continue of run {run.label} may now reach: {', '.join(map(host_text, run.allowed_hosts))}")
    if wider:
        print_note(f"{wider.path}:")
        for line in wider.lines:
            print_data(line)
    return ExitCode.OK
