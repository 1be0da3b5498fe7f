"""The two private parts of Textual that the frame clock looks at. Without them it works as well, only less evenly."""

from collections.abc import Callable
from contextlib import suppress
from time import perf_counter


def frames_waiting(app: object) -> int:
    """Return how many writes wait for a terminal that is too slow for them; 0 where that cannot be told."""
    writer = getattr(getattr(app, "_driver", None), "_writer_thread", None)
    queue = getattr(writer, "_queue", None)
    return int(queue.qsize()) if queue is not None else 0


def watch_passes(screen: object, took: Callable[[float], None]) -> bool:
    """Call `took` with the seconds of every pass of a screen's compositor. Returns whether that is possible."""
    paint = getattr(screen, "_compositor_refresh", None)
    if not callable(paint):
        return False

    def timed() -> None:
        begin = perf_counter()
        paint()
        took(perf_counter() - begin)

    with suppress(AttributeError):
        setattr(screen, "_compositor_refresh", timed)  # noqa: B010 - an attribute of somebody else's
        return True
    return False
