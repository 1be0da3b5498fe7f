"""Make the environment that ccterm runs in: python -I environment.py ROOT LOCK...

Runs on whatever Python the user has, so it uses the standard library alone. One process at a time works on .venv. Its file
`made-with` is removed first and written last: an environment that was left half-made is never taken for whole.
"""

import fcntl
import hashlib
import importlib.util
import os
import re
import shutil
import ssl
import subprocess
import sys
import sysconfig
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO

NEEDS_VENV = "install it (apt install python3-venv on Debian and Ubuntu) and start again"
NEEDS_NETWORK = "check the network, or your pip settings, and start again"
PIP = "pip-25.3-py3-none-any.whl"
PIP_SHA256 = "9655943313a94722b7774661c21049070f6bbb0a1516bf02f7c8d5d9201514cd"
"""What installs where Python comes without an installer, as Debian's does, and there is no uv."""


class Trouble(Exception):
    """The environment cannot be made: what happened, and what to do."""


class Environment:
    """The environment of one checkout. locks: names of the files that say what is in it, the runtime's first."""

    def __init__(self, root: Path, locks: Sequence[str]) -> None:
        self.root = root
        self.venv = root / ".venv"
        self.locks = locks
        self.made_with = self.venv / "made-with"
        self.python = self.venv / "bin" / "python"

    def make(self) -> None:
        """Make what is missing, alone. Raises Trouble."""
        with ExitStack() as stack:
            # children inherit the lock: while an orphaned pip still writes, nobody else begins
            self._lock = stack.enter_context(self._locked())
            if self._fits(self.locks):
                return
            if not self._fits(self.locks[:1]):
                self._make_empty()
            self.made_with.unlink(missing_ok=True)
            wanted = {lock: (self.root / lock).read_bytes() for lock in self.locks}  # one that changes meanwhile counts next time
            self._install()
            self._vouch(wanted)

    def _locked(self) -> IO[bytes]:
        lock = (self.root / ".venv.lock").open("wb")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _tell("another process makes the environment; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        return lock

    def _fits(self, locks: Sequence[str]) -> bool:
        try:
            python, home, *paths = self.made_with.read_text().splitlines()
            same = all((self.venv / lock).read_bytes() == (self.root / lock).read_bytes() for lock in locks)
        except (FileNotFoundError, ValueError):
            return False
        return same and os.access(python, os.X_OK) and home == str(self.root) and all((self.venv / path).exists() for path in paths)

    def _make_empty(self) -> None:
        _tell(f"making its environment in {self.venv} (once, less than a minute)")
        if importlib.util.find_spec("venv") is None:
            raise Trouble(f"this Python ({sys.executable}) comes without its venv module; {NEEDS_VENV}")
        if self.venv.exists():
            shutil.rmtree(self.venv)
        flags = [] if _has_pip() else ["--without-pip"]
        self._run([sys.executable, "-I", "-m", "venv", *flags, str(self.venv)], "the environment could not be made", NEEDS_VENV)
        (self._site() / "ccterm.pth").write_text(f"{self.root}\n")

    def _install(self) -> None:
        files = [argument for lock in self.locks for argument in ("--requirement", str(self.root / lock))]
        command = [*self._installer(), "--quiet", "--require-hashes", "--no-deps", *files]
        self._run(command, "the packages it needs could not be installed", NEEDS_NETWORK)

    def _installer(self) -> Sequence[str]:
        """Return the beginning of a command that installs into the environment: its own pip, uv, or a pip that is fetched for that."""
        flags = ["--disable-pip-version-check", "--no-input", "install"]
        if next(self._site().glob("pip/__init__.py"), None):
            return [str(self.python), "-I", "-m", "pip", *flags]
        if uv := shutil.which("uv"):
            return [uv, "pip", "install", "--python", str(self.python)]
        wheel = self.venv / PIP
        if not wheel.exists():
            wheel.write_bytes(_fetched_pip())
        return [str(self.python), "-I", str(wheel / "pip"), *flags]

    def _run(self, command: Sequence[str], failure: str, fix: str) -> None:
        dropped = ("PYTHON", "PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_USER", "VIRTUAL_ENV")
        environment = {name: value for name, value in os.environ.items() if not name.startswith(dropped)} | {"PIP_USER": "0"}
        done = subprocess.run(
            command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, pass_fds=[self._lock.fileno()], check=False
        )
        if done.returncode:
            words = (done.stderr or done.stdout).strip()
            raise Trouble(f"{failure}; {fix}" + (f"\n{words}" if words else ""))

    def _site(self) -> Path:
        base = {"base": str(self.venv), "platbase": str(self.venv)}
        return Path(sysconfig.get_path("purelib", "venv", base))

    def _vouch(self, locks: Mapping[str, bytes]) -> None:
        for lock, content in locks.items():
            (self.venv / lock).write_bytes(content)
        site = self._site()
        paths = [str(path.relative_to(self.venv)) for path in (self.python, *sorted(site.iterdir())) if path.name != "__pycache__"]
        draft = self.venv / "made-with.draft"
        draft.write_text("\n".join([os.path.realpath(sys.executable), str(self.root), *paths, ""]))
        draft.replace(self.made_with)


def _has_pip() -> bool:
    return importlib.util.find_spec("ensurepip") is not None


def _fetched_pip() -> bytes:
    """Return the pinned pip from the package index. Raises Trouble."""
    index = os.environ.get("PIP_INDEX_URL") or "https://pypi.org/simple"
    trusted = ssl.create_default_context(cafile=os.environ.get("PIP_CERT") or None)
    trusted.verify_flags &= ~ssl.VERIFY_X509_STRICT  # set from Python 3.13 on: pip itself wants less of private authorities
    page = f"{index.rstrip('/')}/pip/"
    try:
        with urllib.request.urlopen(page, timeout=60, context=trusted) as answer:
            found = re.search(rf"[\"']([^\"'#]*{re.escape(PIP)})", answer.read().decode("utf-8", "replace"))
        if not found:
            raise Trouble(f"{page} has no {PIP}; {NEEDS_NETWORK}, or install pip (apt install python3-venv)")
        with urllib.request.urlopen(urllib.parse.urljoin(page, found[1]), timeout=60, context=trusted) as answer:
            wheel: bytes = answer.read()
    except (OSError, ValueError) as error:
        raise Trouble(f"this Python comes without pip, and pip could not be fetched ({error}); {NEEDS_NETWORK}") from error
    if hashlib.sha256(wheel).hexdigest() != PIP_SHA256:
        raise Trouble(f"{page} sent another {PIP} than the one that is pinned; {NEEDS_NETWORK}")
    return wheel


def _tell(text: str) -> None:
    print(f"ccterm: {text}", file=sys.stderr, flush=True)


def main() -> int:
    """Make the environment, or say why not."""
    try:
        Environment(Path(sys.argv[1]), sys.argv[2:]).make()
    except Trouble as trouble:
        _tell(str(trouble))
        return 3
    except OSError as error:
        _tell(f"its environment cannot be made: {error}")
        return 3
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
