"""Runs for tests of the store."""

from ccterm.models import Run, RunId, State, Task, new_id, now


def make(
    id: str = "",
    *,
    state: State = State.QUEUED,
    branch: str = "feature",
    prompt: str = "p",
) -> Run:
    task = Task(prompt=prompt, repo="/repo", remote="https://example.com/r", branch=branch)
    return Run(
        id=RunId(id or new_id()),
        task=task,
        state=state,
        created=now(),
    )


def ids(runs: list[Run]) -> list[str]:
    return [run.id for run in runs]
