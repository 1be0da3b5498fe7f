"""The system calls that nothing in a closed box makes: those that an engine's usual profile denies, and those that lead to another network.

A deny list as a classic BPF program: an engine that gives a process the right to close its network applies no filter of its own.
"""

import errno
import struct
from typing import NamedTuple

_LOAD, _EQUAL, _GREATER_OR_EQUAL, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16
"""Offsets in struct seccomp_data; of an argument, its lower half, on a little-endian machine."""
_ALLOW, _KILL, _ERROR = 0x7FFF0000, 0x80000000, 0x00050000
_X32 = 0x40000000
"""Added to the numbers of the 32-bit calls that a 64-bit process can make."""
_NEW_NAMESPACES = 0x7E020000
"""CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET."""
_FAMILIES = (1, 2, 10, 16)
"""AF_UNIX, AF_INET, AF_INET6 and AF_NETLINK: all belong to a network, as AF_VSOCK, for example, does not."""


class _Calls(NamedTuple):
    """The numbers of one architecture. audit: its own."""

    audit: int
    clone: int
    clone3: int
    socket: int
    socketpair: int
    denied: tuple[int, ...]


SHARED = {
    "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427, "open_tree": 428, "move_mount": 429, "fsopen": 430, "fsconfig": 431,
    "fsmount": 432, "fspick": 433, "pidfd_getfd": 438, "mount_setattr": 442, "quotactl_fd": 443, "open_tree_attr": 467,
}  # fmt: skip
"""Calls with one number on every architecture."""
X86_64 = {
    "syslog": 103, "uselib": 134, "personality": 135, "ustat": 136, "sysfs": 139, "vhangup": 153, "pivot_root": 155, "_sysctl": 156,
    "adjtimex": 159, "chroot": 161, "acct": 163, "settimeofday": 164, "mount": 165, "umount2": 166, "swapon": 167, "swapoff": 168, "reboot": 169,
    "sethostname": 170, "setdomainname": 171, "iopl": 172, "ioperm": 173, "create_module": 174, "init_module": 175, "delete_module": 176,
    "get_kernel_syms": 177, "query_module": 178, "quotactl": 179, "nfsservctl": 180, "lookup_dcookie": 212, "clock_settime": 227,
    "mbind": 237, "set_mempolicy": 238, "get_mempolicy": 239, "kexec_load": 246, "add_key": 248, "request_key": 249, "keyctl": 250,
    "migrate_pages": 256, "unshare": 272, "move_pages": 279, "perf_event_open": 298, "fanotify_init": 300, "name_to_handle_at": 303,
    "open_by_handle_at": 304, "clock_adjtime": 305, "setns": 308, "kcmp": 312, "finit_module": 313, "kexec_file_load": 320, "bpf": 321,
    "userfaultfd": 323,
}  # fmt: skip
AARCH64 = {
    "lookup_dcookie": 18, "umount2": 39, "mount": 40, "pivot_root": 41, "nfsservctl": 42, "chroot": 51, "vhangup": 58, "quotactl": 60,
    "acct": 89, "personality": 92, "unshare": 97, "kexec_load": 104, "init_module": 105, "delete_module": 106, "clock_settime": 112,
    "syslog": 116, "reboot": 142, "sethostname": 161, "setdomainname": 162, "settimeofday": 170, "adjtimex": 171, "add_key": 217,
    "request_key": 218, "keyctl": 219, "swapon": 224, "swapoff": 225, "mbind": 235, "get_mempolicy": 236, "set_mempolicy": 237,
    "migrate_pages": 238, "move_pages": 239, "perf_event_open": 241, "fanotify_init": 262, "name_to_handle_at": 264, "open_by_handle_at": 265,
    "clock_adjtime": 266, "setns": 268, "kcmp": 272, "finit_module": 273, "bpf": 280, "userfaultfd": 282, "kexec_file_load": 294,
}  # fmt: skip
MACHINES = {
    "x86_64": _Calls(0xC000003E, 56, 435, 41, 53, (*X86_64.values(), *SHARED.values())),
    "aarch64": _Calls(0xC00000B7, 220, 435, 198, 199, (*AARCH64.values(), *SHARED.values())),
}
"""The architectures that boxes can be closed on."""


def filter_program(machine: str) -> bytes | None:
    """Return the program for a machine as `uname -m` names it, or None when there is none."""
    if machine not in MACHINES:
        return None
    calls = MACHINES[machine]
    not_permitted = _ERROR | errno.EPERM
    program = [
        _step(_LOAD, _ARCHITECTURE),
        *_unless(_EQUAL, calls.audit, _KILL),
        _step(_LOAD, _NUMBER),
        *(_if(_GREATER_OR_EQUAL, _X32, _KILL) if machine == "x86_64" else []),
        *_if(_EQUAL, calls.clone3, _ERROR | errno.ENOSYS),  # its flags lie in memory, which may change; libraries then use clone
    ]
    for number in calls.denied:
        program += _if(_EQUAL, number, not_permitted)
    program += [
        _step(_EQUAL, calls.clone, 0, 3),
        _step(_LOAD, _FIRST_ARGUMENT),
        *_if(_ANY_BIT, _NEW_NAMESPACES, not_permitted),
        _step(_LOAD, _NUMBER),
        _step(_EQUAL, calls.socket, 1, 0),
        _step(_EQUAL, calls.socketpair, 0, len(_FAMILIES) + 2),
        _step(_LOAD, _FIRST_ARGUMENT),
        *(_step(_EQUAL, family, len(_FAMILIES) - place, 0) for place, family in enumerate(_FAMILIES)),
        _step(_RETURN, _ERROR | errno.EAFNOSUPPORT),
        _step(_RETURN, _ALLOW),
    ]
    return b"".join(program)


def _step(code: int, value: int, then: int = 0, otherwise: int = 0) -> bytes:
    """Return one instruction. then, otherwise: how many instructions a comparison skips."""
    return struct.pack("<HBBI", code, then, otherwise, value)


def _if(comparison: int, value: int, result: int) -> list[bytes]:
    return [_step(comparison, value, 0, 1), _step(_RETURN, result)]


def _unless(comparison: int, value: int, result: int) -> list[bytes]:
    return [_step(comparison, value, 1, 0), _step(_RETURN, result)]
