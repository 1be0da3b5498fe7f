"""Everything that a user can see, as scenarios in the real app: for the snapshot tests and for the screenshots."""

import os
from collections.abc import Iterator, Mapping
from contextlib import chdir, contextmanager

from textual.pilot import Pilot

from ccterm.causes import Cause
from ccterm.events import Finished, Held, HoldChanged, Limited, Said, Started, StepStarted, Told, ToolCalled, ToolReturned
from ccterm.models import State
from ccterm.settings import Settings
from ccterm.tui.widgets.patch_view import PatchView
from ccterm.tui.widgets.welcome import Welcome
from tests.support.waiting import until
from tests.tui.fake_service import FakeService
from tests.tui.form_scenarios import (
    CHECKS,
    batch,
    batch_wrong,
    launch,
    launch_continued,
    launch_default_branch,
    launch_several,
    launch_wrong,
    preflight_building,
    preflight_failing,
    preflight_fixed,
)
from tests.tui.network_scenarios import allowing, launch_network, launch_network_wrong, sealed, sealed_facts
from tests.tui.on_screen import as_ccterm, type_text, wait_for_text
from tests.tui.playing import Scenario, four, many, open_app, twelve
from tests.tui.run_events import PATCH, ask_permission, commit, conflict, fail, hit_usage_limit, offer_changes, push, refuse, start_agent

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


async def conflicting(service: FakeService, pilot: Pilot[None]) -> None:
    conflict(service)
    await open_app(service, pilot, "on a new branch", keys="m")


async def reading_diff(service: FakeService, pilot: Pilot[None]) -> None:
    start_agent(service, service.add_run("feature/login"))
    service.answering.clear()
    await open_app(service, pilot, "Reading what the agent", keys="d")


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
    await open_app(service, pilot, "LIMIT = 5", "changes up to", keys="d")


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


async def history(service: FakeService, pilot: Pilot[None]) -> None:
    twelve(service)
    await open_app(service, pilot, "✓ docs/api", "in total:", keys="H")


async def history_of_conversations(service: FakeService, pilot: Pilot[None]) -> None:
    before = None
    for prompt in ("Limit the rate of logins per user", "Fix the tests", "Say in the README that there is a limit"):
        turn = push(service, service.add_run("feature/login", prompt=prompt))
        service.change(turn.id, continues=before)
        before = turn.id
    twelve(service)
    await open_app(service, pilot, "3 runs", "in 6 conversations", keys="H")


async def usage_limit(service: FakeService, pilot: Pilot[None]) -> None:
    four(service)
    hit_usage_limit(service, service.add_run("perf/cache", prompt="The cache forgets too early."))
    held = service.add_run("perf/images", prompt="Images are too large.")
    service.emit(held.id, Held(reason="usage limit, resets 17:00"))
    await open_app(service, pilot, "5-hour window used up, resets 17:00", "held: usage")


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
        conflicting, reading_diff, cancelling, leaving, run, run_facts, run_diff, run_diff_read, preflight_failing, preflight_fixed,
        empty_checked, themes, run_diff_sixteen, fleet_sixteen,
        preflight_building, history, history_of_conversations, usage_limit, launch, launch_several, launch_wrong, launch_continued, launch_default_branch, batch, batch_wrong,
        help_screen, palette, lost, tools, awaiting, applying,
        fleet_of_many, selected, table, table_filtered, toast, key_without_effect, palette_words,
        sealed, sealed_facts, allowing, launch_network, launch_network_wrong,
    )
}  # fmt: skip
OF_ALL_WIDTHS = {
    "fleet_of_many", "selected", "table", "table_filtered", "run_diff_read", "launch", "launch_several", "launch_wrong", "launch_continued",
    "launch_default_branch", "batch", "batch_wrong",
    "empty_checked", "themes", "run_diff_sixteen", "fleet_sixteen",
    "toast", "key_without_effect", "palette_words", "history_of_conversations",
    "sealed", "sealed_facts", "allowing", "launch_network", "launch_network_wrong",
}  # fmt: skip
"""Scenarios that are shown at 80, 120 and 200 columns, since they use the width that there is."""
