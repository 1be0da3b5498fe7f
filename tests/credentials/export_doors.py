"""The two doors by which a login is exported."""

import subprocess
from collections.abc import Callable
from pathlib import Path

from ccterm.credentials.export import export_login
from ccterm.errors import PreflightError

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "scripts" / "export-claude-credentials.sh"
Door = Callable[[dict[str, str]], str]
"""Exports, and returns what is said; a refusal begins with "refused: "."""


def by_ccterm(env: dict[str, str], platform: str = "linux") -> str:
    try:
        return export_login(env, platform=platform).sentence
    except PreflightError as error:
        return f"refused: {error}"


def by_script(env: dict[str, str]) -> str:
    done = subprocess.run([SCRIPT], env=env, capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.returncode in (0, 3)) == ("", True), done.stderr
    words = done.stderr.removesuffix("\n")
    if done.returncode:
        return f"refused: {words.removeprefix('export-claude-credentials: ')}"
    return words.partition(".credentials.json: ")[2]
