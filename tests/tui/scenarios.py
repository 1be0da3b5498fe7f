"""Everything that a user can see, as scenarios in the real app: for the snapshot tests and for the screenshots."""

import os
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import chdir, contextmanager
from datetime import timedelta
from pathlib import Path

from textual.pilot import Pilot
from textual.widgets import Input, TextArea

from ccterm.causes import Cause
from ccterm.events import Finished, Held, HoldChanged, Limited, Said, Started, StepStarted, Told, ToolCalled, ToolReturned, Typing
from ccterm.models import BranchState, BranchUse, CheckResult, State
from ccterm.settings import Settings
from ccterm.tui.app import CctermApp
from ccterm.tui.memory import Memory
from ccterm.tui.widgets.field import Field
from ccterm.tui.widgets.patch_view import PatchView
from ccterm.tui.widgets.welcome import Welcome
from tests.support.waiting import until
from tests.tui.fake_service import NOON, Clock, FakeService
from tests.tui.on_screen import as_ccterm, type_text, wait_for_text
from tests.tui.run_events import (
    PATCH,
    ask_permission,
    commit,
    fail,
    hit_usage_limit,
    offer_changes,
    push,
    refuse,
    start_agent,
    wait_for_input,
)

Scenario = Callable[[FakeService, Pilot[None]], Awaitable[None]]
LATER = timedelta(minutes=4, seconds=12)
CHECKS = (
    CheckResult(name="git", group="essentials", status="pass", text="git 2.45", seconds=0.012),
    CheckResult(name="disk", group="essentials", status="pass", text="81.4 GiB free at /home/ann", seconds=0.003),
    CheckResult(name="engine", group="engine", status="pass", text="a round trip in a container", seconds=0.14),
    CheckResult(name="image", group="engine", status="warn", text="the image is not built yet, from node:20-slim; about two minutes, once", fix="ccterm image build", seconds=0.02),
    CheckResult(name="login", group="claude", status="fail", text="the Claude login expired 08:14", fix="e re-exports it; or claude setup-token", seconds=0.008),
    CheckResult(name="push", group="repository", status="fail", text="push refused: the token cannot write workflows", fix="gh auth refresh -s workflow", seconds=0.48),
)  # fmt: skip

READ_PATCH = b'''diff --git a/shop/auth/login.py b/shop/auth/login.py
index 1111111..2222222 100644
--- a/shop/auth/login.py
+++ b/shop/auth/login.py
@@ -1,12 +1,14 @@
 """Who may log in, and how often."""

 import time
-LIMIT = 3
+LIMIT = 5
+SECONDS = 60.0


 class Login:
-    def allowed(self, name: str) -> bool:
+    def allowed(self, name: str, now: float) -> bool:
         # the newest attempts only
-        return len(self.attempts[name]) < LIMIT
+        recent = [at for at in self.attempts.get(name, ()) if now - at < SECONDS and not self.is_trusted(name, "the proxy")]
+        return len(recent) < LIMIT
diff --git a/shop/web/app.js b/shop/web/app.js
index 1111111..2222222 100644
--- a/shop/web/app.js
+++ b/shop/web/app.js
@@ -3,3 +3,3 @@ const app = express()
 app.use(session({ secret }))
-app.post("/login", login)
+app.post("/login", limited(login)) // 429 beyond the limit
 app.listen(8080)
diff --git a/docs/limits.md b/docs/limits.md
new file mode 100644
--- /dev/null
+++ b/docs/limits.md
@@ -0,0 +1,3 @@
+# Limits
+
+Five logins a *minute* for each user.
diff --git a/logo.png b/logo.png
Binary files a/logo.png and b/logo.png differ
'''
_APT = (
    "Get:1 http://deb.debian.org/debian bookworm InRelease [151 kB]",
    "Get:2 http://deb.debian.org/debian bookworm/main amd64 Packages [8,792 kB]",
    "Fetched 9,274 kB in 2s (5,112 kB/s)",
    "Reading package lists... Done",
    "The following NEW packages will be installed: git git-lfs openssh-client python3",
    "Setting up git (1:2.39.5-0+deb12u2) ...",
)


