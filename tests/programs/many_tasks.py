"""Run tasks side by side, show progress, and push what a rule held back."""

import asyncio
import sys
from contextlib import aclosing

from ccterm import AgentService, Allowances, Cause, DraftFields, Event, Run
from ccterm.events import Retrying, ToolCalled


def show(run: Run, event: Event) -> None:
    """Print what the agents do."""
    if isinstance(event, ToolCalled):
        print(f"{run.label} {event.name}: {event.summary}")
    elif isinstance(event, Retrying):
        print(f"{run.label} waits {event.wait:.0f} s: {event.why}")


async def main(repo: str, tasks: list[str]) -> int:
    """Run each task on a branch of its own, four at once; leaving the loop early would cancel the others."""
    todo: list[DraftFields] = [{"task": task, "branch": f"agent/task-{number}"} for number, task in enumerate(tasks, start=1)]
    failed = 0
    async with AgentService.open() as service:
        ended = service.as_completed(todo, max_concurrent=4, repo=repo, model="sonnet", on_event=show)
        async with aclosing(ended):
            async for run, done, total in ended:
                print(f"[{done}/{total}] {run.label} {run.task.branch}: {run.state}")
                if run.cause is Cause.POLICY and run.reason == "deletions":
                    run = await service.push(run.id, allow=Allowances(deletions=100))
                failed += run.pushed is None
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1], sys.argv[2:])))
