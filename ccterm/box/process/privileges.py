"""What a process of a box may do: its user, its capabilities, and the system calls that it may make (Linux)."""

import contextlib
import ctypes
import os
import struct
import sys
from collections.abc import Collection, Sequence
from functools import cache

from ccterm.box.process.syscall_filter import filter_program

_PR_SET_DUMPABLE, _PR_SET_SECCOMP, _PR_CAPBSET_READ, _PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS, _PR_CAP_AMBIENT = 4, 22, 23, 24, 38, 47
_CLEAR_ALL, _FILTER = 4, 2
_CAPABILITY_VERSION = 0x20080522
KEPT = {"CHOWN": 0, "DAC_OVERRIDE": 1, "FOWNER": 3, "FSETID": 4, "KILL": 5, "SETGID": 6, "SETUID": 7, "SETPCAP": 8}
"""The capabilities that a supervisor in a closed box goes on with; each is one that any root of a container has."""


class PrivilegeError(Exception):
    """A privilege could not be given up. The message says which."""


@cache
def libc() -> ctypes.CDLL:
    """Return the C library."""
    return ctypes.CDLL(None, use_errno=True)


def prctl(option: int, *values: int) -> int:
    """Call prctl; return its result, or -1."""
    given = [*values, 0, 0, 0, 0][:4]
    result: int = libc().prctl(option, *map(ctypes.c_ulong, given))
    return result


def become(user: int, group: int, groups: Sequence[int]) -> None:
    """Make this process one of an ordinary user without any capability, for good. Raises OSError, PrivilegeError."""
    limit_capabilities(())
    os.setgroups(groups)
    os.setresgid(group, group, group)
    os.setresuid(user, user, user)
    set_capabilities(())
    if prctl(_PR_SET_NO_NEW_PRIVS, 1):
        raise PrivilegeError("new privileges cannot be forbidden")


def limit_capabilities(kept: Collection[int]) -> None:
    """Take all other capabilities out of reach of this process and of what it starts, whatever it starts."""
    number = 0
    while (held := prctl(_PR_CAPBSET_READ, number)) >= 0:
        if held and number not in kept:
            prctl(_PR_CAPBSET_DROP, number)  # without CAP_SETPCAP it stays, and no_new_privs keeps it from being gained
        number += 1
    prctl(_PR_CAP_AMBIENT, _CLEAR_ALL)


def set_capabilities(kept: Collection[int]) -> None:
    """Give up all capabilities but these, which must be held. Raises PrivilegeError."""
    mask = sum(1 << number for number in kept)
    low, high = mask & 0xFFFFFFFF, mask >> 32
    head = struct.pack("=Ii", _CAPABILITY_VERSION, 0)
    if libc().capset(head, struct.pack("=6I", low, low, 0, high, high, 0)):
        raise PrivilegeError(f"capabilities cannot be given up: {os.strerror(ctypes.get_errno())}")


def filter_system_calls() -> None:
    """Deny this process and all that it starts the calls of `syscall_filter`. Raises PrivilegeError."""
    program = filter_program(os.uname().machine)
    if program is None:
        raise PrivilegeError(f"system calls cannot be filtered on {os.uname().machine}")
    buffer = ctypes.create_string_buffer(program, len(program))
    # struct sock_fprog: a count, and after padding a pointer
    header = struct.pack("@HP", len(program) // 8, ctypes.addressof(buffer))
    if prctl(_PR_SET_NO_NEW_PRIVS, 1) or prctl(_PR_SET_SECCOMP, _FILTER, _address(header)):
        raise PrivilegeError(f"system calls cannot be filtered: {os.strerror(ctypes.get_errno())}")


def _address(data: bytes) -> int:
    return ctypes.cast(ctypes.c_char_p(data), ctypes.c_void_p).value or 0


def give_up_everything() -> None:
    """Leave this process no more than its user's files: what it reads from then on is hostile. No process of the same user may look into it.

    Only Linux can.
    """
    if sys.platform != "linux":
        return
    prctl(_PR_SET_DUMPABLE, 0)
    if os.getuid() == 0:
        limit_capabilities(())
        set_capabilities(())
        with contextlib.suppress(PrivilegeError):  # of no matter where the network is open; it is not closed without a filter
            filter_system_calls()
    prctl(_PR_SET_NO_NEW_PRIVS, 1)
