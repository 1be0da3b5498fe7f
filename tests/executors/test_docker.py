"""Every problem of a container runtime has its own sentence and fix."""

import importlib.metadata
from pathlib import Path

import pytest

from ccterm.executors.dagger.checks import docker_state, read_answer
from ccterm.executors.dagger.executor import DaggerExecutor, DaggerOptions, EngineChoice
from ccterm.preflight import run_checks
from tests.dagger_engine.tools import make_cli

DENIED = "permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock: dial unix: connect: permission denied"
STOPPED = "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?"
COLIMA = "Cannot connect to the Docker daemon at unix:///Users/me/.colima/default/docker.sock. Is the docker daemon running?"
PODMAN = "Cannot connect to Podman: dial unix /run/user/1000/podman/podman.sock: connect: no such file or directory"


@pytest.mark.parametrize(
    ("name", "code", "words", "context", "platform", "text", "fix"),
    [
        pytest.param("docker", 0, "27.1.0\n", "colima", "darwin", "docker 27.1.0 (context: colima)", "", id="runs"),
        pytest.param("docker", 1, DENIED, "default", "linux", "permission denied on the socket of docker", "usermod", id="denied"),
        pytest.param("docker", 1, STOPPED, "default", "linux", "docker is not running", "systemctl start docker", id="stopped"),
        pytest.param("docker", 1, STOPPED, "desktop-linux", "darwin", "context: desktop-linux", "Docker Desktop", id="desktop"),
        pytest.param("docker", 1, COLIMA, "colima", "darwin", "docker is not running", "colima start", id="colima"),
        pytest.param("podman", 125, PODMAN, "", "linux", "podman is not running", "podman.socket", id="podman"),
        pytest.param("docker", -1, "", "default", "linux", "does not answer", "systemctl", id="hangs"),
        pytest.param("docker", 1, "unknown flag: --format", "default", "linux", "unknown flag", "docker", id="odd"),
    ],
)
def test_an_answer_becomes_one_sentence_and_a_fix(
    name: str, code: int, words: str, context: str, platform: str, text: str, fix: str
) -> None:
    state = read_answer(name, code, words, context, platform)
    assert text in state.text
    assert fix in state.fix
    assert state.ok == (code == 0)
    assert "\n" not in state.text + state.fix


async def test_without_a_runtime_the_fix_is_to_install_one(tmp_path: Path) -> None:
    state = await docker_state({"PATH": str(tmp_path)})
    assert (state.ok, state.text) == (False, "neither Docker nor podman is installed")
    assert "CCTERM_ENGINE" in state.fix


async def test_the_runtime_on_the_path_is_used(tmp_path: Path) -> None:
    program = tmp_path / "docker"
    program.write_text(f"#!/bin/sh\n[ $1 = context ] && echo default || {{ echo '{STOPPED}' >&2; exit 1; }}\n")
    program.chmod(0o755)
    assert (await docker_state({"PATH": f"{tmp_path}:/bin:/usr/bin"}, "linux")).text == "docker is not running"


@pytest.mark.slow
async def test_a_runtime_that_hangs_is_named_in_time(tmp_path: Path) -> None:
    program = tmp_path / "docker"
    program.write_text("#!/bin/sh\nexec sleep 300\n")
    program.chmod(0o755)
    executor = DaggerExecutor(
        DaggerOptions(engines=(EngineChoice(),)),
        cache=tmp_path / "cache",
        bundles=tmp_path / "lib",
        environ={"PATH": f"{tmp_path}:/bin:/usr/bin"},
    )
    results = {result.name: result async for result in run_checks(executor.checks())}
    assert (results["runtime"].text, results["cli"].status) == ("docker does not answer", "warn")


async def test_what_is_missing_is_listed_once(tmp_path: Path) -> None:
    options = DaggerOptions(engines=(EngineChoice(),), cli=tmp_path / "dagger")
    executor = DaggerExecutor(options, cache=tmp_path / "cache", bundles=tmp_path / "lib", environ={"PATH": str(tmp_path)})
    results = {check.name: await check.run() for check in executor.checks()}
    assert [name for name, result in results.items() if "there is no Dagger CLI" in result.text] == ["cli"]
    assert f"DAGGER_VERSION={importlib.metadata.version('dagger-io')} " in results["cli"].fix
    assert (results["engine"].status, results["engine"].text) == ("warn", "not asked for: an engine needs the Dagger CLI first")


async def test_an_engine_is_not_asked_for_without_a_container_runtime(tmp_path: Path) -> None:
    options = DaggerOptions(engines=(EngineChoice(),), cli=make_cli(tmp_path / "cli"))
    executor = DaggerExecutor(options, cache=tmp_path / "cache", bundles=tmp_path / "lib", environ={"PATH": str(tmp_path)})
    results = {check.name: await check.run() for check in executor.checks()}
    assert results["runtime"].status == "fail"
    assert results["engine"].text == "not asked for: an engine needs a container runtime first"


async def test_no_cli_is_downloaded_before_there_is_a_container_runtime(tmp_path: Path) -> None:
    executor = DaggerExecutor(
        DaggerOptions(engines=(EngineChoice(),)), cache=tmp_path / "cache", bundles=tmp_path / "lib", environ={"PATH": str(tmp_path)}
    )
    results = {check.name: await check.run() for check in executor.checks()}
    assert (results["cli"].status, results["cli"].text.startswith("the Dagger CLI is not installed; ccterm downloads it once")) == (
        "warn",
        True,
    )
    assert results["engine"].text == "not asked for: an engine needs a container runtime first"


@pytest.mark.parametrize(
    ("name", "body", "text"),
    [
        (
            "docker",
            'case "$*" in "info --format {{.ServerVersion}}") echo 27.1.0;; "context show") echo default;; *) exit 9;; esac',
            "docker 27.1.0",
        ),
        ("docker", f"[ $1 = context ] && exit 1; echo '{STOPPED}' >&2", "docker is not running"),
        ("docker", """[ "$*" = info ] || { echo "template: can't evaluate field ServerVersion" >&2; exit 125; }""", "docker"),
        ("podman", 'case "$*" in "info --format {{.Version.Version}}") echo 5.1.0;; *) exit 9;; esac', "podman 5.1.0"),
    ],
    ids=["docker", "exit code 0 without a daemon", "podman called docker", "podman"],
)
async def test_the_runtime_is_asked_for_its_state(tmp_path: Path, name: str, body: str, text: str) -> None:
    program = tmp_path / name
    program.write_text(f"#!/bin/sh\n{body}\n")
    program.chmod(0o755)
    state = await docker_state({"PATH": f"{tmp_path}"}, "linux")
    assert (state.ok, state.text) == (text != "docker is not running", text)
