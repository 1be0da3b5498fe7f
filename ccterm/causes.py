"""Why a run failed: one sentence, one next action and one exit code for each cause, the same in every frontend."""

from enum import IntEnum, StrEnum
from typing import NamedTuple


class Cause(StrEnum):
    """What ended a failed run."""

    AGENT = "agent"
    AUTH = "auth"
    USAGE_LIMIT = "usage_limit"
    RATE_LIMITED = "rate_limited"
    BUDGET = "budget"
    TIMEOUT = "timeout"
    STALLED = "stalled"
    CHECKOUT = "checkout"
    SETUP = "setup"
    COMMIT = "commit"
    POLICY = "policy"
    VERIFY = "verify"
    PUSH = "push"
    CONFLICT = "conflict"
    ENGINE = "engine"
    DISK = "disk"
    LOST = "lost"
    INTERNAL = "internal"


class ExitCode(IntEnum):
    """What `ccterm` returns to the shell."""

    OK = 0
    FAILED = 1
    USAGE = 2
    PREFLIGHT = 3
    POLICY = 4
    PUSH = 5
    QUOTA = 6
    DENIED = 7
    CANCELLED = 130

    @property
    def meaning(self) -> str:
        """What it says, for people."""
        return _MEANINGS[self]


_MEANINGS = {
    ExitCode.OK: "all succeeded",
    ExitCode.FAILED: "a run failed for a reason other than those below",
    ExitCode.USAGE: "the request is wrong",
    ExitCode.PREFLIGHT: "something that a run needs is missing (`ccterm check`), such as access to the repository or the right to push to it",
    ExitCode.POLICY: "a rule forbids the delivery; the work is kept",
    ExitCode.PUSH: "the push failed, or files changed underneath; the work is kept",
    ExitCode.QUOTA: "login, usage limit, rate limit or budget",
    ExitCode.DENIED: "all succeeded, but an agent was not allowed to do all that it wanted (`ccterm show` names it)",
    ExitCode.CANCELLED: "cancelled by you",
}


class Advice(NamedTuple):
    """How a cause reads: a sentence for people and the next action; {run} is the run's id, {deliver} push or apply.

    bare: the next action where no work is kept that could be delivered; "" = the same.
    """

    sentence: str
    action: str
    bare: str = ""


ADVICE = {
    Cause.AGENT: Advice("The agent ended with an error", "ccterm logs {run}, then ccterm retry {run}"),
    Cause.AUTH: Advice(
        "Claude refused the login",
        "ccterm auth status says which login it was; ccterm auth setup, or claude and /login, then ccterm retry --refused",
    ),
    Cause.USAGE_LIMIT: Advice("The usage limit of the subscription is reached", "wait for the reset, then ccterm retry {run}"),
    Cause.RATE_LIMITED: Advice(
        "The Claude service is overloaded and turned the agent away", "lower --max-concurrent or wait, then ccterm retry {run}"
    ),
    Cause.BUDGET: Advice(
        "The run reached its budget, turn limit, token limit or credit",
        "raise --budget, --max-turns or --max-tokens, then ccterm retry {run}",
    ),
    Cause.TIMEOUT: Advice(
        "The run reached its time limit and was stopped",
        "raise --timeout, or ccterm {deliver} {run} to deliver what it has done",
        "raise --timeout, then ccterm retry {run}",
    ),
    Cause.STALLED: Advice(
        "The agent was silent for too long and was stopped",
        "ccterm logs {run}, or ccterm {deliver} {run} to deliver what it has done",
        "ccterm logs {run}, then ccterm retry {run}",
    ),
    Cause.CHECKOUT: Advice(
        "The repository could not be fetched", "check the repository, the branch and your access, then ccterm retry {run}"
    ),
    Cause.SETUP: Advice("The setup command failed", "fix the setup command, then ccterm retry {run}"),
    Cause.COMMIT: Advice("The work could not be committed", "ccterm show {run} names the directory that was kept"),
    Cause.POLICY: Advice(
        "The work was not pushed because a rule forbids it",
        "ccterm diff {run}, then ccterm {deliver} {run} with the flag that the verdict names",
    ),
    Cause.VERIFY: Advice(
        "The verify command failed on the new commit",
        "ccterm logs {run}, or ccterm {deliver} {run} to deliver it anyway",
        "ccterm logs {run}, then ccterm retry {run}",
    ),
    Cause.PUSH: Advice("The push failed", "ccterm push {run} tries again; the work is kept"),
    Cause.CONFLICT: Advice(
        "Files changed while the run was working",
        "ccterm diff {run}; ccterm apply {run} once the files are as they were, or apply the kept patch by hand",
    ),
    Cause.ENGINE: Advice("The engine that the run was on went away", "ccterm check, then ccterm retry {run}"),
    Cause.DISK: Advice("The disk could not be written", "free some space, then ccterm retry {run}; ccterm show {run} says what is kept"),
    Cause.LOST: Advice(
        "The ccterm process that carried this run out died before the run ended",
        "ccterm {deliver} {run} delivers what was kept, ccterm retry {run} starts again",
        "ccterm retry {run} starts again",
    ),
    Cause.INTERNAL: Advice("ccterm itself failed; this is a bug", "ccterm show {run}, and please report it"),
}

