"""Why a run failed, said once for everybody: one sentence, one next action and one exit code for each cause."""

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
    CANCELLED = 130


class Advice(NamedTuple):
    """One cause in words: a sentence for a human and the next action; {run} is the run's id, {deliver} push or apply."""

    sentence: str
    action: str


ADVICE = {
    Cause.AGENT: Advice("The agent ended with an error", "ccterm logs {run}, then ccterm retry {run}"),
    Cause.AUTH: Advice("Claude refused the login", "log in again (claude setup-token, or claude /login), then ccterm retry {run}"),
    Cause.USAGE_LIMIT: Advice("The usage limit of the subscription is reached", "wait for the reset, then ccterm retry {run}"),
    Cause.RATE_LIMITED: Advice(
        "The Claude service turned the agent away as too busy", "lower --max-concurrent or wait, then ccterm retry {run}"
    ),
    Cause.BUDGET: Advice("The run reached its budget, turn limit or credit", "raise --budget or --max-turns, then ccterm retry {run}"),
    Cause.TIMEOUT: Advice(
        "The run took longer than its time limit and was stopped", "raise --timeout, or ccterm {deliver} {run} to deliver what there is"
    ),
    Cause.STALLED: Advice(
        "The agent was silent for too long and was stopped", "ccterm logs {run}, or ccterm {deliver} {run} to deliver what there is"
    ),
    Cause.CHECKOUT: Advice(
        "The repository could not be fetched", "check the repository, the branch and your access, then ccterm retry {run}"
    ),
    Cause.SETUP: Advice("The setup command failed", "mend the setup command, then ccterm retry {run}"),
    Cause.COMMIT: Advice("The work could not be collected", "ccterm show {run} names the directory that was kept"),
    Cause.POLICY: Advice(
        "The work was not pushed because a rule forbids it",
        "ccterm diff {run}, then ccterm {deliver} {run} with the flag that the verdict names",
    ),
    Cause.VERIFY: Advice(
        "The verify command failed on the new commit", "ccterm logs {run}, or ccterm {deliver} {run} to deliver it all the same"
    ),
    Cause.PUSH: Advice("The push failed", "ccterm push {run} tries again; the work is kept"),
    Cause.CONFLICT: Advice(
        "Files changed underneath the run",
        "ccterm diff {run}; ccterm apply {run} once the files are as they were, or apply the kept patch by hand",
    ),
    Cause.ENGINE: Advice("The engine that the run lived in went away", "ccterm check, then ccterm retry {run}"),
    Cause.LOST: Advice(
        "The ccterm process that carried out this run ended before the run did",
        "ccterm {deliver} {run} delivers what was kept, ccterm retry {run} starts anew",
    ),
    Cause.INTERNAL: Advice("ccterm itself failed; this is a defect", "ccterm show {run}, and please report it"),
}

PUSH_REASONS = {
    "refused": Advice("The remote refused the push", "read the remote's words above; ccterm push {run} tries again"),
    "exists": Advice(
        "The branch was created by somebody else meanwhile", "ccterm retry {run} continues from its tip, or choose another branch"
    ),
    "non_fast_forward": Advice("The branch moved on meanwhile", "ccterm retry {run} starts from the new tip"),
    "auth": Advice(
        "The remote refused the credentials for pushing",
        "give a token that may write (GH_TOKEN, or [host] in the settings), then ccterm push {run}",
    ),
    "network": Advice("The remote could not be reached for the push", "ccterm push {run} when it is back; the work is kept"),
    "hook": Advice("A hook of the remote declined the push", "read the hook's words above; ccterm push {run} tries again"),
    "size": Advice("The remote refused the push as too large", "ccterm diff {run}; remove the large file and retry"),
}

CHECKOUT_REASONS = {
    "snapshot": Advice("The snapshot of the working copy could not be taken", "mend what it names, then ccterm retry {run}"),
}

CONFLICT_REASONS = {
    "io": Advice("The working copy could not be written", "mend what it names, then ccterm apply {run}"),
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


AWAITS_APPLY = "awaits_apply"
"""Reason of a testing run that succeeded and whose changes wait for the user's word."""


def next_action(cause: Cause | None, reason: str, *, run: str, deliver: str) -> str:
    """Return what a user can do about a run that ended; `deliver` is the command that brings its work where it belongs."""
    if cause is None:
        return f"ccterm diff {run}, then ccterm apply {run}" if reason == AWAITS_APPLY else ""
    return advice(cause, reason).action.format(run=run, deliver=deliver)


def advice(cause: Cause, reason: str = "") -> Advice:
    """Return sentence and action for a cause; a push has finer ones by reason."""
    finer = {Cause.PUSH: PUSH_REASONS, Cause.CHECKOUT: CHECKOUT_REASONS, Cause.CONFLICT: CONFLICT_REASONS}
    return finer.get(cause, {}).get(reason, ADVICE[cause])


def exit_code(cause: Cause) -> ExitCode:
    """Return the exit code of a run that failed by this cause."""
    return _EXIT.get(cause, ExitCode.FAILED)
