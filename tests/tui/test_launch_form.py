"""From the form's text to drafts: tasks, branches, and problems as the draft model reports them."""

from pathlib import Path

import pytest

from ccterm.models import ExecutionMode, Mode, Task
from ccterm.tui.launch_form import branches_of, examine, slug, split_prompts, suggest_branch, summarise
from ccterm.tui.widgets.field import completions


@pytest.mark.parametrize(
    ("text", "prompts"),
    [
        ("", []),
        ("One", ["One"]),
        ("One\n---\nTwo", ["One", "Two"]),
        ("One\n  --- \n\n---\nTwo\n---", ["One", "Two"]),
        ("a --- b\n----\n--", ["a --- b\n----\n--"]),
    ],
    ids=["none", "one", "two", "empty-parts", "not-separators"],
)
def test_lines_of_three_dashes_separate_tasks(text: str, prompts: list[str]) -> None:
    assert split_prompts(text) == prompts


@pytest.mark.parametrize(
    ("prompt", "name"),
    [
        ("Add rate limiting to the login endpoint, with tests", "add-rate-limiting-login-endpoint"),
        ("Fix it", "fix"),
        ("the", "the"),
        ("Größe ändern", "gr-e-ndern"),
        ("漢字", "task"),
        ("A" * 200, "task"),
    ],
)
def test_a_slug_is_a_few_significant_words(prompt: str, name: str) -> None:
    assert slug(prompt) == name


def test_one_task_uses_the_branch_as_it_is() -> None:
    assert branches_of("feature/x", ["One"]) == ["feature/x"]


def test_several_tasks_number_the_branch() -> None:
    assert branches_of("feature/x", ["One", "Two"]) == ["feature/x-1", "feature/x-2"]


def test_an_ellipsis_is_replaced_by_words_of_each_task() -> None:
    assert branches_of(suggest_branch(["One", "Two", "One"]), ["One", "Two", "One"]) == ["agent/one", "agent/two", "agent/one-2"]


def test_a_complete_form_becomes_drafts() -> None:
    found = examine(
        {"prompt": "One\n---\nTwo", "branch": "x", "repo": "https://github.com/o/r", "mode": "local", "timeout": "45m", "budget": "2"}
    )
    assert not found.problems
    assert [(draft.prompt, draft.branch, draft.execution_mode, draft.budget) for draft in found.drafts] == [
        ("One", "x-1", ExecutionMode.LOCAL, 2.0),
        ("Two", "x-2", ExecutionMode.LOCAL, 2.0),
    ]


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("repo", "https://user:pass@github.com/o/r"),
        ("branch", "a..b"),
        ("base", "-x"),
        ("mode", "moon"),
        ("timeout", "soon"),
        ("budget", "-1"),
        ("max_turns", "some"),
        ("max_concurrent", "0"),
        ("max_concurrent", "many"),
        ("skip_permissions", "perhaps"),
    ],
)
def test_each_field_says_what_is_wrong_with_it(field: str, text: str) -> None:
    found = examine({"prompt": "One", "branch": "x", field: text})
    assert list(found.problems) == [field]
    assert found.drafts == ()


def test_the_number_at_once_is_about_all_tasks_together() -> None:
    found = examine({"prompt": "One", "branch": "x", "max_concurrent": "7", "skip_permissions": "yes"})
    assert found.at_once == 7
    assert [draft.skip_permissions for draft in found.drafts] == [True]
    assert examine({"prompt": "One", "branch": "x"}).at_once is None


def test_without_a_prompt_there_is_nothing_to_do() -> None:
    assert "prompt" in examine({"prompt": " \n---\n", "branch": "x"}).problems


def task(branch: str | None, **more: object) -> Task:
    given = {"prompt": "x", "repo": "/home/ann/shop", "remote": "https://github.com/acme/shop", "branch": branch, "execution_mode": "local"}
    return Task.model_validate(given | more)


def test_the_summary_says_how_many_runs_where_and_what_they_push() -> None:
    said = summarise([task(name) for name in ("a", "b", "c")], at_once=2)
    assert said == (
        "3 runs on this machine, without isolation, 2 at once; pushes a, b and 1 more to https://github.com/acme/shop. "
        "Your working copy is not touched."
    )


def test_the_summary_of_testing_mode_names_the_directory() -> None:
    said = summarise([task(None, mode=Mode.TESTING, execution_mode="dagger")], at_once=4)
    assert said == "1 run in a container: works on a snapshot of /home/ann/shop; nothing changes there until you apply the result."


def test_recent_repositories_come_before_directories(tmp_path: Path) -> None:
    for name in ("shop", "shelf", ".hidden"):
        (tmp_path / name).mkdir()
    assert completions(f"{tmp_path}/sh", [f"{tmp_path}/shop", "https://github.com/o/r"]) == [f"{tmp_path}/shop", f"{tmp_path}/shelf"]
    assert completions("https://", ["https://github.com/o/r"]) == ["https://github.com/o/r"]


def test_an_unreadable_directory_has_no_completions() -> None:
    assert completions("/nonexistent/x", []) == []