PUSH_REASONS = {
    "refused": Advice("The remote refused the push", "read the remote's answer above; ccterm push {run} tries again"),
    "exists": Advice(
        "Somebody else created the branch in the meantime", "ccterm retry {run} continues from its tip, or choose another branch"
    ),
    "non_fast_forward": Advice("The branch moved in the meantime", "ccterm retry {run} starts from the new tip"),
    "auth": Advice(
        "The remote refused the credentials for pushing",
        "gh auth status; provide a token with write access (GH_TOKEN, or [host] in the settings), then ccterm push {run}",
    ),
    "network": Advice("The remote could not be reached for the push", "ccterm push {run} once it is back; the work is kept"),
    "hook": Advice("A hook of the remote declined the push", "read the hook's output above; ccterm push {run} tries again"),
    "size": Advice("The remote refused the push as too large", "ccterm diff {run}; remove the large file and retry"),
}

AGENT_REASONS = {
    "api": Advice("The Claude API could not be reached", "ccterm check, then ccterm retry {run}"),
    "gateway": Advice(
        "The gateway that keeps the Claude login outside of the box could not be used",
        'ccterm retry {run}; login = "secret" in the settings does without it',
    ),
    "alive": Advice(
        "Processes of the agent live on and cannot be killed", "end them, look at ccterm diff {run}, then ccterm {deliver} {run}"
    ),
    "changed": Advice(
        "Files of ccterm beside the agent's box were changed while it worked", "ccterm show {run} says where its work is kept"
    ),
}

CHECKOUT_REASONS = {
    "no_push": Advice(
        "The remote would refuse the push, so no agent was started",
        "gh auth status; provide a token with write access (GH_TOKEN, or [host] in the settings), then ccterm retry {run}",
    ),
    "logins": Advice("The working copy holds logins that git does not ignore", "do what it says, then ccterm retry {run}"),
    "no_base": Advice(
        "What the branch is to start from is not on the remote", "start the task again with --base, which names what there is"
    ),
    "earlier": Advice(
        "What the earlier run kept is no longer there",
        "ccterm continue {run} TEXT --fresh begins a new conversation, which is told what came before",
    ),
    "snapshot": Advice("The snapshot of the working copy could not be taken", "fix what it names, then ccterm retry {run}"),
}

TIMEOUT_REASONS = {
    "login": Advice(
        "The run was stopped because its Claude login was about to end",
        "run claude once, or ccterm auth setup for a login that lasts a year, then ccterm retry {run}",
    ),
}

CONFLICT_REASONS = {
    "merge": Advice(
        "The earlier work and newer commits on the branch changed the same, so no agent was started",
        "ccterm continue {run} TEXT --branch NEW goes on from where the earlier run began",
    ),
    "base": Advice(
        "The branch no longer holds the commit that the earlier work was made on, so no agent was started",
        "ccterm continue {run} TEXT --branch NEW goes on from where the earlier run began",
    ),
    "earlier": Advice(
        "Files that the earlier work changes have changed since, so no agent was started",
        "put them back as they were, then ccterm retry {run}; or ccterm clean the earlier run, and start a new one",
    ),
    "io": Advice("The working copy could not be written", "fix what it names, then ccterm apply {run}"),
    "linked": Advice(
        "A changed file is by a hard link also one that git or other tools obey",
        "give the file content of its own (cp -p FILE FILE.new; mv FILE.new FILE), then ccterm apply {run}",
    ),
}


ENGINE_REASONS = {
    "service": Advice("A service beside the step could not start", "fix [services] in the settings, then ccterm retry {run}"),
    "image": Advice("The image for boxes cannot be used", "ccterm check, then ccterm retry {run}"),
    "box": Advice("This machine could not run the step", "ccterm check, then ccterm retry {run}"),
    "descriptors": Advice("There are too few file descriptors", "raise the limit with ulimit -n, then ccterm retry {run}"),
}

