"""Decides, right before Claude starts, what of the repository's own configuration acts.

The launch line lets the user's settings count and no others. What only instructs (CLAUDE.md, skills, commands, agents) is brought in by
`instructions`. What the user trusts acts as the CLI would have it.
"""

import os
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from ccterm.box.agent.instructions import PLUGIN, Instructions
from ccterm.git.agent_files import NotDigestible, config_digest
from ccterm.git.bounded_json import read_json

if TYPE_CHECKING:
    from ccterm.box.protocol import RepositoryConfig

SETTINGS = (".claude/settings.json", ".claude/settings.local.json")
SERVERS = ".mcp.json"
EVERYTHING = "*"
_LARGEST = 256 * 1024
_MOST_NAMES = 6
_ACTING = ("hooks", "env", "apiKeyHelper", "permissions", "enabledPlugins")
"""Settings that are named first."""
_COMMAND = re.compile(r"/([A-Za-z0-9_.:-]+)(?=\s|\Z)")


class Admission(NamedTuple):
    """How the agent starts: arguments added to its launch line, a line for the user or "", and the commands that are called repo:NAME."""

    args: list[str]
    note: str = ""
    commands: frozenset[str] = frozenset()

    def renamed(self, text: str) -> str:
        """Return a message to the agent, with the command that it begins with by its new name."""
        match = _COMMAND.match(text)
        return f"/{PLUGIN}:{text[1:]}" if match and match[1] in self.commands else text


NOTHING = Admission([])
"""Of an agent that no repository configures."""


def admit(tree: str, config: "RepositoryConfig") -> Admission:
    """Look at the tree and prepare the start. Raises OSError if the copies cannot be made."""
    described = list(_described(tree))
    refused = _refused(tree, config["obeyed"])
    if not refused:
        return Admission(_obeying(tree), f"the repository's own agent settings act: {', '.join(described)}" if described else "")
    instructions = Instructions(tree)
    args = instructions.bring()
    left_out = [*described, *instructions.left_out()]
    note = f"left out of the repository's own agent settings: {', '.join(left_out)}; {refused}{config['hint']}" if left_out else ""
    return Admission(args, note, frozenset(instructions.commands))


def _obeying(tree: str) -> list[str]:
    servers = ["--mcp-config", SERVERS] if os.path.isfile(os.path.join(tree, SERVERS)) else []
    return ["--setting-sources", "user,project,local", *servers]


def _refused(tree: str, obeyed: str) -> str:
    """Return "" if the repository's settings may act, else the words before the hint."""
    if obeyed == EVERYTHING:
        return ""
    if not obeyed:
        return "to let them act: "
    try:
        return "" if config_digest(tree) == obeyed else "they are not as you trusted them; to let them act: "
    except NotDigestible as error:
        return f"they cannot be trusted, {error}; to let them act, change that and "
    except OSError as error:
        return f"they cannot be read ({error.strerror}); to let them act, change that and "


def _described(tree: str) -> Iterator[str]:
    """Yield the files whose settings would act, each with what it sets."""
    for name in SETTINGS:
        if os.path.lexists(os.path.join(tree, name)):
            yield _with_names(name, _keys(os.path.join(tree, name)))
    if os.path.lexists(os.path.join(tree, SERVERS)):
        yield _with_names(SERVERS, _keys(os.path.join(tree, SERVERS), "mcpServers"))


def _with_names(file: str, names: list[str]) -> str:
    more = f", {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return f"{file} ({', '.join(names[:_MOST_NAMES])}{more})" if names else file


def _keys(path: str, inside: str | None = None) -> list[str]:
    """Return the keys of a JSON object, or of one object in it; none if it cannot be read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        with open(descriptor, encoding="utf-8", errors="replace") as file:
            values = read_json(file.read(_LARGEST))
        values = values.get(inside) if inside else values
        names = {str(key)[:40] for key in values} - {"$schema"}
        return [*(name for name in _ACTING if name in names), *sorted(names.difference(_ACTING))]
    except (OSError, ValueError, TypeError, AttributeError):
        return []