def scenario_app() -> CctermApp:
    """Return an app whose clock is a few minutes past all events."""
    memory = Memory(None)
    memory.launched({"repo": "~/code/shop", "prompt": "Round the totals in one place"})
    return CctermApp.provided_with(
        Settings.model_validate({"mode": "local"}), memory=memory, detached=True, checks=False, clock=Clock(NOON + LATER)
    )


async def play(scenario: Scenario, pilot: Pilot[None], *, directory: Path) -> None:
    """Play a scenario up to the moment that is to be shown."""
    service = FakeService(directory)
    await scenario(service, pilot)
    for blinking in [*pilot.app.screen.query(Input), *pilot.app.screen.query(TextArea)]:
        blinking.cursor_blink = False
        blinking.notify_style_update()  # else a line that was painted with the cursor hidden would be shown
    await pilot.pause()
    await service.close()


async def open_app(service: FakeService, pilot: Pilot[None], *texts: str, keys: str = "") -> None:
    """Connect the app to the service, press keys, and wait for texts."""
    await service.settle()
    assert isinstance(pilot.app, CctermApp)
    pilot.app.connected(service)
    await pilot.pause()
    if len(service.calls) == 0 and (runs := await service.runs()):
        await until(lambda: len(as_ccterm(pilot).runs) == len(runs))
    await pilot.press(*keys.split())
    await wait_for_text(pilot, *texts)


def four(service: FakeService) -> None:
    """Add four runs: one running, one waiting for input, one failed, one starting."""
    run = start_agent(service, service.add_run("feature/login", prompt="Limit the rate of logins per user, with tests.", model="sonnet"))
    service.emit(
        run.id,
        Said(text="The refresh path still trusts the old cookie."),
        ToolCalled(id="9", name="Bash", summary="pytest -q"),
        Typing(text="I'll fix that n"),
    )
    wait_for_input(service, service.add_run("feature/search", prompt="Search is too slow with many products; build an index."))
    fail(service, service.add_run("fix/rounding", prompt="Totals show too many digits."))
    service.emit(service.add_run("chore/deps", prompt="Update what is outdated.").id, Started(), StepStarted(step="setup"))


def twelve(service: FakeService) -> None:
    """Add twelve runs, in every state there is."""
    four(service)
    push(service, service.add_run("docs/api", prompt="Document the API."))
    refuse(service, service.add_run("chore/settings", prompt="Take the settings from the shared directory."))
    start_agent(service, service.add_run("perf/images", prompt="Images are too large."), text="Most of the weight is in three pictures.")
    service.emit(service.add_run("perf/cache").id)
    service.emit(service.add_run("feature/export").id, Held(reason="branch busy"))
    push(service, service.add_run("fix/typo"))
    service.emit(service.add_run("feature/old").id, Finished(state=State.CANCELLED, summary="cancelled by the user"))
    start_agent(
        service,
        service.add_run("test/flaky", prompt="Find out why the tests fail now and then."),
        text="It fails once in twenty runs; I'll look at the clock.",
    )


async def empty(service: FakeService, pilot: Pilot[None]) -> None:
    await open_app(service, pilot, "No runs yet")
    with in_a_repository(service):
        pilot.app.screen.query_one(Welcome).show()
    await wait_for_text(pilot, "~/shop, on main")


async def empty_checked(service: FakeService, pilot: Pilot[None]) -> None:
    app = as_ccterm(pilot)
    app.settings = Settings.model_validate({"mode": "dagger"})
    app.checked = [*CHECKS]
    await empty(service, pilot)
    await wait_for_text(pilot, "the Claude login expired")


