"""The Claude Code CLI as an agent: its launch line, what a user may add to it, and where the program is on this machine."""

import json
import os
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import JsonValue

from ccterm.agents import verdict
from ccterm.agents.base import MCP_FILE, Command, Launch
from ccterm.agents.json_values import mapping, string
from ccterm.agents.stream import StreamParser
from ccterm.agents.verdict import Outcome
from ccterm.box.protocol import Keep
from ccterm.errors import PreflightError, UsageError
from ccterm.events import Spent
from ccterm.git.bounded_json import read_json
from ccterm.models import ExecutionMode
from ccterm.processes import run_command_async
from ccterm.remotes import is_loopback

CLAUDE_VERSION = "2.1.330"
"""The version that ccterm was tested with; containers get exactly this one."""
INSTALL = f"npm install -g @anthropic-ai/claude-code@{CLAUDE_VERSION}"
"""Names the version: with Node 20, npm would silently install an old one."""
API = "https://api.anthropic.com"
BOX_PROXY = "@ccterm-box-proxy"
"""What stands for the address of the box's own proxy, which is known only in the box. Nobody's own values say so by chance."""
UNANSWERABLE = ("AskUserQuestion", "EnterPlanMode")
"""Tools that the CLI offers to the model only where somebody answers requests for permission, and that ask for more than a yes or a no."""
QUIET = {
    "DISABLE_AUTOUPDATER": "1",
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    "DISABLE_TELEMETRY": "1",
    "DISABLE_ERROR_REPORTING": "1",
    "CLAUDE_CODE_DISABLE_BACKGROUND_TASKS": "1",  # a background command would keep the process alive for 600 s after its result
    "CLAUDE_CODE_STARTUP_FAILURE_RESULTS": "1",
    "CLAUDE_CODE_ADDITIONAL_DIRECTORIES_CLAUDE_MD": "1",  # how CLAUDE.md is read although the repository's settings are not
}


class ClaudeAgent:
    """Starts `claude` headless, with the prompt and control messages over stdin.

    binary: the CLI's path or name for local runs, None = `claude`. path: where names are looked up, None = PATH.
    user_settings: the user's own settings file, whose base URL applies to runs with the user's own login.
    uid: the user that local runs run as; None = that of this process.
    """

    name = "claude"

    def __init__(
        self, binary: str | None = None, *, path: str | None = None, user_settings: Path | None = None, uid: int | None = None
    ) -> None:
        self._binary, self._path, self._user_settings = binary or "claude", path, user_settings
        self._root = (os.geteuid() if uid is None else uid) == 0

    def command(self, launch: Launch) -> Command:
        """Return the launch line. Raises PreflightError if the CLI is not on this machine, UsageError for arguments it cannot take."""
        check_args(launch.agent_args)
        local = launch.execution_mode is ExecutionMode.LOCAL
        own_home = local and launch.token is None and not launch.gateway
        base_url = launch.base_url or (self._own_base_url() if own_home else None)
        if launch.gateway:
            base_url = BOX_PROXY if base_url else None
        env = {**QUIET, **launch.variables, **({"ANTHROPIC_BASE_URL": base_url} if base_url else {})}
        env |= _direct((value for name, value in env.items() if name.endswith("_BASE_URL")), launch.no_proxy)
        if local and launch.skip_permissions and self._root:
            env["IS_SANDBOX"] = "1"  # as root the CLI refuses to skip permissions without it
        return Command(
            argv=(str(self.found()) if local else "claude", *_flags(launch, base_url or API), *_servers(launch), *launch.agent_args),
            env=env,
            secrets={**launch.secret_variables, **({launch.token_name: launch.token} if launch.token else {})},
            private_home=not own_home,
            keep=(Keep(glob=f".claude/projects/*/{launch.session_id}.jsonl", to="session"),),
            reads_repository=True,
        )

    def parser(self, before: Spent | None = None) -> StreamParser:
        """Return a fresh parser."""
        return StreamParser(before)

    def judge(self, parser: StreamParser, report: Mapping[str, JsonValue] | None) -> Outcome:
        """Return how a run ended."""
        return verdict.judge(parser, report)

    def found(self) -> Path:
        """Return the CLI's absolute path. Raises PreflightError with the command that installs it."""
        path = shutil.which(os.path.expanduser(self._binary), path=self._path)  # noqa: PTH111 - a bare name must stay one
        if path is None:
            raise PreflightError(f"the Claude CLI was not found: {self._binary}", f"{INSTALL}, or name it in CCTERM_CLAUDE_BIN")
        return Path(path).absolute()

    async def version(self) -> str:
        """Return what `claude --version` says, such as "2.1.330". Raises PreflightError if it is missing or does not answer."""
        binary = self.found()
        try:
            answer = await run_command_async([binary, "--version"], env=None, seconds=20, stderr=True)
        except (OSError, TimeoutError) as error:
            raise PreflightError(f"{binary} --version did not answer", INSTALL) from error
        match = re.search(rb"\d+\.\d+\.\d+", answer.output)
        if answer.code or match is None:
            raise PreflightError(f"{binary} is not a working Claude CLI", INSTALL)
        return match[0].decode()

    def _own_base_url(self) -> str | None:
        """Return the base URL in the user's own settings: pinning it must override a repository's, not the user's."""
        try:
            text = self._user_settings.read_text(encoding="utf-8") if self._user_settings else ""
            settings: JsonValue = read_json(text)
        except (OSError, ValueError):
            return None
        return string(mapping(mapping(settings).get("env")).get("ANTHROPIC_BASE_URL")) or None


