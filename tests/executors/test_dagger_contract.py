"""The Dagger executor fulfils the contract, on a stand-in engine (see tests/dagger_engine for its limits)."""

import base64
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from pydantic import JsonValue

from ccterm.causes import Cause
from ccterm.errors import PreflightError, StepError
from ccterm.executors.base import Boxes, Executor
from ccterm.executors.dagger.executor import DaggerExecutor
from ccterm.models import RunId, new_id
from ccterm.values import ImageChoice
from tests.dagger_engine.engine import FakeEngine
from tests.dagger_engine.tools import make_cli
from tests.executors.contract import ExecutorContract, Heard, ServiceContract, shell_step
from tests.support.fake_engine import Fake


@pytest.fixture(scope="module")
def fake(tmp_path_factory: pytest.TempPathFactory, base: Path) -> Iterator[Fake]:
    """Return one engine for all tests of the contract; each test opens its own session."""
    with FakeEngine() as engine:
        yield Fake(engine, make_cli(tmp_path_factory.mktemp("bin")), base)


class TestDaggerExecutor(ServiceContract, ExecutorContract):
    @pytest.fixture
    async def executor(self, fake: Fake, engine_cache: Path, bundles: Path) -> AsyncIterator[Executor]:
        async with DaggerExecutor(fake.options(), cache=engine_cache, bundles=bundles) as executor:
            yield executor

    async def test_the_host_s_loopback_has_the_address_that_the_user_wrote(self, boxes: Boxes) -> None:
        heard = Heard()
        command = "echo http://loopback-8080:8080/x loopback-80 loopback-443; echo cannot reach loopback-80:80 >&2; exit 1"
        result = await boxes.execute(shell_step(command, reaches=[("127.0.0.1", 8080), ("localhost", 80)]), heard.append)
        assert heard.lines() == ["http://127.0.0.1:8080/x localhost loopback-443"]
        reports = [frame["report"] for frame in heard if frame["k"] == "report"]
        assert result.report is not None
        assert [report["tail"].splitlines()[-1] for report in reports] == ["cannot reach localhost:80"]

    async def test_an_engine_that_forbids_closed_networks_refuses_the_step(self, boxes: Boxes) -> None:
        heard = Heard()
        with pytest.raises(StepError, match="this engine cannot close the network of a box") as refused:
            await boxes.execute(shell_step("touch ran", closed_network=True), heard.append)
        assert (refused.value.cause, refused.value.reason) == (Cause.ENGINE, "network")
        assert "security.insecureRootCapabilities" in refused.value.fix
        assert heard == []

    async def test_no_closed_box_runs_anything_as_root(self, boxes: Boxes) -> None:
        with pytest.raises(PreflightError, match="runs nothing as root"):
            await boxes.execute(shell_step("id", closed_network=True, user="root"), Heard().append)

    async def test_a_command_with_a_network_has_the_box_proxy(self, boxes: Boxes) -> None:
        open_to_all: JsonValue = {"mode": "open", "hosts": [], "gateway": None, "ca": None, "services": {}}
        step = shell_step("echo $HTTP_PROXY")
        heard = Heard()
        result = await boxes.execute(step.model_copy(update={"request": {**step.request, "network": open_to_all}}), heard.append)
        assert result.report
        assert result.report["ok"]
        assert heard.lines()[0].startswith("http://127.0.0.1:")

    async def test_a_proxy_on_the_host_s_loopback_keeps_its_login(self, fake: Fake, engine_cache: Path, bundles: Path) -> None:
        environ = {**os.environ, "HTTPS_PROXY": "http://me:p%40ss@127.0.0.1:3128"}
        heard = Heard()
        async with (
            DaggerExecutor(fake.options(), cache=engine_cache, bundles=bundles, environ=environ) as executor,
            executor.open_run(RunId(new_id()), ImageChoice()) as boxes,
        ):
            await boxes.execute(shell_step("printf %s $HTTPS_PROXY | base64 -w0; echo"), heard.append)  # plain text would be masked
        assert base64.b64decode(heard.lines()[0]) == b"http://me:p%40ss@loopback-3128:3128"