@contextmanager
def in_a_repository(service: FakeService) -> Iterator[None]:
    """Be in a working copy of the home directory for a while."""
    home = service.directory / "home"
    (home / "shop/.git").mkdir(parents=True)
    (home / "shop/.git/HEAD").write_text("ref: refs/heads/main\n")
    before = os.environ["HOME"]
    os.environ["HOME"] = str(home)
    try:
        with chdir(home / "shop"):
            yield
    finally:
        os.environ["HOME"] = before


async def themes(service: FakeService, pilot: Pilot[None]) -> None:
    four(service)
    await open_app(service, pilot, "chore/deps", "catppuccin-mocha", keys="T")
    await pilot.press(*["down"] * 8)


async def fleet_of_four(service: FakeService, pilot: Pilot[None]) -> None:
    four(service)
    await open_app(service, pilot, "chore/deps", "Which one do you want?")


async def fleet_of_twelve(service: FakeService, pilot: Pilot[None]) -> None:
    twelve(service)
    await open_app(service, pilot, "feature/login", "7 ")


def many(service: FakeService) -> None:
    """Add more runs than a screen has panes, most of them done, one without a branch, one with a long one."""
    twelve(service)
    for name in ("feature/prices", "feature/search-index", "docs/install"):
        push(service, service.add_run(name))
    wait_for_input(service, service.add_run("feature/import-products-from-the-old-shop-without-pictures"))
    start_agent(service, service.add_run("", prompt="Remove the code that nobody calls", repo="/home/ann/shop", mode="testing"))
    for number in range(4):
        service.emit(service.add_run(f"perf/query-{number}").id, Held(reason="waiting for a free slot", turn=True))


async def fleet_of_many(service: FakeService, pilot: Pilot[None]) -> None:
    many(service)
    await open_app(service, pilot, "done ▸", "pushed")


async def selected(service: FakeService, pilot: Pilot[None]) -> None:
    many(service)
    await open_app(service, pilot, "Stop 3 runs?", keys="space tab space tab space tab tab space c")


async def table(service: FakeService, pilot: Pilot[None]) -> None:
    many(service)
    await open_app(service, pilot, "21 runs", keys="t down down space down space")


async def table_filtered(service: FakeService, pilot: Pilot[None]) -> None:
    many(service)
    await open_app(service, pilot, "of 21 runs", keys="t F F F S S")


async def toast(service: FakeService, pilot: Pilot[None]) -> None:
    many(service)
    await open_app(service, pilot, "done ▸")
    app = as_ccterm(pilot)
    for run in (await service.runs())[6:9]:
        view = app.runs[run.id]
        app._notices.tell(view, Finished(state=State.FAILED, cause=Cause.AGENT, at=app.clock()))
    await wait_for_text(pilot, "3 runs failed")


async def key_without_effect(service: FakeService, pilot: Pilot[None]) -> None:
    four(service)
    await open_app(service, pilot, "has ended; m goes on with it", keys="tab s")


async def palette_words(service: FakeService, pilot: Pilot[None]) -> None:
    four(service)
    await open_app(service, pilot, "Push", keys="ctrl+p p u s h")


async def light(service: FakeService, pilot: Pilot[None]) -> None:
    four(service)
    pilot.app.theme = "textual-light"
    await open_app(service, pilot, "chore/deps", "Which one do you want?")


async def filtered(service: FakeService, pilot: Pilot[None]) -> None:
    twelve(service)
    await open_app(service, pilot, "docs/api", keys="f p u s h e d backspace backspace backspace backspace backspace backspace d o c")


async def steering(service: FakeService, pilot: Pilot[None]) -> None:
    four(service)
    await open_app(service, pilot, "Answer to feature/search", keys="s I n space m e m o r y")


async def told(service: FakeService, pilot: Pilot[None]) -> None:
    run = start_agent(service, service.add_run("feature/login"))
    service.emit(run.id, HoldChanged(on=True), ToolCalled(id="9", name="Bash", summary="pytest -q"), Told(text="also update the README"))
    await open_app(service, pilot, "queued for the agent")


