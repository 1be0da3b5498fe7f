"""The launch form, batch files and the checks, as scenarios."""

from contextlib import chdir
from datetime import timedelta

from textual.pilot import Pilot
from textual.widgets import TextArea

from ccterm.models import BranchState, BranchUse, CheckResult
from ccterm.tui.widgets.field import Field
from tests.tui.fake_service import FakeService
from tests.tui.on_screen import type_text, wait_for_text
from tests.tui.playing import open_app

CHECKS = (
    CheckResult(name="git", group="essentials", status="pass", text="git 2.45", seconds=0.012),
    CheckResult(name="disk", group="essentials", status="pass", text="81.4 GiB free at /home/ann", seconds=0.003),
    CheckResult(name="engine", group="engine", status="pass", text="a round trip in a container", seconds=0.14),
    CheckResult(name="image", group="engine", status="warn", text="the image is not built yet, from node:20-slim; about two minutes, once", fix="ccterm image build", seconds=0.02),
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
    pilot.app.screen.query_one("#execution_mode", Field).value = "dagger"
    pilot.app.screen.query_one("#egress", Field).value = "npm, github"
    await wait_for_text(pilot, "2 at once", "network: ", "agent/round-totals-one-place-2", "and 1 more to")


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
