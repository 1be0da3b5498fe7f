"""What can happen to the runs of a fake service, each as one function that emits the events."""

from datetime import timedelta

from pydantic import JsonValue

from ccterm.causes import AWAITS_APPLY, Cause
from ccterm.events import (
    Finished,
    Judged,
    Limited,
    PermissionAsked,
    Pushed,
    Said,
    Salvaged,
    Spent,
    Started,
    StepFinished,
    StepStarted,
    ToolCalled,
    ToolReturned,
    Waiting,
)
from ccterm.models import Mode, Run, State
from ccterm.values import Changes, Finding, PendingChange, Verdict
from tests.tui.fake_service import REMOTE, FakeService

SHA = "a91f03c2d7e8b6a5f4c3b2a1908f7e6d5c4b3a21"
PATCH = b"""diff --git a/shop/login.py b/shop/login.py
index 1111111..2222222 100644
--- a/shop/login.py
+++ b/shop/login.py
@@ -1,4 +1,6 @@ def login(name: str)
 import time
-LIMIT = 3
+LIMIT = 5
+SECONDS = 60.0

 def login(name: str) -> bool:
diff --git a/shop/limits.py b/shop/limits.py
new file mode 100644
index 0000000..3333333
--- /dev/null
+++ b/shop/limits.py
@@ -0,0 +1,2 @@
+class Limiter:
+    pass
"""


def start_agent(service: FakeService, run: Run, text: str = "I'll start with the session middleware.") -> Run:
    """Bring a run to its agent, which speaks and calls tools."""
    service.emit(run.id, Started(), StepStarted(step="resolve"), StepFinished(step="resolve", ok=True, seconds=0.2, detail="b0ff5e1c9d2a"))
    service.emit(run.id, StepStarted(step="checkout"), StepFinished(step="checkout", ok=True, seconds=0.4, detail="reused"))
    service.emit(run.id, StepStarted(step="agent"), Said(text=text))
    service.emit(run.id, ToolCalled(id="1", name="Read", summary="src/auth/session.py"), ToolReturned(id="1", ok=True, text="import time"))
    service.emit(run.id, ToolCalled(id="2", name="Edit", summary="src/auth/session.py  +24 -3"), ToolReturned(id="2", ok=True, text="ok"))
    service.emit(run.id, ToolCalled(id="3", name="Bash", summary="pytest tests/auth -q"))
    service.emit(run.id, ToolReturned(id="3", ok=False, text="12 passed, 1 failed\nE  AssertionError: expected 401, got 200"))
    service.emit(run.id, Spent(cost_usd=0.31, input=180_000, output=12_000, cache=20_000, turns=18))
    return run


def ask_permission(service: FakeService, run: Run, command: str = "npm ci\nnpm test -- --coverage", key: str = "q1") -> Run:
    """Have the agent ask permission for a command."""
    given: dict[str, JsonValue] = {"command": command}
    summary, reason = " ".join(command.split()), "This command requires approval"
    service.emit(
        run.id,
        ToolCalled(id="p", name="Bash", summary=summary, input=given),
        PermissionAsked(id=key, tool="Bash", summary=summary, input=given, reason=reason, always="npm ci *, npm test *"),
        Waiting(until=service.clock() + timedelta(minutes=15)),
    )
    return run


def wait_for_input(
    service: FakeService, run: Run, question: str = "The index can live in Postgres or in SQLite. Which one do you want?"
) -> Run:
    """Have a run's agent end its turn with a question and wait."""
    start_agent(service, run)
    service.emit(run.id, Said(text=question), Waiting(until=service.clock().replace(hour=12, minute=52)))
    return run


def fail(
    service: FakeService, run: Run, cause: Cause = Cause.AUTH, summary: str = "Authentication failed: the login expired 08:14."
) -> Run:
    """Have a run fail."""
    service.emit(run.id, Started(), StepStarted(step="agent"), Finished(state=State.FAILED, cause=cause, summary=summary))
    return run


def commit(service: FakeService, run: Run) -> Run:
    """Bring a run past its commit and policy steps."""
    start_agent(service, run)
    changes = Changes(files=5, added=61, removed=9)
    service.emit(
        run.id, Said(text="Logins are limited to five a minute."), StepFinished(step="agent", ok=True, seconds=252.0, detail="18 turns")
    )
    service.emit(run.id, StepStarted(step="commit"), StepFinished(step="commit", ok=True, seconds=0.4, detail="5 files +61 -9"))
    service.emit(
        run.id, Judged(verdict=Verdict(ok=True), changes=changes), StepFinished(step="policy", ok=True, seconds=0.001, detail="fine")
    )
    service.change(run.id, commit=SHA)
    service.patches[run.id] = PATCH
    return run


def push(service: FakeService, run: Run) -> Run:
    """Have a run push its branch."""
    commit(service, run)
    service.emit(run.id, StepStarted(step="push"), StepFinished(step="push", ok=True, seconds=0.3, detail="verified"))
    service.emit(run.id, Pushed(remote=REMOTE, ref=f"refs/heads/{run.task.branch}", sha=SHA, verified=True))
    service.emit(run.id, Finished(state=State.SUCCEEDED, summary="Logins are limited to five a minute."))
    return run


def conflict(service: FakeService) -> Run:
    """Add a run that did not start, since the work that it was to go on with and newer commits do not go together."""
    run = service.add_run("feature/login", prompt="Fix the tests")
    why = "both changed login.py"
    service.emit(run.id, Started(), Finished(state=State.FAILED, cause=Cause.CONFLICT, reason="merge", summary=why))
    return run


def refuse(service: FakeService, run: Run) -> Run:
    """Have the policy refuse a run's work, which is kept."""
    start_agent(service, run)
    finding = Finding(
        rule="symlink", severity="refuse", text="a symlink that leaves the repository: settings (/etc/shop)", paths=("settings",)
    )
    service.emit(run.id, Judged(verdict=Verdict(ok=False, findings=(finding,)), changes=Changes(files=2, added=3)))
    service.emit(run.id, Salvaged(directory=f"/home/ann/.local/state/ccterm/salvage/{run.id}", commit=SHA))
    service.emit(run.id, Finished(state=State.FAILED, cause=Cause.POLICY, summary=finding.text))
    service.patches[run.id] = PATCH
    service.change(run.id, commit=SHA)
    return run


def offer_changes(service: FakeService, repo: str = "/home/ann/shop") -> Run:
    """Add a run that has finished on the working copy itself; its changes wait to be applied."""
    run = service.add_run("", prompt="Tidy up", repo=repo, remote=None, mode=Mode.TESTING)
    service.changes = [PendingChange(path="src/a.py", status="modified"), PendingChange(path="[old].py", status="deleted")]
    service.emit(run.id, Started(), Said(text="Tidied up."), Finished(state=State.SUCCEEDED, reason=AWAITS_APPLY, summary="Tidied up."))
    service.change(run.id, changes=Changes(files=2, added=4, removed=9, deleted=1))
    return run


def hit_usage_limit(service: FakeService, run: Run) -> Run:
    """Have a run hit the usage limit."""
    start_agent(service, run)
    at = service.clock().replace(hour=17)
    service.emit(run.id, Limited(limit="five_hour", status="rejected", utilization=1.0, resets_at=at))
    service.emit(run.id, Finished(state=State.FAILED, cause=Cause.USAGE_LIMIT, summary="You've hit your 5-hour limit · resets 17:00"))
    return run
