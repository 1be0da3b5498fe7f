"""Own keys: [keys] in the settings."""

import pytest

from ccterm.errors import SettingsError
from ccterm.tui.own_keys import keymap
from tests.tui.conftest import Show
from tests.tui.fake_service import FakeService
from tests.tui.on_screen import wait_for_call, wait_for_text
from tests.tui.run_events import fail, start_agent


async def test_an_action_has_the_users_key_and_no_other(show: Show, service: FakeService) -> None:
    run = start_agent(service, service.add_run("one"))
    async with show(settings={"mode": "local", "keys": {"cancel": "X,f5"}}) as pilot:
        await wait_for_text(pilot, "X Cancel")
        await pilot.press("c", "X")
        await wait_for_text(pilot, "Stop")
        await pilot.press("s")
        await wait_for_call(service, "cancel", run.id, "keep")


async def test_keys_that_are_named_below_a_pane_are_the_users(show: Show, service: FakeService) -> None:
    fail(service, service.add_run("one"))
    async with show(settings={"mode": "local", "keys": {"continue": "C"}}) as pilot:
        await wait_for_text(pilot, "C continue", "C Continue")


@pytest.mark.parametrize(
    ("keys", "message", "fix"),
    [
        ({"cancell": "X"}, "[keys] there is no action 'cancell'", "did you mean cancel"),
        ({"cancel": "ctrl-x"}, "[keys] cancel: there is no key 'ctrl-x'", "write it as"),
        ({"cancel": "d"}, "[keys] cancel: the key d is that of diff, too", "give cancel or diff another one"),
        ({"comment": "n"}, "[keys] comment: the key n is that of new, too", "give comment or new another one"),
        ({"zoom": "X", "diff": "X"}, "[keys] zoom: the key X is that of diff, too", "give zoom or diff another one"),
    ],
)
def test_a_conflict_and_a_mistake_are_named(keys: dict[str, str], message: str, fix: str) -> None:
    with pytest.raises(SettingsError) as raised:
        keymap(keys)
    assert raised.value.message == message
    assert fix in raised.value.fix


def test_keys_may_be_swapped_and_written_as_they_are_typed() -> None:
    assert keymap({"cancel": "d", "diff": "c"}) == {"cancel": "d", "diff": "c"}
    assert keymap({"next-hunk": "<, ctrl+down"}) == {"next-hunk": "less_than_sign,ctrl+down"}
