"""The fields of a task as every frontend shows them: names, flags, help, labels and defaults. Which values are valid, `Draft` says.

Imports nothing of ours: the flags of `ccterm run --help` are made from it.
"""

from typing import Literal, NamedTuple

Kind = Literal["text", "texts", "number", "count", "switch"]


class TaskField(NamedTuple):
    """One field of a task."""

    help: str
    """What it means, as a sentence without its full stop."""
    default: str = ""
    """What applies when it is not given, for people; "" = nothing worth mentioning."""
    flags: tuple[str, ...] = ()
    """Its spellings on the command line; empty = it has no flag."""
    kind: Kind = "text"
    metavar: str = ""
    """Stands for the value in help; "" = typer's own."""
    choices: tuple[str, ...] = ()
    label: str = ""
    """Its name in the launch form; "" = it is not in the form."""
    placeholder: str = ""
    """What the form shows while it is empty, unless a setting says more."""
    also: tuple[str, ...] = ()
    """Other names that batch files and the Python API accept."""

    @property
    def sentence(self) -> str:
        """The help text, with the default."""
        return f"{self.help}.{f' [default: {self.default}]' if self.default else ''}"

    @property
    def for_programs(self) -> str:
        """The help text where fields are no flags: in Python, over HTTP and MCP."""
        return self.sentence.replace("; repeatable", "; several as a list").replace("--branch", "branch")


FIELDS = {
    "task": TaskField("What the agent should do", also=("prompt",)),
    "repo": TaskField(
        "URL, or path of a working copy (its origin is used)",
        default="the current directory",
        flags=("--repo",),
        metavar="URL|DIR",
        label="Repository",
        placeholder="a working copy or a URL",
    ),
    "branch": TaskField(
        "Branch to push to; continued when it exists; agent/... is named after the task, and is always a new one",
        default="none, the work comes back into the working copy",
        flags=("--branch",),
        metavar="NAME",
        label="Branch",
        placeholder="named after the task",
    ),
    "base": TaskField(
        "Branch, tag or sha that a new branch starts from",
        default="the remote's default branch",
        flags=("--base",),
        metavar="REF",
        label="From",
        placeholder="the default branch",
    ),
    "execution_mode": TaskField(
        "Where it runs",
        default="dagger",
        flags=("--mode",),
        choices=("local", "dagger"),
        label="Where",
        also=("mode",),
    ),
    "agent": TaskField("Agent: claude or scripted", default="claude", flags=("--agent",), metavar="NAME", label="Agent"),
    "model": TaskField("Model for the agent", flags=("--model",), metavar="MODEL", label="Model"),
    "agent_args": TaskField("One more argument for the agent's program; repeatable", flags=("--agent-arg",), metavar="ARG", kind="texts"),
    "message": TaskField("Subject of the commit", flags=("--message",), metavar="TEXT"),
    "timeout": TaskField(
        "Time limit, such as 90s, 45m, 2h", default="60m", flags=("--timeout",), metavar="TIME", label="Timeout", placeholder="60m"
    ),
    "silence": TaskField("Longest time without output from the agent, such as 90s, 15m", default="15m"),
    "budget": TaskField(
        "Limit in dollars at list prices", flags=("--budget",), metavar="DOLLARS", kind="number", label="Dollars", placeholder="no limit"
    ),
    "max_turns": TaskField(
        "Limit of the agent's turns", flags=("--max-turns",), metavar="N", kind="count", label="Turns", placeholder="no limit"
    ),
    "max_tokens": TaskField(
        "Limit of the agent's tokens (read, written, from the cache), which needs the login to be with the gateway",
        flags=("--max-tokens",),
        metavar="N",
        kind="count",
        label="Tokens",
        placeholder="no limit",
    ),
    "setup": TaskField(
        "Command that prepares the tree before the agent",
        flags=("--setup",),
        metavar="COMMAND",
        label="Setup",
        placeholder="from the settings; e.g. npm ci",
    ),
    "verify": TaskField(
        "Command that must succeed on the new commit before it is pushed",
        flags=("--verify",),
        metavar="COMMAND",
        label="Verify",
        placeholder="from the settings; e.g. npm test",
    ),
    "hold": TaskField("Wait for input (ccterm steer) after each turn", flags=("--hold",), kind="switch"),
    "permissions": TaskField(
        "Local mode: what comes of a command that the agent may not run by itself; ask waits for ccterm allow or ccterm deny",
        default="ask at a terminal, else deny",
        flags=("--permissions",),
        choices=("ask", "deny"),
    ),
    "skip_permissions": TaskField(
        "Local mode: let the agent do everything that you may do",
        flags=("--skip-permissions",),
        kind="switch",
        label="Allow all",
    ),
    "login": TaskField(
        "Where the Claude login is: gateway (outside of the box) or secret (in the box)",
        default="gateway in containers and with a limit of tokens or git_read, else secret",
        flags=("--login",),
        choices=("gateway", "secret"),
        label="Login",
    ),
    "egress": TaskField(
        "Which hosts it may reach: open, record (open, and every host is written down), or hosts and presets (npm, pypi, ...); repeatable",
        default="open",
        flags=("--egress",),
        metavar="HOST,...",
        kind="texts",
        label="Network",
        placeholder="from the settings; e.g. record, or npm, pypi, HOST",
    ),
    "allow_default_branch": TaskField(
        "Allow pushing to the remote's default branch", flags=("--allow-default-branch",), kind="switch", label="Default branch"
    ),
    "apply": TaskField(
        "Without --branch: bring the changes in without asking, unless a rule refuses them",
        flags=("--yes", "-y"),
        kind="switch",
        also=("yes",),
    ),
    "allow_deletions": TaskField(
        "Let up to N files be deleted or gutted", default="20", flags=("--allow-deletions",), kind="count", metavar="N"
    ),
    "allow_lines": TaskField(
        "Let up to N lines be removed", default="500, or a quarter", flags=("--allow-lines",), kind="count", metavar="N"
    ),
    "allow_files": TaskField("Let up to N files be changed", default="1000", flags=("--allow-files",), kind="count", metavar="N"),
    "allow_path": TaskField(
        "Let this protected path be changed, or this login be seen; repeatable", flags=("--allow-path",), kind="texts", metavar="GLOB"
    ),
}
"""Name of the field in `Draft` and in batch files -> its description, in reading order."""
FIELD_OF = {key: name for name, field in FIELDS.items() for key in (name, *field.also)}
"""Every name that a field goes by -> the field's own."""
