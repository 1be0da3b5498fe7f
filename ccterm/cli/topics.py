"""`ccterm help TOPIC`: the pages of docs/, and what to do about common problems."""

import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from ccterm.causes import ExitCode
from ccterm.cli.console import print_data, print_json

TOPICS: Mapping[str, str] = MappingProxyType(
    {
        "terminal": "keys, settings, what happens when it closes",
        "runs": "from a task to its delivered work: branches, working copies, batches, steering, what is kept",
        "commands": "every command, its flags, the exit codes",
        "settings": "the settings file, and what a working copy may bring",
        "credentials": "which Claude login, git token and secret of yours a run uses",
        "egress": "which hosts an agent may reach, and how to find out which it needs",
        "security": "what a hostile agent can and cannot do, and the attacks that ccterm is tested against",
        "python": "the Python API",
        "http": "the HTTP API: routes, the token, events",
        "mcp": "tools by which other agents delegate work",
        "troubleshooting": "what to do about common problems",
    }
)
"""Topic -> what its page is about."""
_PLACES = (Path(__file__).parents[1] / "docs", Path(__file__).parents[2] / "docs")
"""Where the pages are: beside an installed ccterm, or in a checkout."""
_COMMENT = "<!--"


class Trouble(NamedTuple):
    """One row of the troubleshooting table: what a user sees, what it means, and what to do."""

    symptom: str
    meaning: str
    fix: str


TROUBLESHOOTING = (
    Trouble(
        "Docker not running",
        "A container needs a Dagger engine, and Docker (or podman) starts it.",
        "Start Docker: `sudo systemctl start docker`, or Docker Desktop; `docker info` must answer. An engine that runs elsewhere is named in "
        "`CCTERM_ENGINE`; `--mode local` needs neither.",
    ),
    Trouble(
        "Dagger SDK not found",
        "ccterm was installed without its dependencies, or its environment is damaged.",
        "Install it again: `pipx reinstall ccterm`, `uv tool upgrade --reinstall ccterm`; in a checkout remove `.venv` and start `./scripts/ccterm`.",
    ),
    Trouble(
        "No credentials found",
        "There is no Claude login that a container can use.",
        "`ccterm auth setup` stores a token for a year. Or run `claude` and type `/login`, then `ccterm auth export` (some 8 hours). "
        "`ccterm auth status` shows every source.",
    ),
    Trouble(
        "Authentication failed in a container (cause `auth`)",
        "The login expired or was revoked while the run used it; a login's own token lasts some 8 hours. The work is kept.",
        "Run `claude` once, which renews the login, and export again: `ccterm auth export`, or `e` in the terminal. `ccterm auth setup` lasts a year. "
        "Runs that wait go on by themselves; `ccterm retry --refused`, or `L`, starts those again that ended.",
    ),
    Trouble(
        "Push failed",
        "The remote refused the push: no token, one that may not write, or a rule of the host. The commit is kept; a credential that may not write "
        "is found out before an agent starts.",
        '`gh auth status` and `gh auth token` show what GitHub\'s own tool has; `gh auth login` renews it. Other hosts: `token` in `[host."…"]` of the '
        "settings. `ccterm check --repo REPO --branch NAME` asks the remote. Then `ccterm push RUN`.",
    ),
    Trouble(
        "The disk is full (cause `disk`)",
        "The disk of the state directory, of the working copy, or of the engine has no room left. Work that was begun is kept where it is; `ccterm show RUN` says where.",
        "Free some space, also with `ccterm clean --all`, then `ccterm retry RUN`, or `ccterm push RUN` for work that is kept.",
    ),
    Trouble(
        "Local repo modified unexpectedly",
        "The run had no branch: in testing mode changes come back into the working copy once you approve them, or at once with `--yes`.",
        "`ccterm undo RUN` puts back what they replaced. With `--branch NAME` the work is pushed instead and the working copy is not touched.",
    ),
    Trouble(
        "The keyring does not answer, or is locked",
        "A program waits for its password, or this session (ssh, cron) has none.",
        "Unlock it, or keep the token in a private file: `ccterm auth setup --file`. `CLAUDE_CODE_OAUTH_TOKEN` needs no keyring.",
    ),
)


def page(topic: str) -> str:
    """Return a topic's page as Markdown."""
    place = next(place for place in _PLACES if place.is_dir())
    lines = (place / f"{topic}.md").read_text("utf-8").splitlines(keepends=True)
    return "".join(line for line in lines if not line.startswith(_COMMENT))


def print_topic(topic: str, *, as_json: bool) -> ExitCode:
    """Print a topic's page, laid out for a terminal when it goes to one; as JSON its Markdown, or the rows of the troubleshooting table."""
    if as_json:
        print_json(
            [trouble._asdict() for trouble in TROUBLESHOOTING] if topic == "troubleshooting" else {"topic": topic, "markdown": page(topic)}
        )
    elif sys.stdout.isatty():
        _lay_out(page(topic))
    else:
        print_data(page(topic).rstrip("\n"))
    return ExitCode.OK


def print_topics(*, as_json: bool) -> ExitCode:
    """List the topics."""
    if as_json:
        print_json(dict(TOPICS))
        return ExitCode.OK
    print_data("ccterm help COMMAND explains a command, ccterm --help lists them. Topics:\n")
    for name, about in TOPICS.items():
        print_data(f"  ccterm help {name:<16} {about}")
    return ExitCode.OK


def _lay_out(markdown: str) -> None:
    from rich.console import Console  # deferred: costs start-up time
    from rich.markdown import Markdown

    console = Console()
    console.print(Markdown(markdown, hyperlinks=False), width=min(console.width, 120))
