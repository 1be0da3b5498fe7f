"""Batch files: both formats are equivalent, and every error has its position and fix."""

import json
from datetime import timedelta

import pytest

from ccterm.errors import TaskFileError, UsageError
from ccterm.models import ExecutionMode
from ccterm.tasks_file import Draft, draft, parse_tasks

WHOLE = """
defaults:
  repo: https://github.com/o/r
  mode: local
  timeout: 45m
  agent_args: [--one]
tasks:
  - prompt: Add a LICENSE
    branch: feature/license
  - prompt: |
      Fix the tests.
      All of them.
    branch: fix/tests
    base: develop
    timeout: 90s
    budget: 2.5
    max_turns: 7
    agent: scripted
    model: opus
    agent_args: [--a, "b c"]
    message: "Fix: tests"
    setup: npm ci
    verify: npm test
    hold: true
    allow_default_branch: yes
"""


def entries(text: str | bytes, name: str = "tasks.yaml") -> list[Draft]:
    return parse_tasks(text.encode() if isinstance(text, str) else text, name)


def fault(text: str | bytes, name: str = "tasks.yaml") -> TaskFileError:
    with pytest.raises(TaskFileError) as caught:
        entries(text, name)
    error = caught.value
    assert str(error).startswith(f"{name}, line {error.line}, column {error.column}: ")
    assert str(error).isprintable()
    assert error.fix
    return error


def test_a_complete_yaml_file_is_read() -> None:
    one, two = entries(WHOLE)
    assert (one.task, one.branch, one.execution_mode, one.timeout) == (
        "Add a LICENSE",
        "feature/license",
        ExecutionMode.LOCAL,
        timedelta(minutes=45),
    )
    assert (two.task, two.base, two.timeout, two.budget, two.max_turns) == (
        "Fix the tests.\nAll of them.\n",
        "develop",
        timedelta(seconds=90),
        2.5,
        7,
    )
    assert (two.agent_args, two.hold, two.allow_default_branch) == (("--a", "b c"), True, True)
    assert (two.message, two.setup, two.verify) == ("Fix: tests", "npm ci", "npm test")


def test_a_list_of_tasks_is_enough() -> None:
    assert [entry.task for entry in entries("- prompt: a\n- prompt: b\n")] == ["a", "b"]


def test_a_field_is_accepted_by_each_of_its_names() -> None:
    one, two = entries("- {prompt: a, mode: local}\n- {task: b, execution_mode: dagger}\n")
    assert (one.task, one.execution_mode) == ("a", ExecutionMode.LOCAL)
    assert (two.task, two.execution_mode) == ("b", ExecutionMode.DAGGER)


@pytest.mark.parametrize(("default", "own"), [("mode", "execution_mode"), ("execution_mode", "mode")])
def test_a_tasks_own_value_wins_over_a_default_under_the_other_name(default: str, own: str) -> None:
    (entry,) = entries(f"defaults: {{{default}: dagger}}\ntasks: [{{prompt: a, {own}: local}}]")
    assert entry.execution_mode is ExecutionMode.LOCAL


@pytest.mark.parametrize("indent", [None, 1])
def test_a_whole_file_may_be_json(indent: int | None) -> None:
    text = json.dumps({"defaults": {"repo": "https://github.com/acme/shop"}, "tasks": [{"prompt": "a"}, {"prompt": "b"}]}, indent=indent)
    assert [draft.task for draft in parse_tasks(text.encode(), "tasks.yaml")] == ["a", "b"]


def test_json_lines_are_equivalent() -> None:
    given = [{"prompt": "a", "branch": "x", "budget": 1.5, "agent_args": ["--y"]}, {"prompt": "ü\n😀", "timeout": "5m", "hold": False}]
    text = "\n\n".join(json.dumps(line) for line in given) + "\n"
    for name in ("tasks.jsonl", "tasks.txt"):
        one, two = entries(text, name)
        assert (one.branch, one.budget, one.agent_args) == ("x", 1.5, ("--y",))
        assert (two.task, two.timeout, two.hold) == ("ü\n😀", timedelta(minutes=5), False)


def test_a_task_may_unset_a_default() -> None:
    (entry,) = entries("defaults: {base: develop, model: opus}\ntasks: [{prompt: a, base: null, model: ~}]")
    assert (entry.base, entry.model) == (None, None)


