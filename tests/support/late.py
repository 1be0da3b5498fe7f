"""Threads that are late with one thing, so that a test decides what happens before it."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from threading import Event
from typing import Any


class Late(ThreadPoolExecutor):
    """Threads that keep the calls of one function back, or those of them that are `late`. answers: they are carried out, and their answers kept back."""

    def __init__(self, name: str, late: Callable[..., bool] = lambda *_: True, *, answers: bool = False) -> None:
        super().__init__()
        self._name, self._late, self._answers = name, late, answers
        self.waits, self.released = Event(), Event()

    @classmethod
    def here(cls, name: str, late: Callable[..., bool] = lambda *_: True, *, answers: bool = False) -> "Late":
        """Return threads that the running loop uses from now on."""
        threads = cls(name, late, answers=answers)
        asyncio.get_running_loop().set_default_executor(threads)
        return threads

    def submit(self, fn: Callable[..., Any], /, *args: object, **kwargs: object) -> Future[Any]:
        """Run a function; `asyncio.to_thread` hands over a partial of `Context.run` and the function."""
        asked = isinstance(fn, partial) and getattr(fn.args[0], "__name__", "") == self._name and self._late(*fn.args[1:])
        return super().submit(self._keep_back if asked else _call, fn, args, kwargs)

    def _keep_back(self, fn: Callable[..., Any], args: tuple[object, ...], kwargs: dict[str, object]) -> object:
        answer = fn(*args, **kwargs) if self._answers else None
        self.waits.set()
        assert self.released.wait(90)
        return answer if self._answers else fn(*args, **kwargs)


def _call(fn: Callable[..., Any], args: tuple[object, ...], kwargs: dict[str, object]) -> object:
    return fn(*args, **kwargs)
