"""The private parts of the Dagger SDK: everything works the public way without any one of them."""

import asyncio
import builtins
import importlib
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import SimpleNamespace

import dagger
import pytest

from ccterm.errors import PreflightError
from ccterm.executors.dagger.command import find_cli, install_fix
from ccterm.executors.dagger.dagger_private import asking_id_once, volume_asking_id_once, with_cached_id
from ccterm.executors.dagger.executor import DaggerExecutor
from ccterm.models import RunId, new_id
from ccterm.values import ImageChoice
from tests.dagger_engine.engine import FakeEngine
from tests.executors.contract import Heard, shell_step
from tests.support.fake_engine import Fake

CONTEXT = "client._core.Context"
CONNECTION = "client._session.SingleConnection"
PARTS = [
    CONNECTION,
    "client._session.ConnectParams",
    "client._config.ConnectConfig",
    CONTEXT,
    "client._core.make_converter",
    "client._core.Field",
]


def take_away(monkeypatch: pytest.MonkeyPatch, part: str) -> None:
    """Hide a private name from everybody but the SDK itself, as if a new version had renamed it."""
    owner, _, name = f"dagger.{part}".rpartition(".")
    module = importlib.import_module(owner)
    value = getattr(module, name)
    monkeypatch.setattr(builtins, name, value, raising=False)  # here the SDK's own functions still find it
    monkeypatch.delattr(module, name)
    if part == CONTEXT:  # the one that the SDK imports when it is called
        monkeypatch.setattr(dagger.Client, "from_connection", classmethod(lambda cls, connection: cls(value(connection))))


@pytest.fixture
async def executor(fake: Fake, engine_cache: Path, bundles: Path) -> AsyncIterator[DaggerExecutor]:
    async with DaggerExecutor(fake.options(), cache=engine_cache, bundles=bundles) as executor:
        yield executor


@pytest.mark.first_is_fast
@pytest.mark.parametrize("part", PARTS)
async def test_steps_run_and_hand_over_their_work_without(
    part: str, executor: DaggerExecutor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    take_away(monkeypatch, part)
    async with executor.open_run(RunId(new_id()), ImageChoice()) as boxes:
        made = await boxes.execute(shell_step("mkdir out; echo one > out/file", outputs=["out"]), Heard().append)
        heard = Heard()
        await boxes.execute(shell_step("cat in/file", inputs={"in": made.outputs["out"]}), heard.append)
        assert heard.lines() == ["one"]
        await boxes.collect(made.outputs["out"], tmp_path / "out")
    assert (tmp_path / "out" / "file").read_text() == "one\n"


@pytest.fixture
def other() -> Iterator[FakeEngine]:
    with FakeEngine() as engine:
        yield engine


async def test_two_engines_are_connected_the_public_way_at_once(
    fake: Fake, other: FakeEngine, engine_cache: Path, bundles: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    take_away(monkeypatch, CONNECTION)
    async with DaggerExecutor(fake.options(other), cache=engine_cache, bundles=bundles) as executor:
        await asyncio.gather(*(carried_out(executor) for _ in range(2)))
    assert fake.engine.executed
    assert other.executed
    assert not any(name.startswith("DAGGER_SESSION") for name in os.environ)


async def carried_out(executor: DaggerExecutor) -> None:
    async with executor.open_run(RunId(new_id()), ImageChoice()) as boxes:
        await boxes.execute(shell_step("true"), Heard().append)


class Bare(dagger.Directory):
    """A directory as a later SDK might make it."""

    def __init__(self, **private: object) -> None:
        for name, value in private.items():
            setattr(self, name, value)


@pytest.mark.parametrize(
    "private",
    [
        pytest.param({}, id="no context"),
        pytest.param({"_ctx": SimpleNamespace()}, id="no selections"),
        pytest.param({"_ctx": SimpleNamespace(selections=[])}, id="an empty query"),
        pytest.param({"_ctx": SimpleNamespace(selections=[SimpleNamespace()])}, id="no arguments"),
        pytest.param({"_ctx": SimpleNamespace(selections=[SimpleNamespace(args={})])}, id="no id"),
    ],
)
def test_a_directory_whose_id_cannot_be_told_is_used_as_it_is(private: dict[str, object]) -> None:
    directory = Bare(**private)
    assert with_cached_id(directory) is directory


class BareService(dagger.Service):
    def __init__(self) -> None:
        """Leave out what the SDK's own would set."""


class BareVolume(dagger.CacheVolume):
    def __init__(self) -> None:
        """Leave out what the SDK's own would set."""


def test_what_has_no_context_is_used_as_it_is() -> None:
    service, volume = BareService(), BareVolume()
    assert asking_id_once(service) is service
    assert volume_asking_id_once(volume) is volume


def test_where_classes_are_not_asked_for_their_names_nothing_is_cached(monkeypatch: pytest.MonkeyPatch) -> None:
    directory = Bare(_ctx=SimpleNamespace(selections=[SimpleNamespace(args={"id": "x"})]))
    assert with_cached_id(directory) is not directory
    monkeypatch.delattr(dagger.client.base.Object, "_graphql_name")
    assert with_cached_id(directory) is directory


@pytest.mark.parametrize("name", ["Downloader", "Downloader.cache_dir", "Downloader.CLI_BIN_PREFIX", "Downloader.get"])
async def test_a_cli_that_the_sdk_does_not_download_is_asked_of_the_user(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(f"dagger.provisioning._download.{name}")
    with pytest.raises(PreflightError) as refused:
        await find_cli(None, {"PATH": ""})
    assert "does not download it" in refused.value.message
    assert refused.value.fix == install_fix()


def test_the_sdk_is_loaded_without_checks_of_argument_types() -> None:
    """They take half of its loading time. Loaded before, as by these tests, it keeps them."""
    loaded = "import asyncio, sys; from ccterm.executors.dagger.sdk import load_sdk; asyncio.run(load_sdk()); import dagger"
    asked = (
        "print(hasattr(dagger.Container.with_user, '__wrapped__'), [each for each in sys.meta_path if 'ccterm' in type(each).__module__])"
    )
    done = subprocess.run([sys.executable, "-c", f"{loaded}; {asked}"], capture_output=True, text=True, check=True)
    assert done.stdout == "False []\n"
