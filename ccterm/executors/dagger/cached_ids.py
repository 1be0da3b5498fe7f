"""Things of an engine that know their id: the SDK asks for it anew in every query that names one, and a run names a dozen."""

import asyncio

import dagger


class CachedDirectory(dagger.Directory):
    """A directory that was made: what `sync` returned."""

    def __init__(self, synced: dagger.Directory) -> None:
        super().__init__(synced._ctx)
        self._id: str = synced._ctx.selections[0].args["id"]  # the engine's answer, of which the SDK makes `node(id:)`

    async def id(self) -> str:
        """Return it."""
        return self._id

    @classmethod
    def _graphql_name(cls) -> str:
        return "Directory"


class CachedService(dagger.Service):
    """A service that asks for its id when it is first named."""

    def __init__(self, service: dagger.Service) -> None:
        super().__init__(service._ctx)
        self._asked: asyncio.Future[str] | None = None

    async def id(self) -> str:
        """Return it; when it could not be had, ask again."""
        if self._asked is None or (self._asked.done() and (self._asked.cancelled() or self._asked.exception())):
            self._asked = asyncio.ensure_future(super().id())
        return await asyncio.shield(self._asked)

    @classmethod
    def _graphql_name(cls) -> str:
        return "Service"