def _direct(addresses: Iterable[str], no_proxy: str) -> Mapping[str, str]:
    """Return the variables by which no proxy sees a login on its way to this machine. no_proxy: what else is asked without one."""
    hosts = {urlsplit(address).hostname or "" for address in addresses}
    near = sorted(host for host in hosts if is_loopback(host) or (host and not {".", ":"} & set(host)))  # a box knows it by an alias
    return dict.fromkeys(("NO_PROXY", "no_proxy"), ",".join(filter(None, (no_proxy, *near)))) if near else {}


def _flags(launch: Launch, base_url: str) -> Sequence[str]:
    limits = launch.limits
    flags = ["-p", "--input-format", "stream-json", "--output-format", "stream-json", "--verbose", "--include-partial-messages"]
    flags += _permissions(launch)
    flags += ["--model", launch.model] if launch.model else []
    flags += ["--resume" if launch.resume else "--session-id", launch.session_id]
    flags += ["--max-turns", str(limits.max_turns)] if limits.max_turns else []
    flags += ["--max-budget-usd", f"{limits.budget_usd:.6f}".rstrip("0").rstrip(".")] if limits.budget_usd else []
    # in -p mode the CLI obeys a repository's settings without asking: hooks run, and its env sends the login to any server.
    # The supervisor adds another list of sources for a repository that the user trusts
    flags += ["--setting-sources", "user", "--strict-mcp-config", "--settings", json.dumps(_settings(launch, base_url))]
    return flags


def _settings(launch: Launch, base_url: str) -> Mapping[str, JsonValue]:
    pinned: dict[str, JsonValue] = {"env": {"ANTHROPIC_BASE_URL": base_url}}
    return pinned | ({"permissions": {"deny": [*UNANSWERABLE]}} if _asks(launch) else {})


def _servers(launch: Launch) -> Sequence[str]:
    """Name the user's MCP servers; the agent's working directory lies beside its HOME."""
    return ["--mcp-config", f"../home/{MCP_FILE}"] if launch.mcp else []


def _permissions(launch: Launch) -> Sequence[str]:
    if launch.execution_mode is ExecutionMode.DAGGER or launch.skip_permissions:
        return ["--dangerously-skip-permissions"]
    return ["--permission-mode", "acceptEdits", *(["--permission-prompt-tool", "stdio"] if _asks(launch) else [])]


def _asks(launch: Launch) -> bool:
    """Whether the CLI asks us for permissions; a tool of the user's own may be asked instead."""
    skips, own = launch.execution_mode is ExecutionMode.DAGGER or launch.skip_permissions, map(_option_name, launch.agent_args)
    return launch.ask and not skips and "--permission-prompt-tool" not in own


_OURS = "ccterm sets it"
_SESSION = "every run has its own session"
_ELSEWHERE = "it would move the agent out of the run"
REFUSED_ARGS = {
    "--print": _OURS,
    "--input-format": _OURS,
    "--output-format": _OURS,
    "--verbose": _OURS,
    "--settings": "ccterm sets it, to keep the login away from other servers",
    "--setting-sources": "ccterm sets it, to keep the repository's own settings from acting; see `ccterm trust`",
    "--session-id": _SESSION,
    "--resume": _SESSION,
    "--continue": _SESSION,
    "--fork-session": _SESSION,
    "--from-pr": _SESSION,
    "--no-session-persistence": "the conversation is kept with the run",
    "--model": "use --model",
    "--max-turns": "use --max-turns",
    "--max-budget-usd": "use --budget",
    "--permission-mode": "use --skip-permissions",
    "--dangerously-skip-permissions": "use --skip-permissions",
    "--allow-dangerously-skip-permissions": "use --skip-permissions",
    "--bare": "it accepts no login but an API key",
    "--background": _ELSEWHERE,
    "--bg": _ELSEWHERE,
    "--chrome": _ELSEWHERE,
    "--cloud": _ELSEWHERE,
    "--desktop": _ELSEWHERE,
    "--environment": _ELSEWHERE,
    "--ide": _ELSEWHERE,
    "--remote": _ELSEWHERE,
    "--remote-control": _ELSEWHERE,
    "--teleport": _ELSEWHERE,
    "--tmux": _ELSEWHERE,
    "--worktree": _ELSEWHERE,
    "--help": "the agent would exit at once",
    "--version": "the agent would exit at once",
}
_SHORT_ARGS = {"p": "--print", "c": "--continue", "r": "--resume", "w": "--worktree", "h": "--help", "v": "--version"}


def check_args(args: Sequence[str]) -> None:
    """Raise UsageError for the first argument that would break the run."""
    if args and not args[0].startswith("-"):
        raise UsageError(f"--agent-arg {args[0]!r} is not an option", "the prompt is the task itself; options begin with a dash")
    for arg in args:
        if arg == "--":
            raise UsageError("--agent-arg '--' cannot be used", "the prompt is the task itself")
        name = _option_name(arg)
        if name in REFUSED_ARGS:
            raise UsageError(f"--agent-arg {arg!r} cannot be used", REFUSED_ARGS[name])


def _option_name(arg: str) -> str:
    """Return the option that an argument is or begins with; a value or more options may follow a short one directly."""
    if arg.startswith("--"):
        return arg.partition("=")[0]
    return _SHORT_ARGS.get(arg[1:2], "") if arg.startswith("-") else ""
