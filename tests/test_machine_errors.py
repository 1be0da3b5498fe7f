"""A full disk, a failing one and too few file descriptors are known for what they are, whoever noticed them."""

import sqlite3
from pathlib import Path

import pytest

from ccterm.causes import Cause, advice
from ccterm.errors import StateError, StepError
from ccterm.executors.local.box import box_error
from ccterm.git.errors import fault_of
from ccterm.machine_errors import machine_error, reported_error

NO_SPACE = OSError(28, "No space left on device")


def caused(error: Exception, by: Exception) -> Exception:
    """Return an error that was raised because of another."""
    error.__cause__ = by
    return error


def full_database(path: Path) -> sqlite3.Error:
    """Return what SQLite raises when its file may not grow."""
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA max_page_count = 2")
    try:
        connection.execute("CREATE TABLE t (x)")
        connection.execute("INSERT INTO t VALUES (zeroblob(100000))")
    except sqlite3.Error as error:
        return error
    raise AssertionError("it had room")


@pytest.mark.parametrize(
    ("error", "cause", "reason"),
    [
        (NO_SPACE, "disk", "full"),
        (OSError(122, "Disk quota exceeded"), "disk", "full"),
        (OSError(5, "Input/output error"), "disk", "io"),
        (OSError(24, "Too many open files"), "engine", "descriptors"),
        (caused(StateError("the store cannot be used"), NO_SPACE), "disk", "full"),
        (caused(StepError(Cause.COMMIT, "it failed"), caused(ValueError("x"), NO_SPACE)), "disk", "full"),
        (ExceptionGroup("several", [ValueError("x"), NO_SPACE]), "disk", "full"),
    ],
)
def test_an_error_is_known_by_its_number(error: Exception, cause: str, reason: str) -> None:
    assert machine_error(error) == (cause, reason)


def test_a_full_database_is_a_full_disk(tmp_path: Path) -> None:
    assert machine_error(full_database(tmp_path / "db")) == ("disk", "full")


@pytest.mark.parametrize("error", [ValueError("No space left on device"), OSError(13, "Permission denied"), StateError("x")])
def test_other_errors_are_not(error: Exception) -> None:
    assert machine_error(error) is None


@pytest.mark.parametrize(
    ("stderr", "reason"),
    [
        ("error: file write error: No space left on device\nfatal: unable to write loose object", "full"),
        ("fatal: write error: Input/output error", "io"),
        ("remote: error: file write error: No space left on device\n ! [remote rejected]", None),
        ("fatal: Could not read from remote repository.", None),
    ],
)
def test_git_says_it_of_this_machine(stderr: str, reason: str | None) -> None:
    found = reported_error(fault_of(stderr, "").reason, "")
    assert (found and found.reason) == reason


def test_a_box_that_cannot_be_made_says_why() -> None:
    assert box_error("the box cannot be made", NO_SPACE).cause == "disk"
    assert box_error("the box cannot be made", OSError(24, "Too many open files")).reason == "descriptors"
    denied = box_error("the box cannot be made", OSError(13, "Permission denied"))
    assert (denied.cause, advice(denied.cause, denied.reason).sentence) == ("engine", "This machine could not run the step")