DISK_REASONS = {
    "full": Advice("The disk is full", "free some space, then ccterm retry {run}; ccterm show {run} says what is kept"),
    "io": Advice("The disk reports errors", "check it, then ccterm retry {run}; ccterm show {run} says what is kept"),
}

LEFT_OUT_RULES = (
    "dotgit", "nested", "gitlink", "special", "symlink", "name", "case_collision", "size", "total", "depth", "unreadable", "content", "lfs",
)  # fmt: skip
"""Rules about what cannot enter a commit. It was left out, so the rest can be delivered without any flag."""
_FORBIDDEN = ADVICE[Cause.POLICY].sentence
POLICY_REASONS = {
    "secret": Advice(_FORBIDDEN, "ccterm diff {run} shows the work; take it over by hand, without the secret: no flag lets one through"),
    "unscanned": Advice(_FORBIDDEN, "make the secrets that it names readable, then ccterm {deliver} {run}"),
    **dict.fromkeys(
        LEFT_OUT_RULES,
        Advice(
            _FORBIDDEN,
            "ccterm diff {run}, then ccterm {deliver} {run} to deliver it without what the verdict names",
            "ccterm show {run} says where what was left out is kept",
        ),
    ),
}

FORMER_NAMES = {"harvest": "commit", "publish": "push", "nothing_to_publish": "nothing_to_push", "twin": "case_collision"}
"""Steps, causes, reasons and rules as the first version named them -> their current names."""
_FINER = {
    Cause.AGENT: AGENT_REASONS,
    Cause.POLICY: POLICY_REASONS,
    Cause.PUSH: PUSH_REASONS,
    Cause.CHECKOUT: CHECKOUT_REASONS,
    Cause.CONFLICT: CONFLICT_REASONS,
    Cause.ENGINE: ENGINE_REASONS,
    Cause.DISK: DISK_REASONS,
    Cause.TIMEOUT: TIMEOUT_REASONS,
}


_EXIT = {
    Cause.POLICY: ExitCode.POLICY,
    Cause.PUSH: ExitCode.PUSH,
    Cause.CONFLICT: ExitCode.PUSH,
    Cause.AUTH: ExitCode.QUOTA,
    Cause.USAGE_LIMIT: ExitCode.QUOTA,
    Cause.RATE_LIMITED: ExitCode.QUOTA,
    Cause.BUDGET: ExitCode.QUOTA,
}


_EXIT_BY_REASON = {
    (Cause.CHECKOUT, "no_push"): ExitCode.PREFLIGHT,
    (Cause.CHECKOUT, "auth"): ExitCode.PREFLIGHT,
    (Cause.CHECKOUT, "credentials"): ExitCode.PREFLIGHT,
    (Cause.CHECKOUT, "logins"): ExitCode.USAGE,
}
"""What kept an agent from starting."""

AWAITS_APPLY = "awaits_apply"
"""Reason of a testing run that succeeded and whose changes await the user's approval."""


KEPT = "kept"
"""Reason of a run that succeeded and whose work is kept, as was asked for."""


def next_action(cause: Cause | None, reason: str, *, run: str, deliver: str, kept: bool, denied: bool = False) -> str:
    """Return what a user can do about a run that ended.

    deliver: the command that delivers its work. kept: whether there is any for it. denied: its agent was not allowed to do all that it wanted.
    """
    if cause is None:
        if reason == AWAITS_APPLY:
            return f"ccterm diff {run}, then ccterm apply {run}"
        if kept:
            return f"ccterm diff {run}; ccterm {deliver} {run} delivers what was kept"
        return f"look at what it left undone; ccterm continue {run} TEXT goes on" if denied else ""
    found = advice(cause, reason)
    action = ((not kept and found.bare) or found.action).format(run=run, deliver=deliver)
    if kept and cause is not Cause.POLICY and f"ccterm {deliver} " not in action:  # what a rule refused has actions of its own
        action += f"; ccterm {deliver} {run} delivers what was kept"
    return action


def advice(cause: Cause, reason: str = "") -> Advice:
    """Return sentence and action for a cause; some causes have finer ones by reason."""
    return _FINER.get(cause, {}).get(reason, ADVICE[cause])


def exit_code(cause: Cause, reason: str = "") -> ExitCode:
    """Return the exit code of a run that failed with this cause, for this reason."""
    return _EXIT_BY_REASON.get((cause, reason)) or _EXIT.get(cause, ExitCode.FAILED)
