"""`ccterm config`: where the settings are, what they come to, and what is wrong with them."""

from collections.abc import Iterator
from datetime import timedelta
from json import dumps
from pathlib import Path

from pydantic import BaseModel

from ccterm.causes import ExitCode
from ccterm.cli.console import print_data, print_json, print_note, state_dir
from ccterm.cli.main import environment
from ccterm.draft import starting_directory
from ccterm.errors import SettingsError
from ccterm.settings import Settings, load_settings
from ccterm.settings.load import ENVIRONMENT, check
from ccterm.settings.project import check_project
from ccterm.settings.units import duration_text
from ccterm.state_dir import settings_path


def print_paths(*, as_json: bool) -> ExitCode:
    """Print the path of the settings file, which need not exist, and of the state directory."""
    paths = {"settings": str(settings_path()), "state": str(state_dir().path)}
    if as_json:
        print_json(paths)
    for name, path in paths.items() if not as_json else ():
        print_data(f"{name:<10}{path}")
    return ExitCode.OK


def show_settings(*, as_json: bool) -> ExitCode:
    """Print the settings as they count now, from file and environment. They name where secrets are and never hold one."""
    environ = environment()
    settings = load_settings(None, environ)
    if as_json:
        print_json(settings.model_dump(mode="json", by_alias=True))
        return ExitCode.OK
    defaults, by_variable = dict(_flat(Settings())), {name: variable for variable, name in ENVIRONMENT.items() if environ.get(variable)}
    for name, value in _flat(settings):
        origin = by_variable.get(name, "" if value == defaults.get(name) else "settings file")
        print_data(f"{name} = {_shown(value)}" + (f"  # {origin}" if origin else ""))
    return ExitCode.OK


def _flat(values: BaseModel, before: str = "", *, given: bool = False) -> Iterator[tuple[str, object]]:
    """Yield each setting that has a value, with the names of its tables before its own. given: only those that the file has."""
    for field, value in values:
        name = before + (type(values).model_fields[field].alias or field)
        if given and field not in values.model_fields_set:
            continue
        if isinstance(value, BaseModel):
            yield from _flat(value, f"{name}.")
        elif isinstance(value, dict):
            for key, each in value.items():
                yield from _flat(each, f"{name}.{dumps(key)}.", given=True) if isinstance(each, BaseModel) else [(f"{name}.{key}", each)]
        elif value is not None and value != ():
            yield name, value


def _shown(value: object) -> str:
    """Return a value as a settings file has it."""
    match value:
        case timedelta():
            return f'"{duration_text(value)}"'
        case tuple():
            return f"[{', '.join(map(_shown, value))}]"
        case BaseModel():
            return "{" + ", ".join(f"{name} = {_shown(each)}" for name, each in _flat(value)) + "}"
        case Path():
            return _shown(str(value))
        case _:
            return dumps(value, ensure_ascii=False)


def check_settings(*, as_json: bool) -> ExitCode:
    """Print everything that is wrong with the settings, those of the working copy here, and ccterm's variables; exit 2 when anything is."""
    found = list(_faults())
    if as_json:
        print_json([str(error) for error in found])
    for error in found if not as_json else ():
        print_data(f"✗ {error.message}" + (f"\n  {error.fix}" if error.fix else ""))
    if not found:
        print_note(
            f"nothing is wrong with {settings_path()}" if settings_path().exists() else f"there is no {settings_path()}: all defaults"
        )
    return ExitCode.USAGE if found else ExitCode.OK


def _faults() -> Iterator[SettingsError]:
    environ = environment()
    settings, found = check(environ)
    yield from found
    if settings.keys:
        from ccterm.tui.own_keys import keymap_and_faults  # deferred: it brings Textual

        yield from keymap_and_faults(settings.keys)[1]
    if settings.tui.theme:
        from ccterm.tui.themes import theme_names  # deferred: it brings Textual

        if settings.tui.theme not in theme_names():
            yield SettingsError(f"theme in [tui]: there is no theme {settings.tui.theme!r}", f"the themes are {', '.join(theme_names())}")
    root = next((each for each in (starting_directory(), *starting_directory().parents) if (each / ".git").exists()), None)
    if root is not None:
        yield from check_project(root)
