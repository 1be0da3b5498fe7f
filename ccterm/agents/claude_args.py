"""Which arguments a user may add to the Claude CLI's launch line: those that leave ccterm's own say untouched."""

from collections.abc import Sequence

from ccterm.errors import UsageError

_OURS = "ccterm sets it itself"
_SESSION = "every run has a session of its own"
_ELSEWHERE = "it would take the agent out of the run"
REFUSED = {
    "--print": _OURS,
    "--input-format": _OURS,
    "--output-format": _OURS,
    "--verbose": _OURS,
    "--settings": "it holds the guard that keeps the login from other servers",
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
    "--bare": "it knows no login but an API key",
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
    "--help": "it ends the agent at once",
    "--version": "it ends the agent at once",
}
SHORT = {"p": "--print", "c": "--continue", "r": "--resume", "w": "--worktree", "h": "--help", "v": "--version"}


def check_args(args: Sequence[str]) -> None:
    """Raise UsageError for the first argument that would break the run."""
    if args and not args[0].startswith("-"):
        raise UsageError(f"--agent-arg {args[0]!r} is no option", "the prompt is ccterm's to give; options begin with a dash")
    for arg in args:
        if arg == "--":
            raise UsageError("--agent-arg '--' cannot be used", "the prompt is ccterm's to give")
        name = _name(arg)
        if name in REFUSED:
            raise UsageError(f"--agent-arg {arg!r} cannot be used", REFUSED[name])


def _name(arg: str) -> str:
    """Return the option that an argument is or begins with; short ones may carry their value or others behind them."""
    if arg.startswith("--"):
        return arg.partition("=")[0]
    return SHORT.get(arg[1:2], "") if arg.startswith("-") else ""