@pytest.mark.parametrize("word", ["no", "yes", "on", "true", "1.10", "007", "0x1F", "1e3", "2024-01-01", "12:30:45", "nullish"])
def test_a_text_is_kept_as_written(word: str) -> None:
    (entry,) = entries(f"- prompt: {word}\n  branch: {word.replace(':', '-')}\n")
    assert (entry.task, entry.branch) == (word, word.replace(":", "-"))


def test_aliases_may_be_used_in_moderation() -> None:
    one, two = entries("- prompt: a\n  agent_args: &args [--x, --y]\n- prompt: b\n  agent_args: *args\n")
    assert one.agent_args == two.agent_args == ("--x", "--y")


def test_two_tasks_on_one_branch_are_allowed() -> None:
    assert len(entries("- {prompt: a, branch: x}\n- {prompt: b, branch: x}\n")) == 2


@pytest.mark.parametrize(
    "data",
    [
        b"\xef\xbb\xbf- prompt: a\r\n  branch: b\r\n",
        b"- prompt: a\r\n  branch: b",
        b'\xef\xbb\xbf{"prompt":"a","branch":"b"}\r\n',
        b"--- \n- prompt: a\n  branch: b\n...\n",
    ],
)
def test_byte_order_marks_and_line_ends_of_other_systems_are_fine(data: bytes) -> None:
    assert [(entry.task, entry.branch) for entry in entries(data)] == [("a", "b")]


