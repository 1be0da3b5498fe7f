"""Ways out by calls, devices and settings of the kernel, and by files of others."""

import ctypes
import os
import socket
import ssl
import struct
import subprocess
import time
from contextlib import suppress

from tests.support.ways_out.base import BOX, call, way


@way
def keys() -> None:
    call(250, 0, -5, 1)  # KEYCTL_GET_KEYRING_ID


@way
def bpf() -> None:
    call(321, 0, ctypes.create_string_buffer(struct.pack("=IIII", 2, 4, 8, 1), 72), 72)


@way
def performance_events() -> None:
    call(298, ctypes.create_string_buffer(struct.pack("=IIQ", 1, 112, 0), 112), 0, -1, -1, 0)


@way
def page_faults() -> None:
    os.close(call(323, 1))


@way
def kernel_modules() -> None:
    call(175, b"", 0, b"")


@way
def handles_of_files() -> None:
    call(303, -100, b"/", ctypes.create_string_buffer(struct.pack("=I", 128), 200), ctypes.byref(ctypes.c_int()), 0)


@way
def calls_of_32_bits() -> None:
    call(0x40000000 | 39)  # getpid, as an x32 process makes it


@way
def a_setuid_program() -> None:
    for program in ("/usr/bin/su", "/bin/su", "/usr/bin/mount", "/usr/bin/passwd"):
        if os.path.exists(program) and os.stat(program).st_mode & 0o4000:
            with subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as child:
                time.sleep(0.3)
                with open(f"/proc/{child.pid}/status") as file:
                    user = next(line for line in file if line.startswith("Uid:")).split()[2]
                child.kill()
            assert user == "0", f"its effective user is {user}"
            return
    raise OSError("there is none")


@way
def devices() -> None:
    usable = []
    for directory, below, names in os.walk("/dev"):
        below[:] = [name for name in below if name not in ("pts", "shm", "mqueue", "fd")]
        for name in names:
            path = os.path.join(directory, name)
            if name not in ("full", "null", "ptmx", "random", "tty", "urandom", "zero") and not os.path.islink(path):
                with suppress(OSError):
                    os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK))
                    usable.append(path)
    assert usable, "there are no others"


@way
def a_device_of_its_own() -> None:
    os.mknod("/tmp/disk", 0o60666, os.makedev(254, 0))


@way
def settings_of_the_kernel() -> None:
    written = []
    for top in ("/proc/sys", "/sys", "/proc/bus", "/proc/fs", "/proc/irq"):
        for directory, _, names in os.walk(top):
            written += [path for name in names if os.access(path := os.path.join(directory, name), os.W_OK)]
    for path in ("/proc/sysrq-trigger", "/proc/kcore", "/proc/keys"):
        with suppress(OSError), open(path, "r+b") as file:
            file.write(b"")
            written.append(path)
    assert written, "none can be written"


@way
def libraries_of_the_proxy() -> None:
    """Write something that the proxy, or whoever starts it, would load."""
    places = [
        "/etc/ld.so.preload",
        "/etc/hosts",
        "/etc/resolv.conf",
        "/etc/nsswitch.conf",
        ssl.__file__,
        socket.__file__,
        *BOX.get("programs", []),
    ]
    for path in places:
        with suppress(OSError), open(path, "ab"):
            return
    raise OSError("none can be written")
