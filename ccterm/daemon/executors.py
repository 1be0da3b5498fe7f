"""The executors of this process: one for this machine, and one for each choice of engines and network that its callers make."""

import shutil
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack

from ccterm.agents.claude import CLAUDE_VERSION
from ccterm.executors.base import Executor
from ccterm.executors.dagger.command import CERTIFICATES, PROXIES
from ccterm.executors.dagger.executor import DaggerExecutor, DaggerOptions, EngineChoice
from ccterm.executors.local.executor import LocalExecutor
from ccterm.models import ExecutionMode
from ccterm.settings import Settings
from ccterm.settings.load import source_variables
from ccterm.state_dir import StateDir

_DECISIVE = ("HOME", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR", *PROXIES, *CERTIFICATES)
_DECISIVE_PREFIXES = ("DOCKER_", "CONTAINER_", "_EXPERIMENTAL_DAGGER_")
_PROGRAMS = ("dagger", "docker", "podman", "nerdctl")
"""What the Dagger CLI, and the search for it, take from PATH."""


class Executors:
    """Makes executors and keeps them until the stack is closed: what containers share is expensive to set up."""

    def __init__(self, local: LocalExecutor, stack: AsyncExitStack) -> None:
        self._local, self._stack = local, stack
        self._dagger: dict[object, DaggerExecutor] = {}
        self._watchers: list[Callable[[], None]] = []

    async def of(self, settings: Settings, environ: Mapping[str, str]) -> Mapping[ExecutionMode, Executor]:
        """Return the executors for settings and environment."""
        return {
            ExecutionMode.LOCAL: self._local.seen_with(environ, source_variables(settings)),
            ExecutionMode.DAGGER: await self._engines(settings, environ),
        }

    async def _engines(self, settings: Settings, environ: Mapping[str, str]) -> DaggerExecutor:
        key = (dagger_options(settings), *_decisive(environ))
        if key not in self._dagger:
            made = self._dagger[key] = dagger_executor(settings, environ)
            made.watch(self._changed)
            await self._stack.enter_async_context(made)
        return self._dagger[key]

    def _changed(self) -> None:
        for changed in self._watchers:
            changed()

    def watch(self, changed: Callable[[], None]) -> None:
        """Call `changed` whenever an executor is away, is back, or has another capacity."""
        self._watchers.append(changed)


def _decisive(environ: Mapping[str, str]) -> tuple[object, ...]:
    """Return what two environments must have in common for their runs to share engines and containers' network."""
    chosen = {name: value for name, value in environ.items() if name in _DECISIVE or name.startswith(_DECISIVE_PREFIXES)}
    return (*sorted(chosen.items()), *(shutil.which(name, path=environ.get("PATH")) for name in _PROGRAMS))


def local_executor(settings: Settings, state: StateDir, environ: Mapping[str, str]) -> LocalExecutor:
    """Return the executor for this machine."""
    return LocalExecutor(state.path, environ=environ, withheld=source_variables(settings), storage=state.storage)


def dagger_options(settings: Settings) -> DaggerOptions:
    """Return what the settings say of engines and images."""
    return DaggerOptions(
        engines=tuple(EngineChoice(engine.host, engine.capacity) for engine in settings.engines) or (EngineChoice(),),
        cli=settings.dagger_cli,
        base=settings.base_image,
        claude_version=settings.claude_version or CLAUDE_VERSION,
    )


def dagger_executor(settings: Settings, environ: Mapping[str, str]) -> DaggerExecutor:
    """Return the Dagger executor that the settings describe; it connects when it is first used."""
    from platformdirs import user_cache_path  # deferred: costs start-up time

    cache = user_cache_path("ccterm")
    return DaggerExecutor(dagger_options(settings), cache=cache, bundles=cache / "lib", environ=environ)
