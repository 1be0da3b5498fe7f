"""Closes the network of a process and of all that it starts, and gives up what that took (Linux, as root of a container with all capabilities).

An engine that gives a container these capabilities also shows it more of the kernel and of the devices than others. All of that is hidden
again, for this process and what it starts.
"""

import contextlib
import ctypes
import fcntl
import os
import re
import socket
import stat
import struct
import tempfile
from collections.abc import Mapping

from ccterm.box.network.box_network import NotClosed
from ccterm.box.process.privileges import KEPT, PrivilegeError, filter_system_calls, libc, limit_capabilities, set_capabilities

_NEW_MOUNTS, _NEW_NETWORK = 0x00020000, 0x40000000
_READ_ONLY, _NO_SETUID, _NO_DEVICES, _NO_PROGRAMS, _REMOUNT, _BIND, _MOVE, _RECURSIVE, _PRIVATE = 1, 2, 4, 8, 32, 4096, 8192, 16384, 1 << 18
_GET_FLAGS, _SET_FLAGS, _IS_UP = 0x8913, 0x8914, 1
_OPTIONS = {
    "ro": _READ_ONLY,
    "nosuid": _NO_SETUID,
    "nodev": _NO_DEVICES,
    "noexec": _NO_PROGRAMS,
    "noatime": 1024,
    "nodiratime": 2048,
    "relatime": 1 << 21,
}
_UNREADABLE = (
    "/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/sched_debug", "/proc/scsi",
    "/proc/timer_list", "/proc/timer_stats", "/sys/devices/virtual/powercap", "/sys/firmware",
)  # fmt: skip
_UNWRITABLE = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")
_DEVICES = ("full", "null", "ptmx", "random", "tty", "urandom", "zero")
_DIRECTORIES = ("mqueue", "pts", "shm")
"""What an ordinary container has in /dev, beside links."""
HOSTS = "/etc/hosts"
_ESCAPED = re.compile(rb"\\([0-7]{3})")
"""How the kernel writes blanks and the like in a path."""


def close_network(services: Mapping[str, int]) -> list[socket.socket]:
    """Close it; return sockets that listen inside: one for the proxy, then one for each service. services: alias -> port. Raises NotClosed.

    Each service's alias leads to an address of the loopback network from then on.
    """
    if len(os.listdir("/proc/self/task")) > 1:
        raise NotClosed("the network cannot be closed: other threads would stay outside")
    try:
        _call("unshare", "a network of its own", _NEW_MOUNTS | _NEW_NETWORK)
        _mount(None, "/", _PRIVATE | _RECURSIVE)
        _bring_up("lo")
        listeners = _listeners(services)
        _name_services(services)
        _hide_the_host()
        limit_capabilities(KEPT.values())
        set_capabilities(KEPT.values())
        filter_system_calls()
    except (OSError, PrivilegeError) as error:
        raise NotClosed(f"the network cannot be closed: {error}") from error
    return listeners


def _listeners(services: Mapping[str, int]) -> list[socket.socket]:
    addresses = [("127.0.0.1", 0), *((_address(place), port) for place, port in enumerate(services.values()))]
    return [socket.create_server(address, backlog=128) for address in addresses]


def _address(place: int) -> str:
    """Return the address of a service: one each, as two may have the same port."""
    return f"127.0.1.{place + 1}"


def _name_services(services: Mapping[str, int]) -> None:
    """Let the aliases lead to the listeners. The file is shared with other containers, so that another one takes its place."""
    if not services:
        return
    with open(HOSTS, encoding="utf-8", errors="surrogateescape") as file:
        lines = [line for line in file if not {*line.partition("#")[0].split()[1:]} & services.keys()]
    lines += [f"{_address(place)}\t{alias}\n" for place, alias in enumerate(services)]
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", errors="surrogateescape") as file:
        file.writelines(lines)
        os.fchmod(file.fileno(), 0o644)
        file.flush()
        _mount(file.name, HOSTS, _BIND)


def _hide_the_host() -> None:
    """Make /proc, /sys and /dev what they are in an ordinary container."""
    with tempfile.TemporaryDirectory() as empty:
        for path in filter(os.path.exists, _UNREADABLE):
            _mount(empty if os.path.isdir(path) else "/dev/null", path, _BIND)
        _give_devices(empty)
    for path in filter(os.path.exists, _UNWRITABLE):
        _mount(path, path, _BIND | _RECURSIVE)
        _remount(path, _READ_ONLY)
    for place, options in _mounts():
        read_only = _READ_ONLY if place == b"/sys" or place.startswith(b"/sys/fs/cgroup") else 0
        if not f"{os.fsdecode(place)}/".startswith("/dev/") and (read_only or "nodev" not in options):
            with contextlib.suppress(FileNotFoundError):  # what is hidden now
                _remount(place, read_only | _NO_DEVICES | sum(_OPTIONS.get(option, 0) for option in options))


def _mounts() -> list[tuple[bytes, list[str]]]:
    """Return where something is mounted, with its options."""
    with open("/proc/self/mountinfo", "rb") as file:
        fields = [line.split() for line in file]
    return [(_ESCAPED.sub(lambda match: bytes([int(match[1], 8)]), each[4]), each[5].decode("ascii").split(",")) for each in fields]


def _give_devices(place: str) -> None:
    """Put a new /dev in the place of the old one, with no more devices than an ordinary container has."""
    _call("mount", "/dev", b"tmpfs", place.encode(), b"tmpfs", ctypes.c_ulong(_NO_SETUID | _NO_PROGRAMS), b"mode=755,size=64k")
    for entry in os.scandir("/dev"):
        new = os.path.join(place, entry.name)
        if entry.is_symlink():
            os.symlink(os.readlink(entry.path), new)
        elif entry.name in _DEVICES and stat.S_ISCHR(entry.stat().st_mode):
            _give_device(entry.path, new)
        elif entry.name in _DIRECTORIES and entry.is_dir():
            os.mkdir(new)
            _mount(entry.path, new, _BIND | _RECURSIVE)
    _mount(place, "/dev", _MOVE)


def _give_device(path: str, new: str) -> None:
    found = os.stat(path)
    try:
        os.mknod(new, found.st_mode, found.st_rdev)
        os.chmod(new, stat.S_IMODE(found.st_mode))
    except PermissionError:  # where the engine's root is not the machine's
        with open(new, "wb"):
            _mount(path, new, _BIND)


def _bring_up(name: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        request = struct.pack("16sH14x", name.encode(), 0)
        flags = struct.unpack("16sH14x", fcntl.ioctl(control, _GET_FLAGS, request))[1]
        fcntl.ioctl(control, _SET_FLAGS, struct.pack("16sH14x", name.encode(), flags | _IS_UP))


def _remount(path: str | bytes, flags: int) -> None:
    _mount(None, path, _REMOUNT | _BIND | flags)


def _mount(source: str | None, path: str | bytes, flags: int) -> None:
    _call("mount", os.fsdecode(path), os.fsencode(source) if source else None, os.fsencode(path), None, ctypes.c_ulong(flags), None)


def _call(name: str, what: str, *arguments: object) -> None:
    if getattr(libc(), name)(*arguments):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)
