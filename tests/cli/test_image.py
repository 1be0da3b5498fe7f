"""`ccterm image build --repo`: whose settings it takes, and what it refuses before an engine is asked."""

from pathlib import Path

from ccterm.agents.claude import CLAUDE_VERSION
from tests.conftest import Command
from tests.dagger_engine.engine import FakeEngine
from tests.dagger_engine.images import whole
from tests.dagger_engine.tools import make_cli
from tests.support.core import ccterm
from tests.support.git import git, make_repository


def test_the_image_of_a_working_copy_is_that_of_its_remote(state: Path, tmp_path: Path, isolation: Path) -> None:
    config = isolation / "config" / "ccterm"
    config.mkdir(parents=True)
    (config / "config.toml").write_text('[repo."github.com/acme/shop"]\ndockerfile = "/nowhere/Dockerfile"\n')
    copy = make_repository(tmp_path / "shop", {"a": "a\n"})
    git(copy, "remote", "add", "origin", "git@github.com:acme/shop.git")
    with FakeEngine() as engine:
        base = whole(CLAUDE_VERSION).tarball(tmp_path / "base.tar")
        env = {"CCTERM_ENGINE": engine.runner, "CCTERM_DAGGER_CLI": str(make_cli(tmp_path / "bin")), "CCTERM_BASE_IMAGE": str(base)}
        done = ccterm("image", "build", "--repo", str(copy), env=env)
    assert (done.returncode, "the Dockerfile /nowhere/Dockerfile does not exist" in done.stderr) == (3, True), done.stderr


def test_a_missing_directory_is_refused_before_an_engine_is_used(command: Command, state: Path) -> None:
    done = command("image", "build", "--repo", "/nowhere")
    assert (done.returncode, '"/nowhere" is not a directory' in done.stderr) == (2, True), done.stderr
