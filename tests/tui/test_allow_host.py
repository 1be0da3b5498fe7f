"""The key that lets further runs reach a host that a run was refused."""

from pathlib import Path

from ccterm.events import HostAsked
from ccterm.models import RunId
from ccterm.settings import Settings
from tests.tui.conftest import Show
from tests.tui.fake_service import FakeService
from tests.tui.network_scenarios import sealed_run
from tests.tui.on_screen import wait_for_text
from tests.tui.run_events import start_agent


async def test_the_host_of_the_chosen_refusal_is_allowed_and_written_down(show: Show, service: FakeService, tmp_path: Path) -> None:
    run = sealed_run(service)
    service.settings_file = tmp_path / "config.toml"
    service.settings_file.write_text('egress = ["npm"]  # mine\n')
    service.user_settings = Settings.model_validate({"egress": ["npm"]})
    async with show() as pilot:
        await wait_for_text(pilot, "not reached: telemetry.vendor.example")
        await pilot.press("left_square_bracket", "left_square_bracket")  # the refusal above the last one
        await pilot.press("plus")
        await wait_for_text(pilot, "Let further runs reach pypi.org?", 'egress = ["npm", "pypi.org:443"]')
        await pilot.press("y")
        await wait_for_text(pilot, "and by new runs")
    assert (await service.find(run.id)).allowed_hosts == ("pypi.org:443",)
    assert (
        service.settings_file.read_text() == 'egress = ["npm"]  # mine\n\n[repo."github.com/acme/shop"]\negress = ["npm", "pypi.org:443"]\n'
    )


async def test_one_of_several_is_chosen_and_only_for_what_comes_of_the_run(show: Show, service: FakeService) -> None:
    run = sealed_run(service)
    async with show() as pilot:
        await wait_for_text(pilot, "not reached: telemetry.vendor.example")
        await pilot.press("plus")
        await wait_for_text(pilot, "Which host may be reached", "1 telemetry.vendor.example", "pypi.org (4 times)")
        await pilot.press("1")
        await wait_for_text(pilot, "when #1 is retried or continued")
        await pilot.press("t")
        await wait_for_text(pilot, "telemetry.vendor.example may be reached when #1")
    assert (await service.find(RunId(run.id))).allowed_hosts == ("telemetry.vendor.example:443",)


async def test_the_key_says_why_there_is_nothing_to_allow(show: Show, service: FakeService) -> None:
    start_agent(service, service.add_run("feature/login"))
    async with show() as pilot:
        await wait_for_text(pilot, "feature/login")
        await pilot.press("plus")
        await wait_for_text(pilot, "may reach every host")


async def test_an_address_that_was_refused_is_nothing_to_allow(show: Show, service: FakeService) -> None:
    run = service.add_run("feature/login", egress={"mode": "list"})
    service.emit(run.id, HostAsked(host="10.0.0.7", port=5432, allowed=False, count=1, more=1))
    async with show() as pilot:
        await wait_for_text(pilot, "not reached: 10.0.0.7:5432")
        await pilot.press("plus")
        await wait_for_text(pilot, "was refused no host that could be allowed")
