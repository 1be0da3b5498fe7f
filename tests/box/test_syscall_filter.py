"""The filter of system calls of a closed box, for each architecture: its program is run here by a few lines, as a kernel would run it."""

import errno
import re
import struct
from pathlib import Path

import pytest

from ccterm.box.process.syscall_filter import AARCH64, MACHINES, SHARED, X86_64, filter_program

HEADERS = {"x86_64": "/usr/include/x86_64-linux-gnu/asm/unistd_64.h", "aarch64": "/usr/include/asm-generic/unistd.h"}
NAMES = {"x86_64": X86_64 | SHARED, "aarch64": AARCH64 | SHARED}
ALLOWED, KILLED = "allowed", "killed"
NEW_USER, NEW_NETWORK, THREAD, SIGCHLD = 0x10000000, 0x40000000, 0x3D0F00, 17


def outcome(machine: str, number: int, argument: int = 0, architecture: int | None = None) -> str:
    """Return what becomes of a call: "allowed", "killed", or the name of its error."""
    program = filter_program(machine)
    assert program
    given = MACHINES[machine].audit if architecture is None else architecture
    data = struct.pack("<IIQ6Q", number, given, 0, argument, 0, 0, 0, 0, 0)
    steps = [struct.unpack("<HBBI", program[at : at + 8]) for at in range(0, len(program), 8)]
    accumulator = place = 0
    while True:
        code, then, otherwise, value = steps[place]
        place += 1
        if code == 0x20:
            (accumulator,) = struct.unpack_from("<I", data, value)
        elif code == 0x06:
            return {0x7FFF0000: ALLOWED, 0x80000000: KILLED}.get(value) or errno.errorcode[value & 0xFFFF]
        else:
            fits = {0x15: accumulator == value, 0x35: accumulator >= value, 0x45: bool(accumulator & value)}[code]
            place += then if fits else otherwise


@pytest.mark.parametrize("machine", MACHINES)
def test_what_is_denied_and_what_is_not(machine: str) -> None:
    calls = MACHINES[machine]
    assert {name for name, number in NAMES[machine].items() if outcome(machine, number) != "EPERM"} == set()
    assert outcome(machine, calls.clone3) == "ENOSYS"
    for flags, expected in (
        (SIGCHLD, ALLOWED),
        (THREAD, ALLOWED),
        (NEW_USER | SIGCHLD, "EPERM"),
        (NEW_NETWORK, "EPERM"),
        (1 << 32 | NEW_USER, "EPERM"),
    ):
        assert outcome(machine, calls.clone, flags) == expected
    for call in (calls.socket, calls.socketpair):
        assert {family for family in range(64) if outcome(machine, call, family) != "EAFNOSUPPORT"} == {1, 2, 10, 16}
        assert outcome(machine, call, 2) == ALLOWED
    known = {*NAMES[machine].values(), calls.clone, calls.clone3, calls.socket, calls.socketpair}
    assert {number for number in range(470) if outcome(machine, number) != ALLOWED} == known - {calls.clone}


def test_calls_of_another_architecture_end_the_process() -> None:
    assert outcome("x86_64", 39, architecture=0x40000003) == KILLED  # as a program of 32 bits makes it
    assert outcome("x86_64", 0x40000000 | 39) == KILLED
    assert outcome("aarch64", 172, architecture=MACHINES["x86_64"].audit) == KILLED
    assert filter_program("riscv64") is None


@pytest.mark.parametrize("machine", MACHINES)
def test_the_numbers_are_those_of_the_kernel(machine: str) -> None:
    header = Path(HEADERS[machine])
    if not header.exists():
        pytest.skip(f"there is no {header}")
    numbers = {name: int(number) for name, number in re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", header.read_text())}
    assert {name: numbers[name] for name in NAMES[machine] if name in numbers} == {n: v for n, v in NAMES[machine].items() if n in numbers}
    assert {name for name in NAMES[machine] if name not in numbers} <= {
        "open_tree_attr",
        "quotactl_fd",
        "umount2",
        "mount_setattr",
        "pidfd_getfd",
    }
    calls = MACHINES[machine]
    assert (numbers["clone"], numbers["socket"], numbers["socketpair"]) == (calls.clone, calls.socket, calls.socketpair)
