"""Where settings come from: the user's file, then the environment, then flags, the later one winning."""

from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from ccterm.errors import SettingsError
from ccterm.problems import problem
from ccterm.settings.model import Settings
from ccterm.settings.toml_file import parse, read_bytes
from ccterm.state_dir import settings_path

ENVIRONMENT = {
    "CCTERM_STATE_DIR": "state_dir",
    "CCTERM_MODE": "execution_mode",
    "CCTERM_ENGINE": "engines",
    "CCTERM_DAGGER_CLI": "dagger_cli",
    "CCTERM_BASE_IMAGE": "base_image",
    "CCTERM_CLAUDE_BIN": "claude_bin",
    "CCTERM_MAX_CONCURRENT": "max_concurrent",
    "CCTERM_SKIP_PERMISSIONS": "skip_permissions",
    "ANTHROPIC_BASE_URL": "base_url",
}
"""Environment variable -> the setting that it overrides; an empty value counts as unset."""


def load_settings(path: Path | None, env: Mapping[str, str], overrides: Mapping[str, object] | None = None) -> Settings:
    """Return the settings of a file (None = the user's own, which need not exist), overridden by environment and flags.

    overrides: setting name -> value, as flags give them; None counts as not given. Raises SettingsError.
    """
    data = read_bytes(path or settings_path())
    if data is None and path:
        raise SettingsError(f"{path} does not exist", "name an existing settings file")
    # defaults are not checked: what pydantic needs for that costs start-up time
    settings = parse(path or settings_path(), data, Settings) if data else Settings.model_construct()
    given = {name: env[variable] for variable, name in ENVIRONMENT.items() if env.get(variable)}
    settings = _overridden(settings, given, {name: variable for variable, name in ENVIRONMENT.items()})
    flags = {name: value for name, value in (overrides or {}).items() if value is not None}
    return _overridden(settings, flags, {name: f"--{name.replace('_', '-')}" for name in flags})


def _overridden(settings: Settings, values: Mapping[str, object], names: Mapping[str, str]) -> Settings:
    """Return settings with some values replaced. names: what an error calls a value."""
    if not values:
        return settings
    try:
        chosen = Settings.model_validate(values)
    except ValidationError as error:
        found = problem(error, Settings)
        raise SettingsError(found.text.replace(f'"{found.at[0]}"', names.get(str(found.at[0]), str(found.at[0]))), found.fix) from error
    return settings.model_copy(update={name: getattr(chosen, name) for name in values})
