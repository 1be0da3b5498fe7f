"""Building the image with its output line by line, on the stand-in engine."""

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from ccterm.credentials.login import TOKEN_NAME
from ccterm.daemon.machine import ThisMachine
from ccterm.errors import PreflightError
from ccterm.executors.dagger.command import progress
from ccterm.state_dir import StateDir
from tests.credentials.login_documents import ACCESS, login
from tests.dagger_engine.engine import FakeEngine
from tests.dagger_engine.images import BARE
from tests.dagger_engine.tools import make_cli
from tests.support.git import write_files

SLIM = "docker.io/library/node:20-slim"


@pytest.fixture
def environ(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment of a user whose engine has a bare Debian with npm."""
    with FakeEngine({SLIM: BARE}) as engine:
        named = {"CCTERM_ENGINE": engine.runner, "CCTERM_DAGGER_CLI": str(make_cli(tmp_path / "bin")), "CCTERM_BASE_IMAGE": SLIM}
        yield {**os.environ, **named}


async def test_all_output_is_yielded_and_then_the_image_exists(environ: dict[str, str], tmp_path: Path) -> None:
    state = StateDir(tmp_path / "state").prepare()
    said = "\n".join([line async for line in ThisMachine(state, environ).make_image()])
    assert "installing what boxes need into" in said
    assert "Reading package lists" in said
    assert "added 3 packages" in said
    assert [line async for line in ThisMachine(state, environ).make_image()] == []


async def test_what_cannot_be_built_is_refused_with_the_fix(environ: dict[str, str], tmp_path: Path) -> None:
    environ["CCTERM_BASE_IMAGE"] = str(tmp_path / "gone.tar")
    with pytest.raises(PreflightError) as refused:
        _ = [line async for line in ThisMachine(StateDir(tmp_path / "state").prepare(), environ).make_image()]
    assert refused.value.fix


async def test_a_consumer_that_stops_early_leaves_nothing_behind(environ: dict[str, str], tmp_path: Path) -> None:
    before = logging.getLogger(progress.name).level, list(progress.handlers)
    lines = ThisMachine(StateDir(tmp_path / "state").prepare(), environ).make_image()
    assert await anext(lines)
    await lines.aclose()
    assert (progress.level, list(progress.handlers)) == before


async def test_an_export_says_which_login_runs_use_instead(isolation: Path, tmp_path: Path) -> None:
    write_files(isolation, {".claude/.credentials.json": login()})
    machine = ThisMachine(StateDir(tmp_path / "state").prepare(), os.environ)
    assert (await machine.export_login()).instead == ""
    other = ThisMachine(StateDir(tmp_path / "state").prepare(), {**os.environ, TOKEN_NAME: f"{ACCESS}-other"})
    assert TOKEN_NAME in (await other.export_login()).instead
