"""Lets further runs reach a host that a run was refused: which one, and whether that is written into the settings."""

import asyncio
from typing import TYPE_CHECKING

from ccterm.boundaries import host_text, refused_text
from ccterm.events import Event, HostAsked
from ccterm.models import Run
from ccterm.tui.app_base import AppBase
from ccterm.tui.possible import allowable_hosts
from ccterm.tui.screens.dialogs import Choice, ChoiceDialog

if TYPE_CHECKING:
    from ccterm.service.protocol import Service
    from ccterm.settings.widen import WiderList

MOST = 9
_ALWAYS, _ONCE = "y", "t"


def ask_for_host(app: AppBase, run: Run, event: Event | None) -> None:
    """Ask about the host of the chosen event; about another, which of the refused ones is meant, the last first."""
    hosts = allowable_hosts(run)
    chosen = f"{event.host}:{event.port}" if isinstance(event, HostAsked) else ""
    if chosen in hosts or len(hosts) == 1:
        _ask_how(app, run, chosen if chosen in hosts else hosts[0])
        return
    refused = {each.host: each for each in run.refused_hosts}
    choices = [Choice(str(place), refused_text(refused[host])) for place, host in enumerate(hosts[:MOST], 1)]
    title = f"Which host may be reached when {run.label} is retried or continued?"
    app.push_screen(ChoiceDialog(title, choices), lambda key: _ask_how(app, run, hosts[int(key) - 1]) if key else None)


def _ask_how(app: AppBase, run: Run, host: str) -> None:
    async def ask(service: "Service") -> str:
        wider = await service.wider_list(run.id, [host])
        app.push_screen(_dialog(run, host, wider), lambda key: _allow(app, run, host, wider if key == _ALWAYS else None) if key else None)
        return ""

    app.perform(ask, opens=True)


def _dialog(run: Run, host: str, wider: "WiderList | None") -> ChoiceDialog:
    title = f"Let further runs reach {host_text(host)}?"
    this = Choice(_ONCE, f"when {run.label} is retried or continued")
    if wider is None:
        return ChoiceDialog(title, [this])
    shown = "\n".join(("", f"{wider.path}:", *wider.lines))
    return ChoiceDialog(f"{title}\n{shown}", [this, Choice(_ALWAYS, "by new runs on this repository, too: write the lines above")])


def _allow(app: AppBase, run: Run, host: str, wider: "WiderList | None") -> None:
    async def allow(service: "Service") -> str:
        app.update_run(await service.allow_hosts(run.id, [host]))
        if wider:
            await asyncio.to_thread(wider.write)
        return f"{host_text(host)} may be reached when {run.label} is retried or continued" + (", and by new runs" if wider else "")

    app.perform(allow)
