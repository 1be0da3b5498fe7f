"""Fills the parts of docs/*.md that come from the code, between `<!-- from the code: NAME -->` and `<!-- end -->`."""

import re
import sys
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path

import typer.main
from pydantic import BaseModel
from pydantic_core import PydanticUndefined
from typer.core import TyperCommand, TyperGroup

from ccterm.api.field_docs import meanings
from ccterm.api.mcp.tools import TOOLS
from ccterm.causes import ExitCode
from ccterm.cli.commands import app
from ccterm.cli.topics import TROUBLESHOOTING
from ccterm.settings import SETUP_INPUTS, ProjectSettings, model
from ccterm.settings.egress import ALWAYS, PRESETS
from ccterm.settings.load import ENVIRONMENT
from ccterm.settings.units import duration_text
from scripts import docs_http, docs_python
from scripts.docs_tables import table

DOCS = Path(__file__).parents[1] / "docs"
_PART = re.compile(r"(<!-- from the code: ([a-z_ ]+) -->\n).*?(<!-- end -->)", re.DOTALL)
_TABLES = (model.RepoSettings, model.HostSettings, model.SecretSettings, model.ServiceSettings, model.EngineSettings)
_SUBTABLES = (model.LimitSettings, model.PolicySettings, model.TuiSettings)


def default(value: object) -> str:
    """Return the default of a setting as a settings file would have it; "" where there is none to speak of."""
    match value:
        case bool():
            return f"`{str(value).lower()}`"
        case None | "" | () | {} if not isinstance(value, str) or not value:
            return ""
        case timedelta():
            return f'`"{duration_text(value)}"`'
        case tuple() if value == SETUP_INPUTS:
            return "lock files and manifests"
        case tuple():
            return f"`[{', '.join(f'{chr(34)}{each}{chr(34)}' for each in value)}]`"
        case str():
            return f'`"{value}"`'
        case _:
            return f"`{value}`"


def setting_rows(settings: type[BaseModel], left_out: tuple[str, ...] = ()) -> Iterator[tuple[str, str, str]]:
    """Return key, default and meaning of each setting."""
    told = meanings(settings)
    for name, field in settings.model_fields.items():
        if name not in left_out and not (isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)):
            begins_with = "" if field.default is PydanticUndefined else default(field.default)
            yield f"`{field.alias or name}`", begins_with, told[name].replace("None = ", "not set: ")


def settings_part() -> str:
    """Return all settings, table by table."""
    inner = ("repo", "host", "secrets", "services", "engines")
    parts = [table(("key", "default", "meaning"), setting_rows(model.Settings, inner))]
    for each in (*_SUBTABLES, *_TABLES):
        name, _, sentence = (each.__doc__ or "").partition(": ")
        parts.append(f"### `{name}`\n\n{sentence[:1].upper()}{sentence[1:]}\n\n{table(('key', 'default', 'meaning'), setting_rows(each))}")
    return "\n".join(parts)


def project_part() -> str:
    """Return the keys of a .ccterm.toml."""
    return table(("key", "default", "meaning"), setting_rows(ProjectSettings))


def environment_part() -> str:
    """Return the variables that override settings."""
    return table(("variable", "setting"), ((f"`{name}`", f"`{setting}`") for name, setting in ENVIRONMENT.items()))


def presets_part() -> str:
    """Return the presets of egress lists."""
    always = {ALWAYS: " (part of every list)"}
    rows = ((f"`{name}`{always.get(name, '')}", ", ".join(f"`{host}`" for host in hosts)) for name, hosts in PRESETS.items())
    return table(("preset", "hosts"), rows)


def exit_codes_part() -> str:
    """Return the exit codes."""
    return table(("code", "meaning"), ((str(code.value), code.meaning) for code in ExitCode))


def troubleshooting_part() -> str:
    """Return the troubleshooting table."""
    return table(("what you see", "what it means", "what to do"), iter(TROUBLESHOOTING))


def commands_part() -> str:
    """Return every command with its arguments and flags."""
    return "\n".join(_commands(typer.main.get_group(app), "ccterm"))


def _commands(group: TyperGroup, path: str) -> Iterator[str]:
    for name, command in group.commands.items():
        if isinstance(command, TyperGroup):
            yield from _commands(command, f"{path} {name}")
        elif isinstance(command, TyperCommand) and not command.hidden:
            yield _command(command, f"{path} {name}")


def _command(command: TyperCommand, path: str) -> str:
    context = command.make_context(path, [], resilient_parsing=True)
    usage = re.sub(r"\[OPTIONS\] ?|[{}]", "", command.get_usage(context).removeprefix("Usage: "))
    rows = [found for param in command.params if param.param_type_name == "option" and (found := param.get_help_record(context))]
    told = f"### {' '.join(usage.split())}\n\n{command.help}\n"
    return f"{told}\n{table(('flag', 'meaning'), ((f'`{flags}`', text) for flags, text in rows))}" if rows else told


def mcp_tools_part() -> str:
    """Return the tools of the MCP server with their arguments."""
    rows = (
        (f"`{tool.name}`", ", ".join(f"`{name}`" for name in tool.arguments()["properties"]), " ".join((tool.__doc__ or "").split()))
        for tool in TOOLS
    )
    return table(("tool", "arguments", "what it does"), rows)


PARTS: Mapping[str, Callable[[], str]] = {
    "settings": settings_part,
    "project settings": project_part,
    "environment": environment_part,
    "egress presets": presets_part,
    "exit codes": exit_codes_part,
    "troubleshooting": troubleshooting_part,
    "commands": commands_part,
    "mcp tools": mcp_tools_part,
    **docs_http.PARTS,
    **docs_python.PARTS,
}


def renewed(text: str) -> str:
    """Return a page with its parts from the code made anew."""
    return _PART.sub(lambda found: f"{found[1]}\n{PARTS[found[2]]()}\n{found[3]}", text)


def main() -> int:
    """Renew the pages, or with --check name those that are not current."""
    stale = [(page, text) for page in sorted(DOCS.glob("*.md")) if (text := renewed(page.read_text("utf-8"))) != page.read_text("utf-8")]
    for page, text in stale:
        if "--check" in sys.argv:
            print(f"docs/{page.name} is not current: ./scripts/docs makes it anew")
        else:
            page.write_text(text, "utf-8")
    return 1 if stale and "--check" in sys.argv else 0


if __name__ == "__main__":
    sys.exit(main())
