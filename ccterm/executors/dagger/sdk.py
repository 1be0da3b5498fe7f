"""Loads the Dagger SDK when an engine is first used, in a thread: it takes up to half a second."""

import asyncio
import importlib
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

from ccterm.errors import PreflightError

FIX = "pip install dagger-io, or recreate ccterm's environment"
SDK = "dagger.provisioning"
"""The part of the SDK that brings the rest."""
_PARTS = (SDK, "ccterm.executors.dagger.boxes", "ccterm.executors.dagger.images", "ccterm.executors.dagger.session")
_GUARDS = "dagger.client._guards"
_loader = ThreadPoolExecutor(1, "dagger-sdk")


async def load_sdk(parts: Sequence[str] = _PARTS) -> None:
    """Import the SDK and the modules here that need it. Raises PreflightError when it is not installed."""
    try:
        await asyncio.get_running_loop().run_in_executor(_loader, _load, parts)
    except ImportError as error:
        raise PreflightError(f"Dagger SDK not found ({error})", FIX) from error


def _load(names: Sequence[str]) -> None:
    finder = _Unchecked()
    sys.meta_path.insert(0, finder)
    try:
        for name in names:
            importlib.import_module(name)
    finally:
        sys.meta_path.remove(finder)


class _Unchecked(MetaPathFinder):
    """Loads the SDK without the checks of argument types that it puts around each of its methods: half of its loading time.

    A type checker has gone through our calls. Where the SDK has no such module, or has loaded it already, this changes nothing.
    """

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        spec = PathFinder.find_spec(name, path, target) if name == _GUARDS else None
        if spec and spec.loader:
            spec.loader = _WithoutChecks(spec.loader)
        return spec


class _WithoutChecks(Loader):
    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self._loader.exec_module(module)
        vars(module)["typecheck"] = _unchanged


def _unchanged(decorated: object) -> object:
    return decorated
