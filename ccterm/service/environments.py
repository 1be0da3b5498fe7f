"""Which environment counts: that of whoever asks, or the one that is stored with a run, completed with secrets that are still in memory."""

import asyncio
import os
from contextlib import suppress

from pydantic import SecretStr, ValidationError

from ccterm.credentials.login import TOKEN_NAME
from ccterm.errors import CctermError, StateError
from ccterm.models import RunId
from ccterm.service.caller import CallerEnvironment
from ccterm.service.equipment import Equip, Equipment
from ccterm.state_dir import StateDir, private_directory, private_file
from ccterm.storage import write_fix
from ccterm.values import to_json

FILE = "environment.json"
"""In the directory of a run: what counted of the environment that it was submitted from, without its secrets."""


class Environments:
    """Makes the equipment for callers and for runs, and remembers what secrets were brought."""

    def __init__(self, state: StateDir, equip: Equip) -> None:
        self._state, self._equip = state, equip
        self._brought: dict[str, SecretStr] = {}

    async def here(self) -> Equipment:
        """Return the equipment for this process's own environment. Raises SettingsError."""
        return await self._equip(None)

    def take(self, caller: CallerEnvironment) -> None:
        """Remember a caller's secrets, for runs that lost theirs."""
        caller.remember()
        self._brought |= caller.secrets

    async def of_caller(self, caller: CallerEnvironment) -> Equipment:
        """Return the equipment for a caller. Raises SettingsError."""
        return await self._equip(caller)

    async def of_run(self, run: RunId) -> Equipment:
        """Return the equipment for what a run was submitted with; lost secrets are those that were brought last, else this process's own."""
        stored = await asyncio.to_thread(self._stored, run)
        if stored is None:
            return await self._equip(None)
        with suppress(CctermError):  # what was right for it then may be refused now
            return await self._equip(await self._completed(stored))
        return await self._equip(None)

    async def _completed(self, caller: CallerEnvironment) -> CallerEnvironment:
        own = (await self._equip(None)).caller if caller.missing else CallerEnvironment()
        return caller.completed(self._brought, own.secrets)

    async def again(self, known: Equipment, *, refused: bool) -> Equipment | None:
        """Return the equipment of a queued run with what it lacks, or with another login than the refused one; None = nothing new is known."""
        caller = known.caller
        if refused and TOKEN_NAME in caller.secrets and self._brought.get(TOKEN_NAME) not in (None, caller.secrets[TOKEN_NAME]):
            caller = caller.without(TOKEN_NAME)
        completed = await self._completed(caller)
        return await self._equip(completed) if completed != known.caller else None

    def store(self, run: RunId, caller: CallerEnvironment) -> None:
        """Write down the environment of a run, without its secrets. Blocks. Raises StateError."""
        path = private_directory(self._state.run(run)) / FILE
        descriptor = private_file(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        try:
            with open(descriptor, "wb") as file:  # noqa: PTH123 - it is open already
                file.write(to_json(caller.without_secrets()))
        except OSError as error:
            raise StateError(f"{path} cannot be written: {error.strerror}", write_fix(error, path)) from error

    def _stored(self, run: RunId) -> CallerEnvironment | None:
        try:
            return CallerEnvironment.model_validate_json((self._state.run(run) / FILE).read_bytes())
        except (OSError, ValidationError):
            return None
