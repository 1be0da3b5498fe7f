"""What the form says of branches before a run starts, and refuses."""

from datetime import timedelta

from textual.widgets import TextArea

from ccterm.models import BranchState, BranchUse
from tests.tui.conftest import Show
from tests.tui.fake_service import FakeService
from tests.tui.on_screen import field_of, screen_text, type_text, wait_for_call, wait_for_text


async def test_a_bad_branch_has_the_same_message_as_on_the_command_line(show: Show) -> None:
    async with show() as pilot:
        await pilot.press("n")
        await type_text(pilot, "Add a LICENSE")
        field_of(pilot, "branch").take_focus()
        await type_text(pilot, "agent/a..b")
        await wait_for_text(pilot, "use a single dot")


async def test_a_branch_that_was_typed_is_used_and_an_empty_one_says_what_it_means(show: Show, service: FakeService) -> None:
    async with show() as pilot:
        await pilot.press("n")
        await wait_for_text(pilot, "named after the task")
        await type_text(pilot, "Add")
        await wait_for_text(pilot, "agent/add · new, from main")
        field_of(pilot, "branch").take_focus()
        await type_text(pilot, "mine")
        pilot.app.screen.query_one(TextArea).focus()
        await type_text(pilot, " more")
        await wait_for_text(pilot, "pushes mine to")
        await pilot.press("ctrl+s")
        await wait_for_call(service, "submit", "mine", "Add more")


async def test_a_name_that_exists_is_not_suggested(show: Show, service: FakeService) -> None:
    service.remote_branches["agent/add-license"] = BranchState(branch="agent/add-license", tip="a" * 40)
    run = service.add_run("agent/fix")
    async with show() as pilot:
        await pilot.press("n")
        await type_text(pilot, "Add a LICENSE\n---\nFix it")
        await wait_for_text(
            pilot, "agent/add-license-2 new, from main; agent/add-license exists", f"agent/fix exists (run {run.label}, just now)"
        )
        await pilot.press("ctrl+s")
        await wait_for_call(service, "submit", "agent/add-license-2", "Add a LICENSE")
        await wait_for_call(service, "submit", "agent/fix-2", "Fix it")


async def test_a_branch_that_is_given_and_exists_says_from_where_it_is_continued(show: Show, service: FakeService) -> None:
    run, two_days_ago = service.add_run("mine"), service.clock() - timedelta(days=2, hours=3)
    last = BranchUse(run=run.id, label=run.label, at=two_days_ago, active=False, pushed_tip=True)
    service.remote_branches["mine"] = BranchState(branch="mine", tip="a" * 40, changed=two_days_ago, last=last)
    async with show() as pilot:
        await pilot.press("n")
        await type_text(pilot, "Add")
        field_of(pilot, "branch").value = "mine"
        await wait_for_text(pilot, f"continued from its tip, last change 2 days ago by run {run.label}")
        field_of(pilot, "base").value = "v1"
        await wait_for_text(pilot, "leave this empty, or choose another branch")


async def test_the_default_branch_is_refused_in_the_form_and_can_be_allowed_there(show: Show, service: FakeService) -> None:
    service.remote_branches["main"] = BranchState(branch="main", tip="a" * 40, is_default=True)
    async with show() as pilot:
        await pilot.press("n")
        await type_text(pilot, "Add")
        field_of(pilot, "branch").take_focus()
        await type_text(pilot, "main")
        await pilot.press("ctrl+s")
        await wait_for_text(pilot, "main is the default branch; choose another name, or allow it below", "● refuse")
        assert service.calls == []
        await pilot.press("down", "right")
        await wait_for_text(pilot, "● allow pushing to it", "pushes main to")
        await pilot.press("ctrl+s")
        await wait_for_call(service, "submit", "main", "Add")


async def test_what_the_remote_has_against_a_form_is_said_once_and_asked_again_with_the_next_launch(
    show: Show, service: FakeService
) -> None:
    problem = "the remote has no default branch; it has main; give --base"
    wrong = BranchState(branch="mine", problem=problem, concerns="base")
    service.remote_branches["mine"] = wrong
    async with show() as pilot:
        await pilot.press("n")
        await type_text(pilot, "Add")
        field_of(pilot, "branch").value = "mine"
        await wait_for_text(pilot, "the remote has no default branch; it has main; fill in “From”")
        assert screen_text(pilot.app).count("no default branch") == 1
        service.remote_branches["mine"] = wrong.model_copy(update={"problem": "collides; give --branch", "concerns": "branch"})
        await pilot.press("ctrl+s")
        await wait_for_text(pilot, "collides; choose “push a branch” as Delivery")
        del service.remote_branches["mine"]
        await pilot.press("ctrl+s")
        await wait_for_call(service, "submit", "mine", "Add")
