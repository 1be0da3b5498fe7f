"""A host that is added to a list of the settings file leaves everything else there as the user wrote it."""

from pathlib import Path

import pytest

from ccterm.errors import SettingsError
from ccterm.settings import Settings, load_settings
from ccterm.settings.widen import wider_list

FILE = """\
# my settings
max_concurrent = 6   # enough
egress = ["pypi"]

[repo."https://github.com/acme/shop.git"]
setup = "npm ci"
egress = [
    "npm",          # packages
    "*.acme.example",
]

[host."gitlab.corp"]
kind = "gitlab"
"""
SHOP, OTHER = "github.com/acme/shop", "github.com/acme/other"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "config.toml"
    path.write_text(FILE)
    return path


def widened(file: Path, key: str, *hosts: str) -> Settings:
    wider = wider_list(load_settings(file, {}), file, key, hosts)
    assert wider is not None
    wider.write()
    return load_settings(file, {})


def test_a_list_gets_longer_and_the_rest_stays(file: Path) -> None:
    settings = widened(file, SHOP, "Registry.Example:443")
    assert settings.repo[SHOP].egress == ("npm", "*.acme.example", "registry.example:443")
    text = file.read_text()
    assert text.startswith('# my settings\nmax_concurrent = 6   # enough\negress = ["pypi"]\n')
    assert '[repo."https://github.com/acme/shop.git"]\nsetup = "npm ci"\n' in text
    assert text.endswith('[host."gitlab.corp"]\nkind = "gitlab"\n')


def test_a_repository_without_a_list_of_its_own_gets_the_general_one_with_the_host(file: Path) -> None:
    settings = widened(file, OTHER, "registry.example")
    assert (settings.egress, settings.repo[OTHER].egress) == (("pypi",), ("pypi", "registry.example"))
    assert settings.repo[SHOP].setup == "npm ci"


def test_what_is_written_is_what_was_shown(file: Path) -> None:
    wider = wider_list(load_settings(file, {}), file, OTHER, ("registry.example",))
    assert wider is not None
    assert wider.lines == ('[repo."github.com/acme/other"]', 'egress = ["pypi", "registry.example"]')
    wider.write()
    assert "\n".join(wider.lines) in file.read_text()


@pytest.mark.parametrize(
    ("settings", "hosts"),
    [
        ({}, ("a.example",)),
        ({"egress": "record"}, ("a.example",)),
        ({"egress": "record", "repo": {SHOP: {"egress": "open"}}}, ("a.example",)),
        ({"egress": ["npm", "*.acme.example"]}, ("a.acme.example", "registry.npmjs.org:443")),
    ],
    ids=["nothing", "record", "open", "covered"],
)
def test_where_there_is_no_list_or_nothing_to_add_nothing_is_written(
    file: Path, settings: dict[str, object], hosts: tuple[str, ...]
) -> None:
    assert wider_list(Settings.model_validate(settings), file, SHOP, hosts) is None


def test_a_link_stays_one_and_the_file_keeps_its_mode(file: Path, tmp_path: Path) -> None:
    file.chmod(0o644)
    link = tmp_path / "linked.toml"
    link.symlink_to(file)
    widened(link, SHOP, "registry.example")
    assert link.is_symlink()
    assert file.stat().st_mode & 0o777 == 0o644


def test_a_file_that_was_broken_meanwhile_stays_as_it_is(file: Path) -> None:
    wider = wider_list(load_settings(file, {}), file, SHOP, ("registry.example",))
    assert wider is not None
    for broken in ("max_concurrent = \n", 'repo = "none"\n', "max_concurrent = 0\n"):
        file.write_text(broken)
        with pytest.raises(SettingsError):
            wider.write()
        assert file.read_text() == broken
    file.unlink()
    wider.write()
    assert load_settings(file, {}).repo[SHOP].egress == ("npm", "*.acme.example", "registry.example")
