"""scripts/ccterm on various machines: it makes its environment once, repairs it when it is broken, and says what is missing."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from tests.servers.tls import Certificate, make_certificate, speak_tls
from tests.support.waiting import wait_until

ROOT = Path(__file__).parent.parent
LOCKS = ("requirements.lock", "requirements-dev.lock")
PIP = re.search(r'^PIP = "(.*)"', (ROOT / "scripts" / "environment.py").read_text(), re.MULTILINE)[1]  # type: ignore[index]

WITHOUT_PIP = """#!/bin/sh
[ "$2" = -c ] && exec {python} "$@"
shift
exec {python} -c 'import runpy, sys; sys.modules["ensurepip"] = None; sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name="__main__")' "$@"
"""
WITHOUT_VENV = """#!/bin/sh
[ "$2" = -c ] && exec {python} "$@"
shift
exec {python} -c 'import runpy, sys; sys.modules["venv"] = None; sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name="__main__")' "$@"
"""
TOO_OLD = """#!/bin/sh
[ "$1" = -V ] && echo 'Python 3.9.2' && exit
exit 1
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a copy of the tree, in a directory with a space, whose ccterm prints its arguments and whose lock holds one small package."""
    root = tmp_path / "a checkout"
    shutil.copytree(ROOT / "scripts", root / "scripts")
    (root / "ccterm").mkdir()
    (root / "ccterm" / "__init__.py").touch()
    (root / "ccterm" / "__main__.py").write_text("import sys, mdurl\nprint(*sys.argv[1:], sep='|')\n")
    whole = (ROOT / "requirements.lock").read_text()
    small = re.search(r"^mdurl==.*\n(?: +--hash.*\n)+", whole, re.MULTILINE)
    assert small
    for lock in LOCKS:
        (root / lock).write_text(small[0])
    return root


def start(program: Path, *args: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([program, *args], env=os.environ | env, capture_output=True, text=True, timeout=300, check=False)


def stand_ins(directory: Path, **programs: str) -> str:
    """Make a PATH with nothing on it but these scripts."""
    directory.mkdir()
    for name, script in programs.items():
        path = directory / name.replace("_", ".")
        path.write_text(script.format(python=sys.executable))
        path.chmod(0o755)
    return str(directory)


def test_a_python_without_venv_is_one_clear_error(checkout: Path, tmp_path: Path) -> None:
    done = start(checkout / "scripts" / "ccterm", PATH=stand_ins(tmp_path / "bin", python3=WITHOUT_VENV))
    assert done.returncode == 3
    assert done.stderr.splitlines()[-1].endswith("install it (apt install python3-venv on Debian and Ubuntu) and start again")
    assert not (checkout / ".venv").exists()


def test_an_old_python_is_one_clear_error(checkout: Path, tmp_path: Path) -> None:
    done = start(checkout / "scripts" / "ccterm", PATH=stand_ins(tmp_path / "bin", python3=TOO_OLD))
    assert done.returncode == 3
    assert done.stderr.startswith("ccterm: it needs Python 3.11 or newer and found Python 3.9.2 on PATH; ")
    assert done.stderr.count("\n") == 1


def test_no_python_is_one_clear_error(checkout: Path, tmp_path: Path) -> None:
    done = start(checkout / "scripts" / "ccterm", PATH=stand_ins(tmp_path / "bin"))
    assert done.returncode == 3
    assert "found no python3 on PATH" in done.stderr


def test_a_newer_python_beside_an_old_one_is_found(checkout: Path, tmp_path: Path) -> None:
    path = stand_ins(tmp_path / "bin", python3=TOO_OLD, python3_12=WITHOUT_VENV)
    assert "comes without its venv module" in start(checkout / "scripts" / "ccterm", PATH=path).stderr


@pytest.mark.slow
def test_the_first_start_of_the_real_tree(tmp_path: Path) -> None:
    root = tmp_path / "a fresh copy"
    for directory in ("scripts", "ccterm"):
        shutil.copytree(ROOT / directory, root / directory, ignore=shutil.ignore_patterns("__pycache__"))
    for lock in LOCKS:
        shutil.copy(ROOT / lock, root)
    done = start(root / "scripts" / "ccterm", "--help")
    assert done.returncode == 0, done.stderr
    assert "run" in done.stdout
    assert done.stderr.startswith("ccterm: making its environment")


@pytest.mark.slow
def test_a_python_without_pip_fetches_the_pinned_one(checkout: Path, tmp_path: Path) -> None:
    path = stand_ins(tmp_path / "bin", python3=WITHOUT_PIP)
    done = start(checkout / "scripts" / "ccterm", "works", PATH=f"{path}:/usr/bin:/bin")
    assert done.stdout == "works\n", done.stderr
    assert not next((checkout / ".venv").glob("lib/*/site-packages/pip"), None)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("pages", "told"),
    [
        ({}, "pip could not be fetched (HTTP Error 404"),
        ({"/pip/": b"<a href='pip-1.0-py3-none-any.whl'>"}, "has no pip-"),
        ({"/pip/": f"<a href='../{PIP}#sha256=1'>".encode(), f"/{PIP}": b"another"}, "sent another pip-"),
    ],
)
def test_a_pip_that_cannot_be_had_is_one_clear_error(pages: dict[str, bytes], told: str, checkout: Path, tmp_path: Path) -> None:
    path = stand_ins(tmp_path / "bin", python3=WITHOUT_PIP)
    with serving_pages(pages) as index:
        done = start(checkout / "scripts" / "ccterm", "works", PATH=f"{path}:/usr/bin:/bin", PIP_INDEX_URL=index, no_proxy="127.0.0.1")
    assert (done.returncode, done.stdout) == (3, "")
    assert told in done.stderr
    assert done.stderr.count("\n") == 2


@pytest.mark.slow
def test_an_index_with_a_private_authority_is_asked_for_pip(checkout: Path, tmp_path: Path) -> None:
    path, certificate = stand_ins(tmp_path / "bin", python3=WITHOUT_PIP), make_certificate(tmp_path)
    with serving_pages({"/pip/": b""}, certificate) as index:
        asked = {"PIP_INDEX_URL": index, "PIP_CERT": str(certificate.authority), "no_proxy": "127.0.0.1"}
        done = start(checkout / "scripts" / "ccterm", PATH=f"{path}:/usr/bin:/bin", **asked)
    assert f"{index}/pip/ has no pip-" in done.stderr


def test_uv_installs_where_there_is_no_pip(checkout: Path, tmp_path: Path) -> None:
    uv = f'#!/bin/sh\nprintf "%s\\n" "$@" > "{tmp_path}/asked"\n'
    path = stand_ins(tmp_path / "bin", python3=WITHOUT_PIP, uv=uv)
    start(checkout / "scripts" / "ccterm", PATH=f"{path}:/usr/bin:/bin")
    asked = (tmp_path / "asked").read_text().splitlines()
    assert asked[:4] == ["pip", "install", "--python", str(checkout / ".venv" / "bin" / "python")]
    assert "--require-hashes" in asked


@contextmanager
def serving_pages(pages: dict[str, bytes], certificate: Certificate | None = None) -> Iterator[str]:
    """Serve pages as a package index does, and yield its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            page = pages.get(self.path)
            self.send_response(404 if page is None else 200)
            self.end_headers()
            self.wfile.write(page or b"")

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        if certificate:
            speak_tls(server, certificate)
        Thread(target=server.serve_forever).start()
        yield f"{'https' if certificate else 'http'}://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.mark.slow
