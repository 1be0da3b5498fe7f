"""What keeps the Dagger CLI from starting an engine by itself: it needs Docker or the like, and each way in which that fails has its own fix."""

import asyncio
import shutil
import sys
from collections.abc import Mapping
from typing import NamedTuple

SECONDS = 8.0
_START = {
    "darwin": "start Docker Desktop, or run colima start",
    "linux": "sudo systemctl start docker, or for rootless podman: systemctl --user start podman.socket",
}


class DockerState(NamedTuple):
    """Whether a container runtime answers, in a sentence, with the fix."""

    ok: bool
    text: str
    fix: str = ""


async def docker_state(environ: Mapping[str, str], platform: str = sys.platform) -> DockerState:
    """Ask Docker, else podman or nerdctl, whether it runs."""
    for name in ("docker", "podman", "nerdctl"):
        if program := shutil.which(name, path=environ.get("PATH")):
            code, words = await _ask(environ, program, "version", "--format", "{{.Server.Version}}")
            context = (await _ask(environ, program, "context", "show"))[1].strip() if name == "docker" else ""
            return judged(name, code, words, context, platform)
    fix = "install Docker, or name an engine in CCTERM_ENGINE; or use --mode local"
    return DockerState(False, "neither Docker nor podman is installed", fix)


def judged(name: str, code: int, words: str, context: str, platform: str) -> DockerState:
    """Return what an answer of `docker version` means. context: what `docker context show` says, or ""."""
    where = f" (context: {context})" if context not in ("", "default") else ""
    if code == 0:
        return DockerState(True, f"{name} {words.strip().splitlines()[-1] if words.strip() else ''}{where}")
    low = words.lower()
    if "permission denied" in low:
        fix = "sudo usermod -aG docker $USER and log in again, or use rootless Docker"
        return DockerState(False, f"permission denied on the socket of {name}{where}", fix)
    start = "colima start" if "colima" in low or context == "colima" else _START.get(platform, _START["linux"])
    if any(word in low for word in ("cannot connect", "is the docker daemon running", "connection refused", "no such file", "dial unix")):
        return DockerState(False, f"{name} is not running{where}", start)
    if code < 0:
        return DockerState(False, f"{name} does not answer{where}", start)
    said = next((line.strip() for line in words.splitlines() if line.strip()), f"exit {code}")
    return DockerState(False, f"{name} cannot be used{where}: {said[:200]}", start)


async def _ask(environ: Mapping[str, str], *command: str) -> tuple[int, str]:
    pipe = asyncio.subprocess.PIPE
    try:
        process = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.DEVNULL, stdout=pipe, stderr=asyncio.subprocess.STDOUT, env=dict(environ)
        )
    except OSError as error:
        return 1, str(error)
    try:
        async with asyncio.timeout(SECONDS):
            words, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        return -1, ""
    return process.returncode or 0, words.decode("utf-8", "replace")