async def live_diff(service: FakeService, pilot: Pilot[None]) -> None:
    service.patches[start_agent(service, service.add_run("feature/login")).id] = PATCH
    await open_app(service, pilot, "feature/login", keys="d")
    await wait_for_text(pilot, "changes up to", "LIMIT = 5")


async def permission(service: FakeService, pilot: Pilot[None]) -> None:
    four(service)
    ask_permission(service, start_agent(service, service.add_run("chore/tools")))
    await open_app(service, pilot, "asks permission: Bash", keys="full_stop")


async def refusing(service: FakeService, pilot: Pilot[None]) -> None:
    await permission(service, pilot)
    await pilot.press("n", *"Use", "space", *"pnpm", "shift+enter", *"instead")
    await wait_for_text(pilot, "Refuse Bash npm ci", "instead")


async def denied(service: FakeService, pilot: Pilot[None]) -> None:
    run = start_agent(service, service.add_run("chore/deps"))
    service.change(run.id, denied=("Bash npm ci && npm test", "Write /etc/hosts +1"))
    push(service, run)
    await open_app(service, pilot, "2 denied")


async def cancelling(service: FakeService, pilot: Pilot[None]) -> None:
    four(service)
    await open_app(service, pilot, "Stop feature/search?", keys="c")


async def leaving(service: FakeService, pilot: Pilot[None]) -> None:
    four(service)
    await open_app(service, pilot, "3 runs are still active. Quit?", keys="q")


async def run(service: FakeService, pilot: Pilot[None]) -> None:
    push(service, service.add_run("feature/login", prompt="Limit the rate of logins per user, with tests."))
    await open_app(service, pilot, "› Bash", "pushed", keys="enter")


async def run_facts(service: FakeService, pilot: Pilot[None]) -> None:
    refuse(service, service.add_run("chore/settings", prompt="Take the settings from the shared directory."))
    await open_app(service, pilot, "policy: a symlink", keys="enter tab")


async def run_diff(service: FakeService, pilot: Pilot[None]) -> None:
    push(service, service.add_run("feature/login", prompt="Limit the rate of logins per user, with tests."))
    commit(service, service.add_run("feature/other"))
    await open_app(service, pilot, "LIMIT = 5", keys="1 d")


async def run_diff_read(service: FakeService, pilot: Pilot[None]) -> None:
    run = push(service, service.add_run("feature/login", prompt="Limit the rate of logins per user, with tests."))
    service.patches[run.id] = READ_PATCH
    await open_app(service, pilot, "LIMIT = 5", keys="d")
    await pilot.press("J", "j", "a")
    await type_text(pilot, "Take this from the settings, as the other limits are.")
    await pilot.press("enter")
    await wait_for_text(pilot, "▏ Take this")
    patch = pilot.app.screen.query_one(PatchView)
    await until(lambda: any(segment.style and segment.style.italic for y in range(2, 16) for segment in patch.render_line(y)))


async def run_diff_sixteen(service: FakeService, pilot: Pilot[None]) -> None:
    pilot.app.theme = "ansi-dark"
    await run_diff_read(service, pilot)


async def fleet_sixteen(service: FakeService, pilot: Pilot[None]) -> None:
    pilot.app.theme = "ansi-dark"
    await fleet_of_twelve(service, pilot)


async def preflight_failing(service: FakeService, pilot: Pilot[None]) -> None:
    service.check_results = list(CHECKS)
    await open_app(service, pilot, "2 to fix", keys="p")


async def preflight_fixed(service: FakeService, pilot: Pilot[None]) -> None:
    service.check_results = [each.model_copy(update={"status": "pass"}) if each.status == "fail" else each for each in CHECKS[:4]]
    service.check_results += [
        CheckResult(name="login", group="claude", status="pass", text="a login, valid for 8 h", seconds=0.008),
        CheckResult(name="push", group="repository", status="pass", text="push to acme/shop", seconds=0.41),
    ]
    await open_app(service, pilot, "1 warning", keys="p")


