"""The fields of a task are described once: the draft, the flags and the Python API have the same ones."""

from datetime import timedelta

import pytest
import typer
from typer.testing import CliRunner

from ccterm.cli.commands.flags import given, with_task_flags
from ccterm.draft import FIELDS, Draft, DraftFields, TaskField, draft
from ccterm.models import ExecutionMode
from ccterm.problems import keys

FLAGGED = {name: field for name, field in FIELDS.items() if field.flags}
SAMPLES: dict[str, tuple[str, object]] = {"number": ("2.5", 2.5), "count": ("0", 0), "text": ("word", "word")}


def parsed(*args: str) -> dict[str, object]:
    """Return the fields that a command gets from flags."""
    taken: dict[str, object] = {}
    app = typer.Typer()

    @app.command()
    @with_task_flags
    def run(**fields: object) -> None:
        taken.update(given(fields))

    done = CliRunner().invoke(app, args)
    assert done.exit_code == 0, done.output
    return taken


def test_every_field_of_a_draft_is_described_in_its_order() -> None:
    assert list(FIELDS) == list(Draft.model_fields)


def test_the_python_api_has_every_field_by_the_same_name() -> None:
    assert sorted(DraftFields.__annotations__) == sorted(FIELDS)
    assert DraftFields.__required_keys__ == {"task"}


def test_every_name_that_is_described_is_accepted() -> None:
    assert set(keys(Draft)) == {name for key, field in FIELDS.items() for name in (key, *field.also)}


@pytest.mark.parametrize(("name", "field"), FLAGGED.items(), ids=FLAGGED)
def test_each_flag_gives_its_field(name: str, field: TaskField) -> None:
    for flag in field.flags:
        if field.kind == "switch":
            assert parsed(flag) == {name: True}
        elif field.kind == "texts":
            assert parsed(flag, "one", flag, "two") == {name: ["one", "two"]}
        else:
            text, value = (field.choices[0], field.choices[0]) if field.choices else SAMPLES[field.kind]
            assert parsed(flag, text) == {name: value}


def test_without_flags_nothing_is_given() -> None:
    assert parsed() == {}


def test_choices_are_those_of_the_draft() -> None:
    assert set(FIELDS["execution_mode"].choices) == set(ExecutionMode)


@pytest.mark.parametrize("name", ["mode", "execution_mode"])
def test_the_execution_mode_goes_by_both_names(name: str) -> None:
    assert draft({"task": "x", name: "local"}).execution_mode is ExecutionMode.LOCAL


def test_a_duration_survives_json() -> None:
    made = draft({"task": "x", "timeout": "1h30m", "silence": "90s"})
    assert (made.timeout, made.silence) == (timedelta(minutes=90), timedelta(seconds=90))
    assert Draft.model_validate_json(made.model_dump_json()) == made