PLACES = [
    ("- prompt: a\n- prompt: b\n  brunch: x\n", 3, 3, 'unknown key "brunch"', "did you mean branch?"),
    ("- prompt: a\n\n\n\n\n\n  branch: 'a b'\n", 7, 3, "the branch name", "letters, digits"),
    ("- prompt: a\n  base: '--all'\n", 2, 3, "the base", "main"),
    ("- prompt: a\n  repo: https://u:p@h/r\n", 2, 3, "holds a password or a token", "GH_TOKEN"),
    ("- prompt: a\n  repo: ext::sh\n", 2, 3, "remote helper", "https://"),
    ("- prompt: a\n  mode: docker\n", 2, 3, '"mode" has an unknown value', "give 'local' or 'dagger'"),
    ("- prompt: a\n  mode: pipeline\n", 2, 3, '"mode" has an unknown value', "give 'local' or 'dagger'"),
    ("- prompt: a\n  execution_mode: docker\n", 2, 3, '"execution_mode" has an unknown value', "give 'local' or 'dagger'"),
    ("- prompt: a\n  execution_mode: local\n  mode: local\n", 3, 3, '"mode" is given under two names', "keep one"),
    ("- prompt: a\n  timeout: soon\n", 2, 3, '"timeout" is not a duration', "45m"),
    ("- prompt: a\n  timeout: -5m\n", 2, 3, '"timeout" is not a duration', "45m"),
    ("- prompt: a\n  budget: much\n", 2, 3, '"budget" is not a number', "2.5"),
    ("- prompt: a\n  budget: -1\n", 2, 3, '"budget" is too small', "give at least 0.001"),
    ("- prompt: a\n  budget: .inf\n", 2, 3, '"budget" is not a number', "2.5"),
    ("- prompt: a\n  max_turns: 1.5\n", 2, 3, '"max_turns" is not a whole number', "such as 3"),
    ("- prompt: a\n  hold: perhaps\n", 2, 3, '"hold" is neither true nor false', "true or false"),
    ("- prompt: a\n  agent_args:\n    - x\n    - [y]\n", 4, 7, '"agent_args" is not text', "in quotes"),
    ("- prompt: a\n  branch: [x]\n", 2, 3, '"branch" is not text', "in quotes"),
    ('- prompt: a\n  setup: "a\\0b"\n', 2, 3, '"setup" contains a NUL', "remove it"),
    ("- prompt: a\n  setup: ''\n", 2, 3, '"setup" is empty', "write something"),
    ("- branch: a\n", 1, 3, '"task" is missing', "add it"),
    ("- prompt:\n", 1, 3, '"task" is missing', "add it"),
    ("- prompt: '  '\n", 1, 3, '"prompt" is empty', "say what"),
    ('- prompt: "a\\0b"\n', 1, 3, '"prompt" contains a NUL', "remove it"),
    ("- prompt: a\n  prompt: b\n", 2, 3, "is given twice (first in line 1)", "keep one"),
    ("- prompt: a\n  ? [x]\n  : b\n", 2, 5, "a key that is not a plain word", "key: value"),
    ("- &x {prompt: a}\n- <<: *x\n  prompt: b\n", 2, 3, "<< is not supported", "defaults"),
    ("- prompt: *nothing\n", 1, 11, 'the alias "nothing" refers to nothing', "write the value out"),
    ("- &x [*x]\n", 1, 7, 'the alias "x" refers to nothing', "write the value out"),
    ("- prompt: !!python/object/apply:os.system [id]\n", 1, 11, "tags are not supported", "plain value"),
    ("- prompt: !!binary aGk=\n", 1, 11, "tags are not supported", "plain value"),
    ("- !!map {prompt: a}\n", 1, 3, "tags are not supported", "plain value"),
    ("- prompt: !x a\n", 1, 11, "tags are not supported", "plain value"),
    ("- prompt: a\n\tbranch: b\n", 2, 1, "a tab in the indentation", "spaces"),
    ("- prompt: fix: the tests\n", 1, 14, "a colon where none is allowed", "quotes"),
    ("- prompt: @me\n", 1, 11, "has a meaning in YAML", "quotes"),
    ("- prompt: `x`\n", 1, 11, "has a meaning in YAML", "quotes"),
    ("- prompt: 'it\n", 2, 1, "not closed", "close it"),
    ("- prompt: a\n branch: b\n", 2, 2, "does not match", "align"),
    ("- {prompt: a\n", 2, 1, "does not match", "close"),
    ("- prompt: a\n--- \n- prompt: b\n", 2, 1, "a second document", "one list"),
    ("", 1, 1, "contains no tasks", "- task"),
    ("\n# nothing\n", 1, 1, "contains no tasks", "- task"),
    ("[]", 1, 1, "contains no tasks", "- task"),
    ("null", 1, 1, "contains no tasks", "- task"),
    ("tasks: []", 1, 1, "contains no tasks", "- task"),
    ("tasks:", 1, 1, "contains no tasks", "- task"),
    ("defaults: {mode: local}", 1, 1, "contains no tasks", "tasks:"),
    ("just words", 1, 1, "not a list", "- task"),
    ("tasks: words", 1, 8, "not a list", "- task"),
    ("tasks: {prompt: a}", 1, 8, "not a list", "- task"),
    ("- words", 1, 3, "a task without keys", "- task"),
    ("- [a]", 1, 3, "a task without keys", "- task"),
    ("-", 1, 2, "a task without keys", "- task"),
    ("prompt: a\nbranch: b\n", 1, 1, 'unknown key "prompt" at the top', "begin the task with -"),
    ("task:\n- prompt: a\n", 1, 1, 'unknown key "task" at the top', "did you mean tasks?"),
    ("defaults: [x]\ntasks: [{prompt: a}]", 1, 11, "defaults is not a mapping", "key: value"),
    ("defaults: {prompt: x}\ntasks: [{prompt: a}]", 1, 12, "a task among the defaults", "its own"),
    ("defaults:\n  modle: x\ntasks:\n- prompt: a\n", 2, 3, 'unknown key "modle"', "did you mean model?"),
    ("defaults:\n  modle:\ntasks:\n- prompt: a\n", 2, 3, 'unknown key "modle"', "did you mean model?"),
    (b"- prompt: a\n- prompt: \xff\n", 2, 11, "not UTF-8", "UTF-8"),
    (b"- prompt: a\n  x\x00: b\n", 2, 4, "a control character (U+0000)", "remove it"),
    (b"- prompt: \x1b[31m\n", 1, 11, "a control character (U+001B)", "remove it"),
    ("- prompt: a", 1, 1, "this is UTF-16", "UTF-8"),
    ("%YAML 1.1\n%YAML 1.1\n---\n- a", 2, 1, "duplicate %YAML", "check"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "line", "column", "words", "fix"), PLACES, ids=range(len(PLACES)))
def test_an_error_in_yaml_has_its_position_and_its_fix(text: str | bytes, line: int, column: int, words: str, fix: str) -> None:
    error = fault(str(text).encode("utf-16") if words == "this is UTF-16" else text)
    assert (error.line, error.column) == (line, column), str(error)
    assert words in error.message
    assert fix in error.fix