async def preflight_building(service: FakeService, pilot: Pilot[None]) -> None:
    service.check_results, service.image_log = (
        list(CHECKS[:4]),
        ["installing what boxes need into node:20-slim; about two minutes, once", *_APT],
    )
    await open_app(service, pilot, "1 warning", "containers (dagger)", keys="p x")
    await pilot.press("b")
    await wait_for_text(pilot, "building the image", "Setting up git")


async def history(service: FakeService, pilot: Pilot[None]) -> None:
    twelve(service)
    await open_app(service, pilot, "✓ docs/api", "in total:", keys="H")


async def usage_limit(service: FakeService, pilot: Pilot[None]) -> None:
    four(service)
    hit_usage_limit(service, service.add_run("perf/cache", prompt="The cache forgets too early."))
    held = service.add_run("perf/images", prompt="Images are too large.")
    service.emit(held.id, Held(reason="usage limit, resets 17:00"))
    await open_app(service, pilot, "5-hour window used up, resets 17:00", "held: usage")


async def open_form(service: FakeService, pilot: Pilot[None]) -> None:
    """Open the launch form, on a repository that is the same wherever the tests run."""
    await open_app(service, pilot, "Repository", keys="n")
    pilot.app.screen.query_one("#repo", Field).value = "~/code/shop"


async def launch(service: FakeService, pilot: Pilot[None]) -> None:
    await open_form(service, pilot)
    await type_text(pilot, "Add rate limiting to the login endpoint, with tests.")
    await wait_for_text(pilot, "1 run on this machine", "new, from main")


async def launch_several(service: FakeService, pilot: Pilot[None]) -> None:
    service.remote_branches["agent/round-totals-one-place"] = BranchState(branch="agent/round-totals-one-place", tip="a" * 40)
    await open_form(service, pilot)
    pilot.app.screen.query_one(TextArea).insert(
        "Add rate limiting to the login endpoint, with tests.\n---\nRound the totals in one place.\n---\nDocument the API."
    )
    pilot.app.screen.query_one("#max_concurrent", Field).value = "2"
    pilot.app.screen.query_one("#skip_permissions", Field).value = "yes"
    await wait_for_text(pilot, "2 at once", "permissions are skipped", "agent/round-totals-one-place-2", "and 1 more to")


async def launch_wrong(service: FakeService, pilot: Pilot[None]) -> None:
    await open_form(service, pilot)
    await type_text(pilot, "Add rate limiting")
    for name, text in (("repo", "https://ann:secret@github.com/acme/shop"), ("branch", "feature..x"), ("timeout", "soon")):
        pilot.app.screen.query_one(f"#{name}", Field).value = text
    await wait_for_text(pilot, "range; use a single dot", "is no", "launches once the form is complete")


async def launch_continued(service: FakeService, pilot: Pilot[None]) -> None:
    run, then = service.add_run("feature/login"), service.clock() - timedelta(days=2)
    last = BranchUse(run=run.id, label="#12", at=then, active=False, pushed_tip=True)
    service.remote_branches["feature/login"] = BranchState(branch="feature/login", tip="a" * 40, changed=then, last=last)
    await open_form(service, pilot)
    await type_text(pilot, "Lock the account after ten failures.")
    pilot.app.screen.query_one("#branch", Field).value = "feature/login"
    await pilot.press("f2")
    await wait_for_text(pilot, "last change 2 days ago", "pushes feature/login")


async def launch_default_branch(service: FakeService, pilot: Pilot[None]) -> None:
    service.remote_branches["main"] = BranchState(branch="main", tip="a" * 40, is_default=True)
    await open_form(service, pilot)
    await type_text(pilot, "Fix the typo in the README.")
    pilot.app.screen.query_one("#branch", Field).value = "main"
    await wait_for_text(pilot, "main is the default branch", "allow pushing to it", "launches once")


