"""Run one task and say what became of it."""

import sys

import ccterm


def main(repo: str, task: str) -> int:
    """Run the task on a branch of its own; Ctrl-C cancels it and keeps the work."""
    try:
        run = ccterm.run(task=task, repo=repo, branch="agent/...", timeout="45m", verify="test -f README.md")
    except ccterm.errors.CctermError as error:  # nothing was started
        print(f"{error.message}; {error.fix}", file=sys.stderr)
        return 2
    if run.state is not ccterm.State.SUCCEEDED:  # a failed run is returned like any other
        print(f"{run.label} {run.state} ({run.cause}): {run.summary}; {run.action}", file=sys.stderr)
        return 1
    if run.pushed:
        print(f"{run.label} pushed {run.pushed.sha[:8]} to {run.task.branch} for ${run.cost_usd:.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2]))