def test_the_second_start_installs_nothing(checkout: Path) -> None:
    start(checkout / "scripts" / "ccterm", "first")
    made = (checkout / ".venv" / "made-with").stat()
    done = start(checkout / "scripts" / "ccterm", "a b", "*", PIP_INDEX_URL="http://127.0.0.1:9/")
    assert (done.stdout, done.stderr) == ("a b|*\n", "")
    now = (checkout / ".venv" / "made-with").stat()
    assert (now.st_ino, now.st_mtime_ns) == (made.st_ino, made.st_mtime_ns)


@pytest.mark.slow
def test_an_environment_that_is_active_is_made_anew(checkout: Path) -> None:
    start(checkout / "scripts" / "ccterm", "first")
    _change_lock(checkout)
    done = start(checkout / "scripts" / "ccterm", "second", PATH=f"{checkout}/.venv/bin:{os.environ['PATH']}")
    assert done.stdout == "second\n", done.stderr


@pytest.mark.slow
def test_starts_through_links_from_a_directory_with_names_of_ours(checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "far").symlink_to("../a checkout/scripts/ccterm")
    (tmp_path / "links" / "near").symlink_to(tmp_path / "links" / "far")
    (tmp_path / "mdurl.py").write_text("raise SystemExit('hijacked')\n")
    monkeypatch.chdir(tmp_path)
    assert start(Path("links/near"), "through", PATH=f"links:{os.environ['PATH']}").stdout == "through\n"