async def batch(service: FakeService, pilot: Pilot[None]) -> None:
    service.remote_branches["docs/api"] = BranchState(branch="docs/api", tip="a" * 40, changed=service.clock() - timedelta(hours=3))
    tasks = "- {prompt: Add rate limiting to the login endpoint, branch: agent/...}\n- {prompt: Document the API, branch: docs/api}\n"
    await open_batch(service, pilot, tasks, "last change 3 hours ago", "2 runs on this machine")


async def batch_wrong(service: FakeService, pilot: Pilot[None]) -> None:
    await open_batch(service, pilot, "- {prompt: Add rate limiting, branch: agent/a..b}\n", "use a single dot")


async def open_batch(service: FakeService, pilot: Pilot[None], tasks: str, *texts: str) -> None:
    """Open the dialog for a batch file, in a directory with one."""
    project = service.directory / "project"
    project.mkdir()
    (project / "tasks.yaml").write_text(tasks)
    with chdir(project):
        await open_form(service, pilot)
        await pilot.press("ctrl+o")
        await wait_for_text(pilot, "of which file?", *texts)


async def help_screen(service: FakeService, pilot: Pilot[None]) -> None:
    four(service)
    await open_app(service, pilot, "Send a message to the running agent", keys="question_mark")


async def applying(service: FakeService, pilot: Pilot[None]) -> None:
    offer_changes(service)
    await open_app(service, pilot, "Apply these changes", "src/a.py", keys="a")


async def awaiting(service: FakeService, pilot: Pilot[None]) -> None:
    offer_changes(service)
    await open_app(service, pilot, "waiting for approval")


async def palette(service: FakeService, pilot: Pilot[None]) -> None:
    four(service)
    await open_app(service, pilot, "Retry", keys="tab ctrl+p r e t r y")


async def lost(service: FakeService, pilot: Pilot[None]) -> None:
    fail(service, service.add_run("feature/login"), Cause.LOST, "The ccterm process that carried out this run ended before the run did")
    service.emit(
        service.add_run("fix/rounding").id,
        Started(),
        StepStarted(step="agent"),
        Limited(limit="seven_day", status="allowed", utilization=0.62),
    )
    await open_app(service, pilot, "failed (lost)", "week 62%")


async def tools(service: FakeService, pilot: Pilot[None]) -> None:
    one = start_agent(service, service.add_run("feature/login"))
    service.emit(one.id, ToolReturned(id="4", ok=True, text="late"), Said(text="Done with the first half."))
    await open_app(service, pilot, "Done with the first half.")


SCENARIOS: Mapping[str, Scenario] = {
    scenario.__name__: scenario
    for scenario in (
        empty, fleet_of_four, fleet_of_twelve, light, filtered, steering, told, live_diff, permission, refusing, denied,
        cancelling, leaving, run, run_facts, run_diff, run_diff_read, preflight_failing, preflight_fixed,
        empty_checked, themes, run_diff_sixteen, fleet_sixteen,
        preflight_building, history, usage_limit, launch, launch_several, launch_wrong, launch_continued, launch_default_branch, batch, batch_wrong,
        help_screen, palette, lost, tools, awaiting, applying,
        fleet_of_many, selected, table, table_filtered, toast, key_without_effect, palette_words,
    )
}  # fmt: skip
OF_ALL_WIDTHS = {
    "fleet_of_many", "selected", "table", "table_filtered", "run_diff_read", "launch", "launch_several", "launch_wrong", "launch_continued",
    "launch_default_branch", "batch", "batch_wrong",
    "empty_checked", "themes", "run_diff_sixteen", "fleet_sixteen",
    "toast", "key_without_effect", "palette_words",
}  # fmt: skip
"""Scenarios that are shown at 80, 120 and 200 columns, since they use the width that there is."""