JSON_PLACES = [
    ('{"prompt":"a"}\n{"prompt":"b","brunch":"x"}', 2, 15, 'unknown key "brunch"', "did you mean branch?"),
    ('{"prompt":"a"}\n\n  {"prompt":"b", "branch" : "a b"}', 3, 18, "the branch name", ""),
    ('{"prompt":"a"}\n{"prompt":', 2, 11, "a value is expected, not the end", "one task"),
    ('{"prompt":"a"}\n{"prompt":"a",}', 2, 14, "a comma before the end of an object", "one task"),
    ('{"prompt":"a"}\n["a"]', 2, 1, "not an object", "one task"),
    ('{"prompt":"a"}\n{"prompt":"a"} x', 2, 16, "the value ends before x", "one task"),
    ('{"prompt":"a","prompt":"b"}', 1, 15, "given twice", "keep one"),
    ('{"prompt":"a"}\n{"prompt":"a","budget":NaN}', 2, 1, "NaN", "number"),
    ('{"prompt":"a"}\n{"prompt":"a","budget":1e999}', 2, 15, '"budget" is not a finite number', "such as 10"),
    ('{"prompt":"a"}\n{"prompt":"a","budget":' + "9" * 5000 + "}", 2, 1, "thousands of digits", "one task"),
    ('{"prompt":"a"}\n' + '{"a":' * 3000, 2, 1, "more than 400 deep", "one task"),
    ('{"prompt":"a"}\n{"prompt":"a","allow_path":[' + "[]," * 60_000 + "0]}", 2, 1, "more than 100,000 values", "one task"),
    ('{"prompt":"a","agent_args":[["x"]]}', 1, 1, "nested too deeply", "flat"),
    ('{"prompt":"a","branch":5}', 1, 15, '"branch" is not text', "in quotes"),
    ('{"prompt":"a","hold":"x"}', 1, 15, '"hold" is neither true nor false', ""),
    ('{"prompt":"\\u0000"}', 1, 2, "NUL", "remove"),
    ('{"prompt":"\\ud800"}', 1, 2, "half a character", "remove"),
    ('{"\\u001b[31m":1,"prompt":"a"}', 1, 2, "unknown key", ""),
    ("{}", 1, 1, '"task" is missing', "add it"),
    ("{" + ",".join(f'"k{number}":1' for number in range(50)) + "}", 1, 1, "too many values", "one task"),
    ('{"prompt":"' + "x" * 2_000_000 + '"}', 1, 1, "2,000,000 characters", "file"),
    ('{"prompt":"' + "x" * 1_000_001 + '"}', 1, 2, "1,000,000 characters", "file"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "line", "column", "words", "fix"), JSON_PLACES, ids=range(len(JSON_PLACES)))
def test_an_error_in_json_lines_has_its_position_and_its_fix(text: str, line: int, column: int, words: str, fix: str) -> None:
    error = fault(text, "tasks.jsonl")
    assert error.line == line
    assert error.column == column or not words
    assert words in error.message
    assert fix in error.fix


@pytest.mark.parametrize(
    ("text", "line", "column", "words"),
    [
        ('{"tasks": [\n {"task": "a" "branch": "x"}]}', 2, 15, 'a comma or the closing bracket is expected, not "branch"'),
        ('[{"task": "a"}', 1, 15, "a comma or the closing bracket is expected, not the end"),
        ('{"tasks": [{"task": "a}]}', 1, 21, "no closing quote"),
    ],
)
def test_a_whole_file_that_was_meant_as_json_is_told_of_as_json(text: str, line: int, column: int, words: str) -> None:
    error = fault(text, "tasks.json")
    assert (error.line, error.column) == (line, column)
    assert words in error.message
    assert error.fix == 'write {"tasks": [{"task": "…", "branch": "…"}]}'


def test_a_secret_in_a_refused_url_is_not_repeated() -> None:
    error = fault("- prompt: a\n  repo: https://user:tokentoken@github.com/o/r\n")
    shown: BaseException | None = error
    while shown:
        assert "tokentoken" not in str(shown)
        shown = shown.__cause__


def test_flags_make_the_same_draft() -> None:
    entry = draft({"prompt": "a", "branch": "x", "timeout": "5m", "mode": "local", "budget": None, "agent_args": ["--x"]})
    assert entry == Draft(task="a", branch="x", timeout=timedelta(minutes=5), execution_mode=ExecutionMode.LOCAL, agent_args=("--x",))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"prompt": " "}, "prompt is empty"),
        ({"prompt": "a", "branch": "--x"}, "branch is refused"),
        ({"prompt": "a", "timeout": "x"}, "timeout is not a duration"),
    ],
)
def test_an_invalid_flag_is_one_clear_error(values: dict[str, object], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        draft(values)
