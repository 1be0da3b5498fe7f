"""What a user can see, each as a scene that is played on a stage: for the pictures that tests compare, and for the screenshots."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from pathlib import Path

from textual.pilot import Pilot
from textual.widgets import Input, TextArea

from ccterm.causes import Cause
from ccterm.events import Finished, Held, Limited, Said, Started, StepStarted, ToolCalled, ToolReturned, Typing
from ccterm.models import CheckResult, State
from ccterm.settings import Settings
from ccterm.tui.app import CctermApp
from ccterm.tui.memory import Memory
from ccterm.tui.widgets.field import Field
from tests.tui.acts import awaits_apply, committed, delivers, fails, is_limited, is_refused, waits, works
from tests.tui.seeing import sees, typed
from tests.tui.stage import NOON, Clock, Stage

Scene = Callable[[Stage, Pilot[None]], Awaitable[None]]
LATER = timedelta(minutes=4, seconds=12)
CHECKS = (
    CheckResult(name="git", group="essentials", status="pass", text="git 2.45", seconds=0.012),
    CheckResult(name="disk", group="essentials", status="pass", text="81.4 GiB free at /home/ann", seconds=0.003),
    CheckResult(name="engine", group="engine", status="pass", text="a round trip in a container", seconds=0.14),
    CheckResult(name="image", group="engine", status="warn", text="the image is not made yet, from node:20-slim; some two minutes, once", fix="ccterm image build", seconds=0.02),
    CheckResult(name="login", group="claude", status="fail", text="the Claude login expired 08:14", fix="e re-exports it; or claude setup-token", seconds=0.008),
    CheckResult(name="push", group="repository", status="fail", text="push refused: the token cannot write workflows", fix="gh auth refresh -s workflow", seconds=0.48),
)  # fmt: skip

_APT = (
    "Get:1 http://deb.debian.org/debian bookworm InRelease [151 kB]",
    "Get:2 http://deb.debian.org/debian bookworm/main amd64 Packages [8,792 kB]",
    "Fetched 9,274 kB in 2s (5,112 kB/s)",
    "Reading package lists... Done",
    "The following NEW packages will be installed: git git-lfs openssh-client python3",
    "Setting up git (1:2.39.5-0+deb12u2) ...",
)


def app_for_scenes() -> CctermApp:
    """Return an app whose time is a few minutes after everything on the stage."""
    memory = Memory(None)
    memory.launched({"repo": "~/code/shop", "prompt": "Round the totals in one place"})
    return CctermApp(Settings.model_validate({"mode": "local"}), memory=memory, outlives=True, checks=False, clock=Clock(NOON + LATER))


async def play(scene: Scene, pilot: Pilot[None], *, directory: Path) -> None:
    """Play a scene in front of the app, up to the moment that is to be seen."""
    stage = Stage(directory)
    await scene(stage, pilot)
    for blinking in [*pilot.app.screen.query(Input), *pilot.app.screen.query(TextArea)]:
        blinking.cursor_blink = False
        blinking.notify_style_update()  # a line that was painted while the cursor was out is kept, and would be shown
    await pilot.pause()
    await stage.close()


async def curtain(stage: Stage, pilot: Pilot[None], *words: str, keys: str = "") -> None:
    """Let the app reach the service, press keys, and wait for words."""
    await stage.settle()
    assert isinstance(pilot.app, CctermApp)
    pilot.app.reached(stage)
    await pilot.pause()
    if len(stage.orders) == 0 and (runs := await stage.runs()):
        await sees(pilot, runs[0].task.target)
    await pilot.press(*keys.split())
    await sees(pilot, *words)


def four(stage: Stage) -> None:
    """Put four runs on the stage: one works, one waits, one failed, one starts."""
    run = works(stage, stage.enter("feature/login", prompt="Limit the rate of logins per user, with tests.", model="sonnet"))
    stage.play(
        run.id,
        Said(text="The refresh path still trusts the old cookie."),
        ToolCalled(id="9", name="Bash", summary="pytest -q"),
        Typing(text="I'll mend that n"),
    )
    waits(stage, stage.enter("feature/search", prompt="Search is too slow with many products; build an index."))
    fails(stage, stage.enter("fix/rounding", prompt="Totals show too many digits."))
    stage.play(stage.enter("chore/deps", prompt="Update what is outdated.").id, Started(), StepStarted(step="setup"))


def twelve(stage: Stage) -> None:
    """Put twelve runs on the stage, in every state there is."""
    four(stage)
    delivers(stage, stage.enter("docs/api", prompt="Document the API."))
    is_refused(stage, stage.enter("chore/settings", prompt="Take the settings from the shared directory."))
    works(stage, stage.enter("perf/images", prompt="Images are too large."), said="Most of the weight is in three pictures.")
    stage.play(stage.enter("perf/cache").id)
    stage.play(stage.enter("feature/export").id, Held(reason="branch busy"))
    delivers(stage, stage.enter("fix/typo"))
    stage.play(stage.enter("feature/old").id, Finished(state=State.CANCELLED, summary="cancelled by the user"))
    works(
        stage,
        stage.enter("test/flaky", prompt="Find out why the tests fail now and then."),
        said="It fails once in twenty runs; I'll look at the clock.",
    )


async def empty(stage: Stage, pilot: Pilot[None]) -> None:
    await curtain(stage, pilot, "No runs yet")


async def fleet_of_four(stage: Stage, pilot: Pilot[None]) -> None:
    four(stage)
    await curtain(stage, pilot, "chore/deps", "I'll mend that n")


async def fleet_of_twelve(stage: Stage, pilot: Pilot[None]) -> None:
    twelve(stage)
    await curtain(stage, pilot, "feature/login", "7 ")


async def light(stage: Stage, pilot: Pilot[None]) -> None:
    four(stage)
    await curtain(stage, pilot, "chore/deps", "I'll mend that n", keys="t")


async def filtered(stage: Stage, pilot: Pilot[None]) -> None:
    twelve(stage)
    await curtain(stage, pilot, "docs/api", keys="f p u s h e d backspace backspace backspace backspace backspace backspace d o c")


async def steering(stage: Stage, pilot: Pilot[None]) -> None:
    four(stage)
    await curtain(stage, pilot, "What should feature/search know?", keys="2 s I n space m e m o r y")


async def cancelling(stage: Stage, pilot: Pilot[None]) -> None:
    four(stage)
    await curtain(stage, pilot, "Stop feature/login?", keys="c")


async def leaving(stage: Stage, pilot: Pilot[None]) -> None:
    four(stage)
    await curtain(stage, pilot, "3 runs are live. Quit?", keys="q")


async def run(stage: Stage, pilot: Pilot[None]) -> None:
    delivers(stage, stage.enter("feature/login", prompt="Limit the rate of logins per user, with tests."))
    await curtain(stage, pilot, "› Bash", "pushed", keys="enter")


async def run_facts(stage: Stage, pilot: Pilot[None]) -> None:
    is_refused(stage, stage.enter("chore/settings", prompt="Take the settings from the shared directory."))
    await curtain(stage, pilot, "policy: a symlink", keys="enter tab")


async def run_diff(stage: Stage, pilot: Pilot[None]) -> None:
    delivers(stage, stage.enter("feature/login", prompt="Limit the rate of logins per user, with tests."))
    committed(stage, stage.enter("feature/other"))
    await curtain(stage, pilot, "LIMIT = 5", keys="1 d")


async def preflight_failing(stage: Stage, pilot: Pilot[None]) -> None:
    stage.answers = list(CHECKS)
    await curtain(stage, pilot, "2 to mend", keys="p")


async def preflight_fixed(stage: Stage, pilot: Pilot[None]) -> None:
    stage.answers = [answer.model_copy(update={"status": "pass"}) if answer.status == "fail" else answer for answer in CHECKS[:4]]
    stage.answers += [
        CheckResult(name="login", group="claude", status="pass", text="a login, good for 8 h", seconds=0.008),
        CheckResult(name="push", group="repository", status="pass", text="push to acme/shop", seconds=0.41),
    ]
    await curtain(stage, pilot, "1 to know of", keys="p")


async def preflight_building(stage: Stage, pilot: Pilot[None]) -> None:
    stage.answers, stage.said = list(CHECKS[:4]), ["installing what boxes need into node:20-slim, once; some two minutes", *_APT]
    await curtain(stage, pilot, "1 to know of", "containers (dagger)", keys="p x")
    await pilot.press("b")
    await sees(pilot, "making the image", "Setting up git")


async def history(stage: Stage, pilot: Pilot[None]) -> None:
    twelve(stage)
    await curtain(stage, pilot, "✓ docs/api", "in all:", keys="H")


async def usage_limit(stage: Stage, pilot: Pilot[None]) -> None:
    four(stage)
    is_limited(stage, stage.enter("perf/cache", prompt="The cache forgets too early."))
    held = stage.enter("perf/images", prompt="Images are too large.")
    stage.play(held.id, Held(reason="usage limit, resets 17:00"))
    await curtain(stage, pilot, "5-hour window used up, resets 17:00", "held: usage")


async def launch(stage: Stage, pilot: Pilot[None]) -> None:
    await curtain(stage, pilot, "Repository", keys="n")
    await typed(pilot, "Add rate limiting to the login endpoint, with tests.")
    await sees(pilot, "1 run on this machine")


async def launch_several(stage: Stage, pilot: Pilot[None]) -> None:
    await curtain(stage, pilot, "Repository", keys="n")
    pilot.app.screen.query_one(TextArea).insert(
        "Add rate limiting to the login endpoint, with tests.\n---\nRound the totals in one place.\n---\nDocument the API."
    )
    pilot.app.screen.query_one("#max_concurrent", Field).input.value = "2"
    pilot.app.screen.query_one("#skip_permissions", Field).input.value = "yes"
    await sees(pilot, "2 at once", "permissions are skipped")


async def launch_wrong(stage: Stage, pilot: Pilot[None]) -> None:
    await curtain(stage, pilot, "Repository", keys="n")
    await typed(pilot, "Add rate limiting")
    for name, text in (("repo", "https://ann:secret@github.com/acme/shop"), ("branch", "feature..x"), ("timeout", "soon")):
        pilot.app.screen.query_one(f"#{name}", Field).input.value = text
    await sees(pilot, "range; use a single dot", "is no", "launches once the form is complete")


async def help_screen(stage: Stage, pilot: Pilot[None]) -> None:
    four(stage)
    await curtain(stage, pilot, "Say something to the running agent", keys="question_mark")


async def applying(stage: Stage, pilot: Pilot[None]) -> None:
    awaits_apply(stage)
    await curtain(stage, pilot, "Bring these changes", "src/a.py", keys="a")


async def awaiting(stage: Stage, pilot: Pilot[None]) -> None:
    awaits_apply(stage)
    await curtain(stage, pilot, "waits for your yes")


async def palette(stage: Stage, pilot: Pilot[None]) -> None:
    four(stage)
    await curtain(stage, pilot, "Retry", keys="3 ctrl+p r e t r y")


async def lost(stage: Stage, pilot: Pilot[None]) -> None:
    fails(stage, stage.enter("feature/login"), Cause.LOST, "The ccterm process that carried out this run ended before the run did")
    stage.play(
        stage.enter("fix/rounding").id, Started(), StepStarted(step="agent"), Limited(limit="seven_day", status="allowed", utilization=0.62)
    )
    await curtain(stage, pilot, "failed (lost)", "week 62%")


async def tools(stage: Stage, pilot: Pilot[None]) -> None:
    one = works(stage, stage.enter("feature/login"))
    stage.play(one.id, ToolReturned(id="4", ok=True, text="late"), Said(text="Done with the first half."))
    await curtain(stage, pilot, "Done with the first half.")


SCENES: Mapping[str, Scene] = {
    scene.__name__: scene
    for scene in (
        empty, fleet_of_four, fleet_of_twelve, light, filtered, steering, cancelling, leaving, run, run_facts, run_diff, preflight_failing, preflight_fixed,
        preflight_building, history, usage_limit, launch, launch_several, launch_wrong, help_screen, palette, lost, tools, awaiting, applying,
    )
}  # fmt: skip
