"""The Python API is what docs/python.md says: its programs run, their types are right, and its list of names is complete."""

import asyncio
import json
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import ccterm
from ccterm import errors, events
from ccterm.service.wire import error_classes
from scripts.docs_python import FOR_FRONTENDS
from tests.conftest import MakeRemote
from tests.e2e.arranged import configure
from tests.programs import many_tasks, one_task, steered
from tests.support.core import EDIT, script
from tests.support.git import git, make_repository

HERE = Path(__file__).parent
PAGE = (HERE.parents[1] / "docs" / "python.md").read_text("utf-8")
PROGRAMS = [str(HERE / f"{name}.py") for name in ("one_task", "many_tasks", "steered")]


@pytest.fixture
def scripted(isolation: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings by which tasks are played by the scripted agent on this machine."""
    configure(isolation, 'agent = "scripted"\nexecution_mode = "local"\n')
    monkeypatch.setenv("CCTERM_STATE_DIR", str(tmp_path / "state"))


@pytest.mark.usefixtures("scripted")
def test_one_task(make_remote: MakeRemote, capsys: pytest.CaptureFixture[str]) -> None:
    remote = str(make_remote({"README.md": "hello\n"}))
    assert one_task.main(remote, EDIT) == 0
    assert capsys.readouterr().out.startswith("#1 pushed ")
    assert one_task.main(remote, script({"fail": "server_error"})) == 1
    assert "#2 failed (agent): " in capsys.readouterr().err
    assert one_task.main(remote, " ") == 2
    assert "task is empty; say what the agent should do" in capsys.readouterr().err


@pytest.mark.usefixtures("scripted")
def test_many_tasks(make_remote: MakeRemote, capsys: pytest.CaptureFixture[str], isolation: Path) -> None:
    configure(isolation, 'agent = "scripted"\nexecution_mode = "local"\n[policy]\nstrict = true\n')
    remote = make_remote({"README.md": "hello\n", **{f"old/{number}.txt": f"{number}\n" for number in range(30)}})
    assert asyncio.run(many_tasks.main(str(remote), [EDIT, script({"bash": "rm -r old"}, {"say": "Removed them."})])) == 0
    printed = capsys.readouterr().out
    assert "[1/2] " in printed
    assert "[2/2] " in printed
    assert ": rm -r old" in printed
    assert git(remote, "ls-tree", "--name-only", "agent/task-2") == "README.md"


@pytest.mark.usefixtures("scripted")
def test_steered(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copy = make_repository(tmp_path / "copy", {"README.md": "hello\n"})
    assert asyncio.run(steered.main(str(copy), EDIT, ["thanks"])) == 0
    printed = capsys.readouterr().out
    assert "it waits, at most 15 minutes" in printed
    assert "#1 succeeded" in printed
    assert "+new" in printed
    assert (copy / "new.txt").read_text() == "new\n"


@pytest.mark.slow
def test_their_types_are_right_for_mypy_without_any_configuration(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file=", f"--cache-dir={tmp_path}", *PROGRAMS]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("node") is None, reason="pyright runs on node")
def test_their_types_are_right_for_pyright(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.py"
    wrong.write_text('import ccterm\nccterm.run(task=1, brunch="x")\nccterm.nothing\n')
    config = {"typeCheckingMode": "strict", "include": [*PROGRAMS, str(wrong)], "extraPaths": [str(HERE.parents[1])]}
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(config))
    command = [sys.executable, "-m", "pyright", "--outputjson", "--pythonpath", sys.executable, "-p", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    found = [(Path(each["file"]).name, each["rule"]) for each in json.loads(done.stdout)["generalDiagnostics"]]
    assert {name for name, _ in found} == {"wrong.py"}, found
    assert {"reportCallIssue", "reportAttributeAccessIssue"} <= {rule for _, rule in found}


def test_the_public_names_are_there_and_on_the_page() -> None:
    assert dir(ccterm) == sorted(ccterm.__all__)
    for name in ccterm.__all__:
        assert getattr(ccterm, name) is not None
    assert [name for name in ccterm.__all__ if name not in PAGE] == ["__version__"]


def test_the_public_modules_name_all_their_errors_and_events() -> None:
    assert {kind.__name__ for kind in error_classes() if kind.__module__ == "ccterm.errors"} == set(errors.__all__)
    kinds = {name for name, found in vars(events).items() if isinstance(found, type) and issubclass(found, events.Fact)}
    assert kinds | {"Event"} == set(events.__all__)


@pytest.mark.parametrize("module", [ccterm, errors, events], ids=lambda module: module.__name__)
def test_a_star_import_brings_what_is_public_and_nothing_else(module: ModuleType) -> None:
    names: dict[str, object] = {}
    exec(f"from {module.__name__} import *", names)
    assert names.keys() - {"__builtins__"} == set(module.__all__)


def test_every_public_method_of_the_service_is_on_the_page_unless_it_is_for_frontends() -> None:
    public = {name for name in dir(ccterm.Service) if not name.startswith("_")}
    assert {name for name in public if f"`{name}(" not in PAGE} == FOR_FRONTENDS
