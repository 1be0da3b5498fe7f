"""The making of the image, heard line by line; on the stand-in engine."""

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from ccterm.daemon.image import making
from ccterm.errors import PreflightError
from ccterm.executors.dagger.command import progress
from ccterm.state_dir import StateDir
from tests.dagger_engine.engine import FakeEngine
from tests.dagger_engine.images import BARE
from tests.dagger_engine.tools import make_cli

SLIM = "docker.io/library/node:20-slim"


@pytest.fixture
def environ(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment of a user whose engine has a bare Debian with npm."""
    with FakeEngine({SLIM: BARE}) as engine:
        named = {"CCTERM_ENGINE": engine.runner, "CCTERM_DAGGER_CLI": str(make_cli(tmp_path / "bin")), "CCTERM_BASE_IMAGE": SLIM}
        yield {**os.environ, **named}


async def test_all_that_is_said_is_heard_and_then_the_image_is_there(environ: dict[str, str], tmp_path: Path) -> None:
    state = StateDir(tmp_path / "state").prepare()
    said = "\n".join([line async for line in making(state, environ)])
    assert "installing what boxes need into" in said
    assert "Reading package lists" in said
    assert "added 3 packages" in said
    assert [line async for line in making(state, environ)] == []


async def test_what_cannot_be_made_is_refused_with_the_fix(environ: dict[str, str], tmp_path: Path) -> None:
    environ["CCTERM_BASE_IMAGE"] = str(tmp_path / "gone.tar")
    with pytest.raises(PreflightError) as refused:
        _ = [line async for line in making(StateDir(tmp_path / "state").prepare(), environ)]
    assert refused.value.fix


async def test_who_stops_listening_leaves_nothing_behind(environ: dict[str, str], tmp_path: Path) -> None:
    before = logging.getLogger(progress.name).level, list(progress.handlers)
    lines = making(StateDir(tmp_path / "state").prepare(), environ)
    assert await anext(lines)
    await lines.aclose()
    assert (progress.level, list(progress.handlers)) == before
