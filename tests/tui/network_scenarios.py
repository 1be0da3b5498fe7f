"""What users see of the network of boxes, as scenarios in the real app."""

from textual.pilot import Pilot

from ccterm.events import HostAsked, Said, ToolCalled
from ccterm.models import Run
from ccterm.settings import Settings
from ccterm.tui.widgets.field import Field
from tests.tui.fake_service import FakeService
from tests.tui.form_scenarios import open_form
from tests.tui.on_screen import type_text, wait_for_text
from tests.tui.playing import open_app
from tests.tui.run_events import start_agent


def sealed_run(service: FakeService) -> Run:
    """Have a run with a list of hosts ask for some that are not on it."""
    hosts = {"mode": "list", "hosts": ("registry.npmjs.org:443", "*.acme.example", "api.anthropic.com:443")}
    one = start_agent(
        service, service.add_run("chore/deps", prompt="Update the dependencies.", egress=hosts, login="gateway", execution_mode="dagger")
    )
    why = "not on the list"
    told = (("pypi.org", 1), ("telemetry.vendor.example", 1), ("pypi.org", 2), ("pypi.org", 4))
    service.emit(one.id, ToolCalled(id="9", name="Bash", summary="pip install build"))
    service.emit(
        one.id, *(HostAsked(host=host, port=443, allowed=False, count=count, more=(count + 1) // 2, why=why) for host, count in told)
    )
    service.emit(one.id, HostAsked(host="registry.npmjs.org", port=443, allowed=True, count=1, more=1))
    return one


async def sealed(service: FakeService, pilot: Pilot[None]) -> None:
    sealed_run(service)
    recorded = start_agent(
        service, service.add_run("docs/api", prompt="Document the API.", egress={"mode": "record"}, execution_mode="dagger")
    )
    service.emit(recorded.id, Said(text="The routes are in one file."))
    await open_app(service, pilot, "not reached: pypi.org, 4 times", "3 hosts")


async def sealed_facts(service: FakeService, pilot: Pilot[None]) -> None:
    sealed_run(service)
    await open_app(service, pilot, "not reached: pypi.org, 4 times", keys="enter")
    if pilot.app.size.width < 100:
        await pilot.press("tab")
    await wait_for_text(pilot, "3 hosts; not reached", "gateway")


async def allowing(service: FakeService, pilot: Pilot[None]) -> None:
    sealed_run(service)
    service.user_settings = Settings.model_validate({"repo": {"github.com/acme/shop": {"egress": ["npm", "*.acme.example"]}}})
    await open_app(service, pilot, "not reached: pypi.org, 4 times")
    await pilot.press("plus")
    await wait_for_text(pilot, "Which host may be reached")
    await pilot.press("2")
    await wait_for_text(pilot, "Let further runs reach pypi.org?", '"*.acme.example", "pypi.org:443"')


async def launch_network(service: FakeService, pilot: Pilot[None]) -> None:
    await open_form(service, pilot)
    await type_text(pilot, "Update the dependencies.")
    pilot.app.screen.query_one("#execution_mode", Field).value = "dagger"
    pilot.app.screen.query_one("#egress", Field).value = "npm, docs.acme.example"
    await pilot.press("f2")
    await wait_for_text(pilot, "network: 4 hosts · login: gateway")


async def launch_network_wrong(service: FakeService, pilot: Pilot[None]) -> None:
    await open_form(service, pilot)
    await type_text(pilot, "Update the dependencies.")
    pilot.app.screen.query_one("#egress", Field).value = "nmp, 10.0.0.1"
    await wait_for_text(pilot, 'holds "nmp"', "launches once the form is complete")
