"""The keyring: absent, locked, failing or hanging, it is one sentence within its time; a value is in no argument and in no message."""

import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from ccterm.credentials.keyring_client import KeyringItem, SystemKeyring
from ccterm.credentials.sources import resolve_source
from ccterm.errors import NoKeyring, PreflightError, SettingsError
from tests.support.waiting import wait_until

SECRET = "s3cretValue"
ITEM = KeyringItem(name="token")

BACKEND = """
import json, os, time
from keyring.backend import KeyringBackend
from keyring.errors import KeyringLocked, PasswordDeleteError

class Keyring(KeyringBackend):
    priority = 1
    path = os.environ["HOME"] + "/kept.json"

    def __init__(self):
        if os.environ.get("KEYRING_DOES") == "hang":
            open(os.environ["HOME"] + "/asked", "a").write(f"{{os.getpid()}} ")
            time.sleep(300)

    def _all(self):
        {0}
        return json.load(open(self.path)) if os.path.exists(self.path) else {{}}

    def get_password(self, service, username):
        return self._all().get(service + "/" + username)

    def set_password(self, service, username, password):
        known = self._all() | {{service + "/" + username: password}}
        json.dump(known, open(self.path, "w"))

    def delete_password(self, service, username):
        known = self._all()
        if known.pop(service + "/" + username, None) is None:
            raise PasswordDeleteError("no such item")
        json.dump(known, open(self.path, "w"))
"""


def with_backend(env: dict[str, str], tmp_path: Path, body: str = "pass", **more: str) -> dict[str, str]:
    """Return an environment in which the keyring is a backend of ours. body: what it does before anything else."""
    (tmp_path / "our_backend.py").write_text(BACKEND.format(body))
    return {**env, "PYTHONPATH": str(tmp_path), "PYTHON_KEYRING_BACKEND": "our_backend.Keyring", **more}


def refusal(env: dict[str, str], seconds: float = 60) -> str:
    with pytest.raises(PreflightError) as caught:
        SystemKeyring(seconds=seconds).get(ITEM, env)
    assert SECRET not in repr(caught.value)
    assert caught.value.fix
    return caught.value.message


def test_a_value_is_stored_found_and_removed(env: dict[str, str], tmp_path: Path) -> None:
    env, keyring = with_backend(env, tmp_path), SystemKeyring()
    assert keyring.get(ITEM, env) is None
    keyring.set(ITEM, SecretStr(f'{SECRET} "ü"\n'), env)
    found = keyring.get(ITEM, env)
    assert found is not None
    assert found.get_secret_value() == f'{SECRET} "ü"\n'
    assert (keyring.delete(ITEM, env), keyring.delete(ITEM, env)) == (True, False)


@pytest.mark.parametrize("name", ["keyring.backends.fail.Keyring", "keyring.backends.null.Keyring"])
def test_without_a_keyring_that_is_said_at_once(env: dict[str, str], name: str) -> None:
    with pytest.raises(NoKeyring, match="there is no keyring"):
        SystemKeyring(seconds=0).get(ITEM, {**env, "PYTHON_KEYRING_BACKEND": name})


def test_a_session_without_a_keyring_has_none(env: dict[str, str]) -> None:
    if sys.platform == "darwin":
        pytest.skip("a Mac always has one")
    with pytest.raises(NoKeyring):
        SystemKeyring(seconds=60).get(ITEM, env)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ('raise KeyringLocked("locked")', "the keyring is locked"),
        (f'raise RuntimeError("{SECRET}")', "the keyring failed (RuntimeError)"),
        ("os._exit(3)", "the keyring cannot be asked"),
        (f'print("{SECRET}")', "the keyring cannot be asked"),
    ],
    ids=["locked", "fails", "dies", "babbles"],
)
def test_a_keyring_that_cannot_be_used_is_one_sentence(env: dict[str, str], tmp_path: Path, body: str, words: str) -> None:
    assert words in refusal(with_backend(env, tmp_path, body))


def test_a_keyring_that_hangs_is_ended_and_left_alone_for_a_minute(env: dict[str, str], tmp_path: Path) -> None:
    env, now = with_backend(env, tmp_path, KEYRING_DOES="hang"), [100.0]
    asked = Path(env["HOME"], "asked")
    for seconds in (1.5, 15):  # on a busy machine the first ones may be over before the keyring is asked
        asked.write_text("")
        keyring = SystemKeyring(seconds=seconds, clock=lambda: now[0])
        for later in (0, 59, 2):
            now[0] += later
            with pytest.raises(PreflightError, match="the keyring does not answer"):
                keyring.get(ITEM, env)
        pids = [int(pid) for pid in asked.read_text().split()]
        if len(pids) >= 2:
            break
    assert len(pids) == 2
    for pid in pids:
        wait_until(lambda pid=pid: not Path(f"/proc/{pid}").exists())  # type: ignore[misc]  # mypy: a lambda with a default