def _lose_stamp(root: Path) -> None:
    (root / ".venv" / "made-with").unlink()


def _lose_package(root: Path) -> None:
    shutil.rmtree(next((root / ".venv").glob("lib/*/site-packages/mdurl")))


def _lose_python(root: Path) -> None:
    (root / ".venv" / "bin" / "python").unlink()
    (root / ".venv" / "bin" / "python").symlink_to("/nowhere/python3")


def _lose_base_python(root: Path) -> None:
    stamp = root / ".venv" / "made-with"
    stamp.write_text("/nowhere/python3.11\n" + stamp.read_text().split("\n", 1)[1])


def _change_lock(root: Path) -> None:
    with (root / "requirements.lock").open("a") as lock:
        lock.write("# changed\n")


@pytest.mark.slow
@pytest.mark.parametrize("damage", [_lose_stamp, _lose_package, _lose_python, _lose_base_python, _change_lock])
def test_a_broken_environment_is_remade(checkout: Path, damage: Callable[[Path], None]) -> None:
    start(checkout / "scripts" / "ccterm")
    damage(checkout)
    done = start(checkout / "scripts" / "ccterm", "works")
    assert done.stdout == "works\n", done.stderr
    assert "making its environment" in done.stderr
    assert start(checkout / "scripts" / "ccterm", "again").stderr == ""


@pytest.mark.slow
def test_a_copy_of_a_checkout_makes_its_own(checkout: Path, tmp_path: Path) -> None:
    start(checkout / "scripts" / "ccterm")
    shutil.copytree(checkout, tmp_path / "copy", symlinks=True)
    shutil.rmtree(checkout)
    assert start(tmp_path / "copy" / "scripts" / "ccterm", "moved").stdout == "moved\n"


@pytest.mark.slow
@pytest.mark.parametrize("sign", ["pyvenv.cfg", "bin/pip", "requirements.lock"])
def test_a_start_killed_half_way_is_repaired(checkout: Path, sign: str) -> None:
    with subprocess.Popen([checkout / "scripts" / "ccterm"], stderr=subprocess.DEVNULL, start_new_session=True) as killed:
        wait_until((checkout / ".venv" / sign).exists)
        os.killpg(killed.pid, signal.SIGKILL)
    done = start(checkout / "scripts" / "ccterm", "works")
    assert done.stdout == "works\n", done.stderr


@pytest.mark.slow
def test_four_first_starts_at_once_make_one_environment(checkout: Path) -> None:
    command = [str(checkout / "scripts" / "ccterm"), "works"]
    starts = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    outputs = [process.communicate(timeout=600) for process in starts]
    assert [out for out, _ in outputs] == ["works\n"] * 4
    assert sum("making its environment" in err for _, err in outputs) == 1


@pytest.mark.slow
def test_a_failing_pip_is_reported_and_leaves_nothing_half_made(checkout: Path) -> None:
    done = start(checkout / "scripts" / "ccterm", PIP_INDEX_URL="http://127.0.0.1:9/", PIP_RETRIES="0", PIP_NO_INDEX="1", PIP_FIND_LINKS="")
    assert done.returncode == 3
    assert "could not be installed; check the network" in done.stderr
    assert start(checkout / "scripts" / "ccterm", "works").stdout == "works\n"


@pytest.mark.parametrize("lock", LOCKS)
def test_locks_contain_no_address(lock: str) -> None:
    text = (ROOT / lock).read_text()
    assert re.fullmatch(r"(?:[a-z0-9-]+==\S+(?: ; [^\n\\]+)? \\\n(?: +--hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)+", text)
