"""What ccterm itself says holds no secret that it has read: errors, log and messages in all their shapes; and no CI runner obeys it."""

import base64
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from ccterm.output.clean import WITHHELD
from ccterm.output.own_text import MOST, clean_text, forget, remember
from ccterm.state_dir import LOG
from tests.output.own_words import COMMANDS, SECRET, SHAPES, SPELLINGS


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str, str]:
    """Return stdout, stderr and log of a process that reported everything."""
    directory = tmp_path_factory.mktemp("state")
    done = subprocess.run(
        [sys.executable, "-m", "tests.output.own_words", str(directory)],
        env={**os.environ, "GITHUB_ACTIONS": "true"},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout, done.stderr, (directory / LOG).read_text()


def test_no_error_in_any_shape_carries_a_secret_into_log_or_output(said: tuple[str, str, str]) -> None:
    assert len(SHAPES) * len(SPELLINGS) == 50
    code = base64.b64encode(SECRET.encode()).decode()[2:-4]
    for text in said:
        assert [form for form in (*SPELLINGS.values(), SECRET, json.dumps(SECRET)[1:-1], code) if form in text] == []
    _, stderr, log = said
    entries = [json.loads(line) for line in log.splitlines()]
    assert len(entries) > 100
    assert stderr.count("ccterm: ") == 50
    assert stderr.count("[masked:the token]") > 30  # not in all: some shapes show nothing of what they hold


def test_a_ci_runner_takes_nothing_that_is_printed_for_a_command(said: tuple[str, str, str]) -> None:
    assert len(COMMANDS) == 30
    lines = said[0].splitlines()
    assert [line for line in lines if line.lstrip().startswith("::") or "##[" in line] == []
    told = [json.loads(line)["said"] for line in lines if line.startswith('{"said"')]
    assert told == [command.replace(SECRET, "it") for command in COMMANDS]


def test_what_was_read_in_another_thread_is_masked_too() -> None:
    thread = threading.Thread(target=remember, args=([("TOKEN", SECRET)],))
    thread.start()
    thread.join()
    assert clean_text(f"\x1b[1m{SECRET}!") == "[masked:TOKEN]!"
    forget()
    assert clean_text(SECRET) == SECRET


def test_the_oldest_values_are_forgotten_and_none_is_kept_twice() -> None:
    remember((f"N{number}", f"value-{number:06}") for number in (*range(MOST), *range(1, MOST)))
    assert clean_text("value-000000") == "[masked:N0]"
    remember([("LAST", "value-last")])
    assert clean_text("value-000000 value-000001 value-last") == "value-000000 [masked:N1] [masked:LAST]"


def test_a_text_that_cannot_be_masked_is_withheld() -> None:
    remember([("TOKEN", SECRET)])
    assert clean_text(None) == WITHHELD  # type: ignore[arg-type]  # whatever goes wrong
