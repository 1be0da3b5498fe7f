"""What a start imports: heavy libraries stay out until they are needed."""

import os
import subprocess
import sys
from collections.abc import Set
from pathlib import Path

import pytest

HEAVY = {"textual", "dagger", "fastapi", "starlette", "uvicorn", "keyring"}
CARRIES_OUT = {
    "ccterm.service.protocol", "ccterm.service.local", "ccterm.service.scheduler", "ccterm.settings", "ccterm.pipeline", "psutil", "ulid",
}  # fmt: skip

_COMMAND = """
import sys
sys.argv = {argv!r}
from ccterm.cli.main import main
try:
    main()
except SystemExit as ended:
    assert not ended.code, ended.code
"""


def loaded_by(program: str, shadows: Path) -> set[str]:
    """Run a program and return the top-level modules that it loaded."""
    return {name.partition(".")[0] for name in modules_loaded_by(program, shadows)}


def modules_loaded_by(program: str, shadows: Path, *, without: Set[str] = HEAVY) -> set[str]:
    """Run a program and return the modules that it loaded. Stand-ins make even a forgiven import of those that it should do without count."""
    for name in without:
        (shadows / f"{name}.py").touch()
    program += "\nimport sys; print(*sorted(sys.modules), file=sys.stderr)"
    paths = os.pathsep.join([str(shadows), str(Path(__file__).parent.parent)])
    done = subprocess.run(
        [sys.executable, "-P", "-c", program],
        env=os.environ | {"PYTHONPATH": paths},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return set(done.stderr.splitlines()[-1].split())


def help_loads(shadows: Path, *argv: str) -> set[str]:
    return modules_loaded_by(_COMMAND.format(argv=["ccterm", *argv, "--help"]), shadows)


@pytest.mark.parametrize("command", ["", "run"])
def test_help_loads_no_frontend_or_engine(command: str, tmp_path: Path) -> None:
    assert help_loads(tmp_path, *command.split()) & HEAVY == set()


def test_the_first_help_page_loads_no_models(tmp_path: Path) -> None:
    assert help_loads(tmp_path) & {"pydantic", "yaml", "psutil"} == set()


def test_the_service_loads_no_frontend(tmp_path: Path) -> None:
    loaded = loaded_by("import ccterm.service.local", tmp_path)
    assert "pydantic" in loaded
    assert loaded & HEAVY == set()


def test_the_service_is_opened_by_the_daemon_and_does_not_know_it(tmp_path: Path) -> None:
    loaded = modules_loaded_by("import ccterm.service.local, ccterm.service.remote", tmp_path)
    assert not any(name.startswith("ccterm.daemon") for name in loaded)


def test_the_public_api_is_imported_without_what_carries_runs_out(tmp_path: Path) -> None:
    assert "ccterm.service.local" not in modules_loaded_by("from ccterm import AgentService, Draft, Run, Service, State", tmp_path)


@pytest.mark.parametrize("command", ["runs", "show last", "logs last", "diff last"])
def test_a_command_that_reads_loads_nothing_that_carries_out(command: str, tmp_path: Path) -> None:
    program = _COMMAND.replace("not ended.code", "ended.code in (0, 1, 2)").format(argv=["ccterm", *command.split()])
    loaded = modules_loaded_by(program, tmp_path)
    assert "ccterm.service.reader" in loaded
    assert loaded & CARRIES_OUT == set()


def test_a_run_is_started_without_what_only_screens_servers_and_engines_need(tmp_path: Path) -> None:
    """Its first step waits for all that is imported by then: the Dagger SDK alone takes as long as everything else."""
    heavy = HEAVY | {"gql", "graphql", "beartype", "opentelemetry", "httpx", "h11", "cryptography", "yaml", "desktop_notifier", "tomllib"}
    loaded = modules_loaded_by("import ccterm.cli.commands, ccterm.cli.run_tasks, ccterm.daemon.wiring", tmp_path, without=heavy)
    assert "ccterm.service.local" in loaded
    assert loaded & heavy == set()


_FIRST_FRAME = """
import asyncio, os
os.environ["TEXTUAL_DRIVER"] = "textual.drivers.headless_driver:HeadlessDriver"
import ccterm.cli.main, ccterm.cli.terminal
from ccterm.tui.app import CctermApp
from ccterm.tui.opening import Look
from ccterm.tui.run import run

def load():  # called once the first frame is on the screen
    import sys
    print(*sorted(sys.modules), file=sys.stderr, flush=True)
    os._exit(0)

asyncio.run(run(CctermApp(Look()), None, load))
"""


def test_the_first_frame_of_the_terminal_waits_for_textual_alone(tmp_path: Path) -> None:
    """It is painted before the models, the settings and the service are loaded: together they take longer than Textual."""
    loaded = modules_loaded_by(_FIRST_FRAME, tmp_path, without=HEAVY - {"textual"})
    assert "ccterm.tui.opening" in loaded
    heavy = {"pydantic", "typer", "click", "psutil", "yaml", "sqlite3", "tomllib", "httpx", "ulid"}
    later = {
        "ccterm.models",
        "ccterm.events",
        "ccterm.settings",
        "ccterm.service",
        "ccterm.store",
        "ccterm.tui.pane",
        "ccterm.tui.screens.fleet",
    }
    assert loaded & ((HEAVY - {"textual"}) | heavy | later) == set()


BOX_HEAVY = {"dataclasses", "inspect", "tempfile", "random", "_lzma", "_bz2", "urllib", "difflib", "argparse", "logging"}
_UNTIL_THE_REQUEST = """
import os, sys

def tell(event, args):
    if event == "open" and args[0] == "/the/request":
        print(*sorted(sys.modules), file=sys.stderr, flush=True)
        os._exit(0)

sys.argv = ["", "{program}", "/the/request"]
sys.addaudithook(tell)
from ccterm.box.__main__ import main
main()
sys.exit("it reads no request")
"""


@pytest.mark.parametrize("program", ["supervise", "commit", "push", "shell", "checkout", "resolve"])
def test_a_program_in_a_box_starts_without_what_takes_long_to_load(program: str, tmp_path: Path) -> None:
    """Each step waits for it. It is looked at when it opens its request."""
    loaded = loaded_by(_UNTIL_THE_REQUEST.format(program=program), tmp_path)
    assert "ccterm" in loaded
    assert loaded & BOX_HEAVY == set()
