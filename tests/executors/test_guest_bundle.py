"""The guest bundle: the programs that every box gets."""

import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import ccterm
from ccterm.errors import StateError
from ccterm.executors.guest_bundle import guest_bundle
from tests.support.machine import bound_by_permissions

PACKAGE = Path(ccterm.__file__).parent


def test_it_contains_the_programs_and_nothing_else(bundles: Path) -> None:
    lib = guest_bundle(bundles)
    found = {str(path.relative_to(lib)) for path in lib.rglob("*.py")}
    programs = {str(path.relative_to(PACKAGE.parent)) for room in ("box", "git") for path in (PACKAGE / room).rglob("*.py")}
    assert found == {"__main__.py", "ccterm/__init__.py", *programs}
    assert (lib / "ccterm" / "__init__.py").read_bytes() == b""


def test_it_is_made_once(bundles: Path) -> None:
    assert guest_bundle(bundles).stat().st_ino == guest_bundle(bundles).stat().st_ino


def test_its_files_are_read_only_and_others_may_read_it(bundles: Path) -> None:
    lib = guest_bundle(bundles)
    modes = {(path.is_dir(), stat.S_IMODE(path.stat().st_mode)) for path in [lib, *lib.rglob("*")]}
    assert modes == {(True, 0o755), (False, 0o444)}


def test_it_is_removed_like_any_directory(tmp_path: Path) -> None:
    guest_bundle(tmp_path / "lib")
    subprocess.run([*bound_by_permissions(), "rm", "-rf", str(tmp_path / "lib")], check=True, timeout=60)
    assert not (tmp_path / "lib").exists()


def test_several_processes_may_make_it_at_once(tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        made = set(pool.map(lambda _: guest_bundle(tmp_path / "lib"), range(4)))
    assert [tmp_path / "lib" / path.name for path in made] == list((tmp_path / "lib").iterdir())


def test_its_programs_start_isolated_from_the_directory_they_run_in(bundles: Path, tmp_path: Path) -> None:
    for name in ("json.py", "ccterm.py", "typing.py"):
        (tmp_path / name).write_text("raise SystemExit('the box was imported')")
    command = [sys.executable, "-I", "-S", str(guest_bundle(bundles) / "__main__.py"), "scripted"]
    done = subprocess.run(command, cwd=tmp_path, input=b"", capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_its_bytecode_is_used(bundles: Path) -> None:
    command = [sys.executable, "-v", "-I", "-S", str(guest_bundle(bundles) / "__main__.py"), "scripted"]
    done = subprocess.run(command, input=b"", capture_output=True, check=False)
    assert b"stream.cpython" in done.stderr
    assert b"# wrote" not in done.stderr


def test_an_unwritable_directory_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StateError, match="cannot be written"):
        guest_bundle(tmp_path / "file" / "lib")
