"""What every command is: a value with a wire form, which a service carries out, and whose result has a wire form too."""

from abc import abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator
from functools import cache
from typing import TYPE_CHECKING, ClassVar, Generic, TypeVar, get_args

from pydantic import BaseModel, JsonValue, TypeAdapter

from ccterm.values import Value, raising_usage_errors

if TYPE_CHECKING:  # the service builds commands
    from ccterm.service.protocol import Service

R = TypeVar("R")


class ServiceCommand(Value, Generic[R]):
    """Base of all commands. `do` names the verb on the wire and the service's method; R is what carrying it out returns."""

    from_caller: ClassVar[bool] = False
    """Whether the environment of whoever gives the command counts for it."""
    do: str

    if not TYPE_CHECKING:  # whose own, made of the fields, is better

        @raising_usage_errors
        def __init__(self, **fields: object) -> None:
            """Take the arguments. Raises UsageError for one that does not fit: they are those of the Python API."""
            BaseModel.__init__(self, **fields)

    @abstractmethod
    async def execute(self, service: "Service") -> R:
        """Carry the command out. Raises CctermError for an expected error."""

    async def answer(self, service: "Service") -> JsonValue:
        """Carry the command out and return its result as JSON values. Raises CctermError for an expected error."""
        packed: JsonValue = self._results().dump_python(await self.execute(service), mode="json")
        return packed

    @classmethod
    def unpack(cls, answer: JsonValue) -> R:
        """Return the result that an answer holds. Raises ValidationError."""
        return cls._results().validate_python(answer)

    @classmethod
    @cache
    def _results(cls) -> TypeAdapter[R]:
        return TypeAdapter(cls.execute.__annotations__["return"])


class StreamCommand(ServiceCommand[None], Generic[R]):
    """Base of commands whose answer comes in pieces; R is the type of one."""

    @abstractmethod
    def pieces(self, service: "Service") -> AsyncIterator[R]:
        """Carry the command out and yield its answer. Raises CctermError for an expected error."""

    async def execute(self, service: "Service") -> None:
        """Carry the command out, for its effect alone."""
        async for _ in self.pieces(service):
            pass

    async def packed(self, service: "Service") -> AsyncGenerator[JsonValue, None]:
        """Carry the command out and yield its answer as JSON values."""
        async for piece in self.pieces(service):
            yield self._piece().dump_python(piece, mode="json")

    @classmethod
    def unpack_piece(cls, piece: JsonValue) -> R:
        """Return what one piece of an answer holds. Raises ValidationError."""
        return cls._piece().validate_python(piece)

    @classmethod
    @cache
    def _piece(cls) -> TypeAdapter[R]:
        return TypeAdapter(get_args(cls.pieces.__annotations__["return"])[0])
