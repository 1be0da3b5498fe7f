"""Ways out by namespaces and mounts, and by the processes of others."""

import ctypes
import os
import signal
import struct
from collections.abc import Callable, Iterator
from contextlib import suppress

from tests.support.ways_out.base import call, way


def others() -> Iterator[int]:
    """Yield the processes that are not the agent's: of the supervisor, the proxy, and above."""
    for name in filter(str.isdigit, os.listdir("/proc")):
        with suppress(OSError):
            if os.stat(f"/proc/{name}").st_uid == 0 and int(name) != os.getpid():
                yield int(name)


def with_others(attempt: Callable[[int], object]) -> None:
    """Try something with each of them; raise when it works with none."""
    tried = 0
    for process in others():
        tried += 1
        with suppress(OSError):
            attempt(process)
            return
    raise OSError(f"with none of {tried}")


@way
def network_of_others() -> None:
    def enter(process: int) -> None:
        descriptor = os.open(f"/proc/{process}/ns/net", os.O_RDONLY)
        call(308, descriptor, 0x40000000)

    with_others(enter)


@way
def network_by_pidfd() -> None:
    with_others(lambda process: call(308, os.pidfd_open(process), 0x40000000))


@way
def user_namespace_by_unshare() -> None:
    call(272, 0x10000000)


@way
def network_namespace_by_unshare() -> None:
    call(272, 0x50000000)


@way
def user_namespace_by_clone() -> None:
    child = call(56, 0x10000000 | signal.SIGCHLD, 0, 0, 0, 0)
    if child == 0:
        os._exit(0)


@way
def user_namespace_by_clone3() -> None:
    arguments = struct.pack("=8Q", 0x10000000, 0, 0, 0, signal.SIGCHLD, 0, 0, 0)
    child = call(435, ctypes.create_string_buffer(arguments, 64), 64)
    if child == 0:
        os._exit(0)


@way
def mounting() -> None:
    call(165, b"none", b"/tmp", b"tmpfs", 0, 0)


@way
def mounting_anew() -> None:
    call(430, b"tmpfs", 0)


@way
def unmounting() -> None:
    for path in (b"/etc/hosts", b"/dev", b"/proc/sys", b"/sys"):
        with suppress(OSError):
            call(166, path, 2)
            return
    raise OSError("none can be unmounted")


@way
def another_root() -> None:
    call(161, b"/")


@way
def tracing_others() -> None:
    with_others(lambda process: call(101, 0x4206, process, 0, 0))


@way
def memory_of_others() -> None:
    with_others(lambda process: open(f"/proc/{process}/mem", "rb").close())


@way
def memory_of_others_by_a_call() -> None:
    into = ctypes.create_string_buffer(8)
    vector = struct.pack("=QQ", ctypes.addressof(into), 8)

    def read(process: int) -> None:
        start = 0x400000
        with suppress(OSError, ValueError), open(f"/proc/{process}/maps") as file:
            start = int(file.readline().partition("-")[0], 16)
        call(310, process, vector, 1, struct.pack("=QQ", start, 8), 1, 0)

    with_others(read)


@way
def descriptors_of_others() -> None:
    with_others(lambda process: os.listdir(f"/proc/{process}/fd"))


@way
def descriptors_by_pidfd() -> None:
    with_others(lambda process: [call(438, os.pidfd_open(process), number, 0) for number in range(8)])


@way
def environment_of_others() -> None:
    def read(process: int) -> None:
        with open(f"/proc/{process}/environ", "rb") as file:
            file.read(1)

    with_others(read)


@way
def files_of_others() -> None:
    with_others(lambda process: os.listdir(f"/proc/{process}/root/"))
    with_others(lambda process: os.listdir(f"/proc/{process}/cwd/"))


@way
def maps_of_others() -> None:
    def read(process: int) -> None:
        with open(f"/proc/{process}/maps") as file:
            if not file.read(1):
                raise PermissionError

    with_others(read)


@way
def signals_to_others() -> None:
    with_others(lambda process: os.kill(process, 0))