def test_a_value_is_in_no_argument(env: dict[str, str], tmp_path: Path) -> None:
    note = tmp_path / "argv"
    env = with_backend(env, tmp_path, f"import sys; open({str(note)!r}, 'a').write(' '.join(sys.orig_argv) + str(dict(os.environ)))")
    SystemKeyring().set(ITEM, SecretStr(SECRET), env)
    assert "keyring_child.py set" in note.read_text()
    assert SECRET not in note.read_text()


def test_a_source_may_be_an_item_of_ccterms_or_of_another_service(env: dict[str, str], tmp_path: Path) -> None:
    env, keyring = with_backend(env, tmp_path), SystemKeyring()
    keyring.set(KeyringItem(name="npm"), SecretStr("ours"), env)
    keyring.set(KeyringItem(service="https://example.com", name="me"), SecretStr("theirs"), env)
    assert resolve_source("keyring:npm", env).get_secret_value() == "ours"
    assert resolve_source("keyring:https://example.com/me", env).get_secret_value() == "theirs"
    with pytest.raises(SettingsError, match=r"the keyring holds no other of ccterm; python -m keyring set ccterm other"):
        resolve_source("keyring:other", env)


@pytest.fixture
def secret_service(env: dict[str, str], tmp_path: Path) -> Iterator[dict[str, str]]:
    """Return the environment of a session with a real Secret Service, which gnome-keyring gives."""
    for program in ("dbus-daemon", "gnome-keyring-daemon"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    runtime = tmp_path / "runtime"
    runtime.mkdir(mode=0o700)
    env = {name: value for name, value in env.items() if name != "PYTHON_KEYRING_BACKEND"}
    env = {**env, "XDG_RUNTIME_DIR": str(runtime), "XDG_DATA_HOME": str(tmp_path / "data")}
    bus = subprocess.Popen(
        ["dbus-daemon", "--session", "--nofork", "--print-address"], env=env, stdout=subprocess.PIPE, text=True, stderr=subprocess.DEVNULL
    )
    assert bus.stdout
    env["DBUS_SESSION_BUS_ADDRESS"] = bus.stdout.readline().strip()
    daemon = subprocess.Popen(
        ["gnome-keyring-daemon", "--foreground", "--unlock", "--components=secrets"],
        env=env,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    assert daemon.stdin
    daemon.stdin.write(b"password\n")
    daemon.stdin.close()
    try:
        wait_until(lambda: _serves(env))
        yield env
    finally:
        for process in (daemon, bus):
            process.terminate()
            process.wait(timeout=30)


def _serves(env: dict[str, str]) -> bool:
    command = ["dbus-send", "--session", "--print-reply", "--dest=org.freedesktop.DBus", "/", "org.freedesktop.DBus.ListNames"]
    return b"org.freedesktop.secrets" in subprocess.run(command, env=env, capture_output=True, timeout=30, check=False).stdout


@pytest.mark.slow
def test_a_real_secret_service_keeps_a_value(secret_service: dict[str, str], tmp_path: Path) -> None:
    keyring = SystemKeyring(seconds=60)
    keyring.set(ITEM, SecretStr(SECRET), secret_service)
    found = keyring.get(ITEM, secret_service)
    assert found is not None
    assert found.get_secret_value() == SECRET
    kept = [path for path in (tmp_path / "data").rglob("*") if path.is_file()]
    assert kept
    assert not any(SECRET.encode() in path.read_bytes() for path in kept)
    assert {stat.S_IMODE(path.stat().st_mode) & 0o077 for path in kept} == {0}
    assert keyring.delete(ITEM, secret_service)
    assert keyring.get(ITEM, secret_service) is None


@pytest.mark.slow
def test_a_real_secret_service_that_is_locked_is_one_sentence(secret_service: dict[str, str]) -> None:
    keyring = SystemKeyring()
    keyring.set(ITEM, SecretStr(SECRET), secret_service)
    lock = ["dbus-send", "--session", "--print-reply", "--dest=org.freedesktop.secrets", "/org/freedesktop/secrets"]
    collection = "array:objpath:/org/freedesktop/secrets/collection/login"
    subprocess.run(
        [*lock, "org.freedesktop.Secret.Service.Lock", collection], env=secret_service, check=True, timeout=30, capture_output=True
    )
    assert "the keyring" in refusal(secret_service, seconds=5)


def test_the_process_that_asks_loads_nothing_of_ccterm(env: dict[str, str], tmp_path: Path) -> None:
    note = tmp_path / "modules"
    env = with_backend(env, tmp_path, f"import sys; open({str(note)!r}, 'w').write(' '.join(sys.modules))")
    SystemKeyring().get(ITEM, env | {"PATH": os.defpath})
    assert "keyring" in note.read_text().split()
    assert "ccterm" not in note.read_text().split()
