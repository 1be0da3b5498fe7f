"""What runs do on the stage, in a few words."""

from ccterm.causes import AWAITS_APPLY, Cause
from ccterm.events import (
    Finished,
    Judged,
    Limited,
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
from ccterm.models import Changes, Finding, Mode, PendingChange, Run, State, Verdict
from tests.tui.stage import REMOTE, Stage

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


def works(stage: Stage, run: Run, said: str = "I'll start with the session middleware.") -> Run:
    """Let a run get to its agent, which says something and calls tools."""
    stage.play(run.id, Started(), StepStarted(step="resolve"), StepFinished(step="resolve", ok=True, seconds=0.2, detail="b0ff5e1c9d2a"))
    stage.play(run.id, StepStarted(step="checkout"), StepFinished(step="checkout", ok=True, seconds=0.4, detail="reused"))
    stage.play(run.id, StepStarted(step="agent"), Said(text=said))
    stage.play(run.id, ToolCalled(id="1", name="Read", summary="src/auth/session.py"), ToolReturned(id="1", ok=True, text="import time"))
    stage.play(run.id, ToolCalled(id="2", name="Edit", summary="src/auth/session.py  +24 -3"), ToolReturned(id="2", ok=True, text="ok"))
    stage.play(run.id, ToolCalled(id="3", name="Bash", summary="pytest tests/auth -q"))
    stage.play(run.id, ToolReturned(id="3", ok=False, text="12 passed, 1 failed\nE  AssertionError: expected 401, got 200"))
    stage.play(run.id, Spent(cost_usd=0.31, input=180_000, output=12_000, cache=20_000, turns=18))
    return run


def waits(stage: Stage, run: Run, question: str = "The index can live in Postgres or in SQLite. Which one do you want?") -> Run:
    """Let a run end its turn with a question and wait."""
    works(stage, run)
    stage.play(run.id, Said(text=question), Waiting(until=stage.clock().replace(hour=12, minute=52)))
    return run


def fails(stage: Stage, run: Run, cause: Cause = Cause.AUTH, summary: str = "Authentication failed: the login expired 08:14.") -> Run:
    """Let a run fail."""
    stage.play(run.id, Started(), StepStarted(step="agent"), Finished(state=State.FAILED, cause=cause, summary=summary))
    return run


def committed(stage: Stage, run: Run) -> Run:
    """Let a run's work be collected and judged."""
    works(stage, run)
    changes = Changes(files=5, added=61, removed=9)
    stage.play(run.id, StepFinished(step="agent", ok=True, seconds=252.0, detail="The limit is in place."))
    stage.play(run.id, StepStarted(step="commit"), StepFinished(step="commit", ok=True, seconds=0.4, detail="5 files +61 -9"))
    stage.play(
        run.id, Judged(verdict=Verdict(ok=True), changes=changes), StepFinished(step="policy", ok=True, seconds=0.001, detail="fine")
    )
    stage.alter(run.id, commit=SHA)
    stage.patches[run.id] = PATCH
    return run


def delivers(stage: Stage, run: Run) -> Run:
    """Let a run push its branch."""
    committed(stage, run)
    stage.play(run.id, StepStarted(step="push"), StepFinished(step="push", ok=True, seconds=0.3, detail="verified"))
    stage.play(run.id, Pushed(remote=REMOTE, ref=f"refs/heads/{run.task.branch}", sha=SHA, verified=True))
    stage.play(run.id, Finished(state=State.SUCCEEDED, summary="Logins are limited to five a minute."))
    return run


def is_refused(stage: Stage, run: Run) -> Run:
    """Let a rule forbid a run's work; it is kept."""
    works(stage, run)
    finding = Finding(
        rule="symlink", severity="refuse", text="a symlink that leaves the repository: settings (/etc/shop)", paths=("settings",)
    )
    stage.play(run.id, Judged(verdict=Verdict(ok=False, findings=(finding,)), changes=Changes(files=2, added=3)))
    stage.play(run.id, Salvaged(directory=f"/home/ann/.local/state/ccterm/salvage/{run.id}", commit=SHA))
    stage.play(run.id, Finished(state=State.FAILED, cause=Cause.POLICY, summary=finding.text))
    stage.patches[run.id] = PATCH
    stage.alter(run.id, commit=SHA)
    return run


def awaits_apply(stage: Stage, repo: str = "/home/ann/shop") -> Run:
    """It worked on the directory itself, and its changes wait for the user's yes."""
    run = stage.enter("", prompt="Tidy up", repo=repo, remote=None, mode=Mode.TESTING)
    stage.changes = [PendingChange(path="src/a.py", deed="modified"), PendingChange(path="[old].py", deed="deleted")]
    stage.play(run.id, Started(), Said(text="Tidied up."), Finished(state=State.SUCCEEDED, reason=AWAITS_APPLY, summary="Tidied up."))
    stage.alter(run.id, changes=Changes(files=2, added=4, removed=9, deleted=1))
    return run


def is_limited(stage: Stage, run: Run) -> Run:
    """Let a run meet the usage limit."""
    works(stage, run)
    at = stage.clock().replace(hour=17)
    stage.play(run.id, Limited(limit="five_hour", status="rejected", utilization=1.0, resets_at=at))
    stage.play(run.id, Finished(state=State.FAILED, cause=Cause.USAGE_LIMIT, summary="You've hit your 5-hour limit · resets 17:00"))
    return run
