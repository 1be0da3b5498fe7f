"""From the form's text to drafts: tasks, branches, and problems as the draft model reports them."""

from pathlib import Path

import pytest

from ccterm.models import ExecutionMode, Mode, Task
from ccterm.tui.completion import PresetSuggester, batch_files, completions
from ccterm.tui.launch_form import branches_of, examine, in_form_words, split_prompts, summarise


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
    ("text", "prompts"),
    [
        ("One\n\\---\nTwo", ["One\n---\nTwo"]),
        ("One\n  \\--- \n---\nTwo", ["One\n  ---", "Two"]),
        ("One\n\\\\---\nx", ["One\n\\---\nx"]),
        ("One \\---", ["One \\---"]),
    ],
    ids=["line", "indented", "backslash-itself", "not-a-line"],
)
def test_a_backslash_makes_such_a_line_part_of_a_task(text: str, prompts: list[str]) -> None:
    assert split_prompts(text) == prompts


@pytest.mark.parametrize(
    ("name", "count", "branches"),
    [
        ("feature/x", 1, ["feature/x"]),
        ("feature/x", 2, ["feature/x-1", "feature/x-2"]),
        ("", 2, ["agent/…", "agent/…"]),
        ("fix/...", 1, ["fix/…"]),
    ],
)
def test_each_task_has_a_branch(name: str, count: int, branches: list[str]) -> None:
    assert branches_of(name, count) == branches


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("leave out --base, or give --branch", "leave “From” empty, or choose “push a branch” as Delivery"),
        ("give a URL, or use --mode local", "give a URL, or choose “this machine” as Where"),
        ("git remote add origin URL, or give the URL as --repo", "git remote add origin URL, or give the URL as Repository"),
        ("add --allow-default-branch", "add “Default branch”"),
        ("add --allow-path docs", "add --allow-path docs"),
    ],
)
def test_advice_names_the_field_and_not_the_flag(text: str, words: str) -> None:
    assert in_form_words(text) == words


def test_what_means_nothing_with_the_other_fields_is_left_out() -> None:
    found = examine({"prompt": "One", "branch": "a..b", "base": "-x", "delivery": "apply", "mode": "dagger", "skip_permissions": "yes"})
    assert [(draft.branch, draft.base, draft.skip_permissions) for draft in found.drafts] == [(None, None, None)]


def test_a_complete_form_becomes_drafts() -> None:
    found = examine(
        {"prompt": "One\n---\nTwo", "branch": "x", "repo": "https://github.com/o/r", "mode": "local", "timeout": "45m", "budget": "2"}
    )
    assert not found.problems
    assert [(draft.task, draft.branch, draft.execution_mode, draft.budget) for draft in found.drafts] == [
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
        "3 runs on this machine, 2 at once; pushes a, b and 1 more to https://github.com/acme/shop. Your working copy is not touched."
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


def test_batch_files_come_before_directories(tmp_path: Path) -> None:
    for name in ("tasks.yaml", "tasks.jsonl", "tasks.txt", ".hidden.yaml"):
        (tmp_path / name).touch()
    (tmp_path / "tasks.d").mkdir()
    names = [f"{tmp_path}/{name}" for name in ("tasks.jsonl", "tasks.yaml", "tasks.d/")]
    assert batch_files(f"{tmp_path}/ta") == batch_files(f"{tmp_path}/") == names
    assert batch_files("~nobody-of-that-name/") == []


def test_the_network_is_checked_as_it_is_typed() -> None:
    form = {"prompt": "x", "repo": "/r", "egress": "npm, Docs.example.com"}
    assert examine(form).drafts[0].egress == ("npm", "docs.example.com")
    wrong = examine({**form, "egress": "npm, nmp"}).problems["egress"]
    assert wrong.startswith('holds "nmp", which is neither a preset nor the whole name of a host; presets are github')
    assert examine({**form, "login": "gateway"}).drafts[0].login == "gateway"


@pytest.mark.parametrize(
    ("typed", "suggested"),
    [("re", "record"), ("npm, py", "npm, pypi"), ("npm,OP", None), ("npm", None), ("", None), ("npm, ", None), ("N", "Npm")],
)
async def test_presets_are_suggested_for_the_last_word(typed: str, suggested: str | None) -> None:
    assert await PresetSuggester().get_suggestion(typed) == suggested


def test_a_refused_network_is_told_in_words_of_the_form() -> None:
    told = "use --mode dagger, or give --egress open"
    assert in_form_words(told) == "choose “container” as Where, or write “open” as Network"
    assert in_form_words("give --egress open or record, or --login gateway") == (
        "write “open” or “record” as Network, or choose “gateway” as Login"
    )
