"""Loads the Dagger SDK when it is first needed: in a thread, because that takes a second, and in one only, because imports lock each other."""

import asyncio
import importlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from ccterm.errors import PreflightError

FIX = "pip install dagger-io, or make ccterm's environment anew"
_PARTS = ("dagger.provisioning", "ccterm.executors.dagger.boxes", "ccterm.executors.dagger.images", "ccterm.executors.dagger.session")
_loader = ThreadPoolExecutor(1, "dagger-sdk")


async def load_sdk() -> None:
    """Import the SDK and all of ours that needs it. Raises PreflightError when it is not there."""
    try:
        await asyncio.get_running_loop().run_in_executor(_loader, _load, _PARTS)
    except ImportError as error:
        raise PreflightError(f"Dagger SDK not found ({error})", FIX) from error


def _load(names: Sequence[str]) -> None:
    for name in names:
        importlib.import_module(name)
