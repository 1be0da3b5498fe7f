"""How runs read on the screen."""

import pytest

from ccterm.tui.run_text import repository
from tests.tui.fake_service import FakeService


@pytest.mark.parametrize(
    ("remote", "called"),
    [
        ("https://github.com/acme/shop.git", "acme/shop"),
        ("git@github.com:acme/shop.git", "acme/shop"),
        ("https://git.example/group/below/shop", "below/shop"),
        ("http://127.0.0.1:8080/shop.git", "shop"),
        ("git@host:shop.git", "shop"),
        ("/home/ann/code/shop/", "shop"),
    ],
)
async def test_a_repository_is_called_by_its_owner_and_name(service: FakeService, remote: str, called: str) -> None:
    assert repository(service.add_run("x", remote=remote)) == called
