"""Where settings come from: the user's file, then the environment, then flags, the later one winning."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path

from pydantic import ValidationError

from ccterm.box import PARENT_WATCH
from ccterm.errors import SettingsError
from ccterm.git.types import GIT_HEADER, MARK
from ccterm.problems import Problem, all_problems, problem, quoted
from ccterm.settings.model import Settings
from ccterm.settings.toml_file import parse, parse_all, read_bytes
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
_PREFIX = "CCTERM_"
_TO_CHILDREN = frozenset({MARK, GIT_HEADER, PARENT_WATCH, "CCTERM_STEP"})
"""Variables with that prefix that ccterm itself sets for the programs of a run: an agent that uses ccterm has them."""
_VARIABLES = {name: variable for variable, name in ENVIRONMENT.items()}


def load_settings(path: Path | None, env: Mapping[str, str], overrides: Mapping[str, object] | None = None) -> Settings:
    """Return the settings of a file (None = the user's own, which need not exist), overridden by environment and flags.

    overrides: setting name -> value, as flags give them; None counts as not given. Raises SettingsError.
    """
    data = read_bytes(path or settings_path())
    if data is None and path:
        raise SettingsError(f"{path} does not exist", "name an existing settings file")
    # defaults are not checked: what pydantic needs for that costs start-up time
    settings = parse(path or settings_path(), data, Settings) if data else Settings.model_construct()
    settings = _overridden(settings, _given(env), _VARIABLES)
    flags = {name: value for name, value in (overrides or {}).items() if value is not None}
    return _overridden(settings, flags, {name: f"--{name.replace('_', '-')}" for name in flags})


def check(env: Mapping[str, str]) -> tuple[Settings, Sequence[SettingsError]]:
    """Return what is sound in the user's file and environment, and everything that is wrong with the rest."""
    path = settings_path()
    try:
        data = read_bytes(path)
    except SettingsError as error:
        settings, found = Settings(), [error]
    else:
        settings, in_file = parse_all(path, data or b"", Settings)
        found = list(in_file)
    given = _given(env)
    chosen, problems = all_problems(given, Settings)
    found += [_wrong_value(each, _VARIABLES) for each in problems]
    sound = {name: getattr(chosen, name) for name in given if name in chosen.model_fields_set}
    settings = settings.model_copy(update=sound)
    return settings, [*found, *unknown_variables(env, settings)]


def unknown_variables(env: Mapping[str, str], settings: Settings | None = None) -> Sequence[SettingsError]:
    """Return one error for each variable that is named as ccterm's are and that is none of them: it has no effect.

    settings: the variables that they name as sources of secrets have one. None = the user's own, which are read only if there is such a variable.
    """
    unknown = [name for name in sorted(env) if name.startswith(_PREFIX) and name not in ENVIRONMENT and name not in _TO_CHILDREN]
    if unknown and settings is None:
        with suppress(SettingsError):  # whoever needs them says so
            settings = load_settings(None, env)
    named = source_variables(settings) if settings else ()
    return [_unknown(name) for name in unknown if name not in named]


def source_variables(settings: Settings) -> frozenset[str]:
    """Return the environment variables that the settings name as sources of secrets: no step inherits them, whatever they are called."""
    sources = [secret.source for secret in settings.secrets.values()] + [host.token for host in settings.host.values() if host.token]
    return frozenset(source.removeprefix("env:") for source in sources if source.startswith("env:"))


def _unknown(variable: str) -> SettingsError:
    name = variable.removeprefix(_PREFIX).lower()
    if name in Settings.model_fields:
        known = _VARIABLES.get(name)
        fix = f"did you mean {known}?" if known else f"write {name} into {settings_path()}: no variable sets it"
    else:
        close = get_close_matches(variable, ENVIRONMENT, 1)
        fix = f"did you mean {close[0]}?" if close else "unset it; ccterm help settings lists them all"
    return SettingsError(f"{quoted(variable)[1:-1]} is none of ccterm's variables and has no effect", fix)


def _given(env: Mapping[str, str]) -> dict[str, str]:
    return {name: env[variable] for variable, name in ENVIRONMENT.items() if env.get(variable)}


def _wrong_value(found: Problem, names: Mapping[str, str]) -> SettingsError:
    name = str(found.at[0])
    return SettingsError(found.text.replace(f'"{name}"', names.get(name, name)), found.fix)


def _overridden(settings: Settings, values: Mapping[str, object], names: Mapping[str, str]) -> Settings:
    """Return settings with some values replaced. names: what an error calls a value."""
    if not values:
        return settings
    try:
        chosen = Settings.model_validate(values)
    except ValidationError as error:
        raise _wrong_value(problem(error, Settings), names) from error
    return settings.model_copy(update={name: getattr(chosen, name) for name in values})
