"""What a hostile agent tries in order to leave its box: run in the box as the agent, with nothing but the standard library.

argv: JSON with what there is to reach, see `Box`. Each way runs in a process of its own, and prints one line of JSON: its name, whether it
led out, and how it ended.
"""

import ctypes
import json
import os
import select
import signal
import socket
import ssl
import struct
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any

SECONDS = 6.0
AT_ONCE = 16
BOX: dict[str, Any] = json.loads(sys.argv[1]) if __name__ == "__main__" else {}
"""outside: [address, port] of a server; outside6: the same by IPv6; dns: address of a DNS server; name: what it knows;

private: [name, port] of a server at a private address; abstract: an abstract socket; sockets: paths of sockets that are not the
agent's; beside: [alias, port that is declared, one that is not] of a service; listed: [name, port] of what the list allows; requests:
name -> bytes for the proxy, as latin-1 text.
"""
LIBC = ctypes.CDLL(None, use_errno=True)
X86 = os.uname().machine == "x86_64"
Way = Callable[[], object]
WAYS: dict[str, Way] = {}


def way(test: Way) -> Way:
    """Register a way out. It raises when it is closed."""
    WAYS[test.__name__] = test
    return test


def call(number: int, *arguments: object) -> int:
    """Make a system call by its number on x86_64. Raises OSError."""
    if not X86:
        raise OSError("only tried on x86_64")
    result = LIBC.syscall(*(ctypes.c_long(each) if isinstance(each, int) else each for each in (number, *arguments)))
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return int(result)


def talk(host: str, port: int) -> None:
    """Connect, past every proxy."""
    socket.create_connection((host, port), SECONDS / 2).close()


def question() -> bytes:
    """Return a question to a DNS server."""
    labels = b"".join(bytes([len(label)]) + label for label in BOX["name"].encode().split(b"."))
    return b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00" + labels + b"\x00\x00\x01\x00\x01"


@way
def tcp_to_an_address() -> None:
    talk(*BOX["outside"])


@way
def tcp_over_ipv6() -> None:
    talk(*BOX["outside6"])


@way
def tcp_to_a_private_name() -> None:
    talk(*BOX["private"])


@way
def dns_over_udp() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(2)
        asking.sendto(question(), (BOX["dns"], 53))
        assert asking.recv(512)[:2] == b"\x12\x34"


@way
def dns_over_tcp() -> None:
    with socket.create_connection((BOX["dns"], 53), 2) as asking:
        asking.sendall(struct.pack(">H", len(question())) + question())
        assert asking.recv(4)[2:] == b"\x12\x34"


@way
def resolving_a_name() -> None:
    assert socket.getaddrinfo(BOX["name"], 80)


@way
def udp_to_an_address() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sending:
        sending.sendto(b"work", (BOX["outside"][0], 9))


@way
def udp_to_everybody() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sending:
        sending.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        sending.sendto(b"work", ("255.255.255.255", 9))


@way
def multicast() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sending:
        sending.sendto(b"work", ("224.0.0.251", 5353))


@way
def icmp() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP) as ping:
        ping.settimeout(2)
        ping.sendto(b"\x08\x00\x00\x00\x00\x01\x00\x01" + b"work", (BOX["outside"][0], 0))
        assert ping.recv(64)


@way
def raw_ip() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as raw:
        raw.sendto(b"E" + bytes(19), (BOX["outside"][0], 0))


@way
def packets() -> None:
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0x0300):
        pass


@way
def vsock() -> None:
    with socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM):
        pass


@way
def other_families() -> None:
    made = []
    for family in range(3, 46):
        if family not in (socket.AF_INET6, socket.AF_NETLINK):
            for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_SEQPACKET, socket.SOCK_RAW):
                with suppress(OSError), socket.socket(family, kind):
                    made.append(family)
    assert made, "none can be made"


@way
def an_abstract_socket() -> None:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect("\0" + BOX["abstract"])


@way
def sockets_of_the_host() -> None:
    for path in BOX["sockets"]:
        with socket.socket(socket.AF_UNIX) as connection, suppress(PermissionError):
            connection.connect(path)
            return
    raise PermissionError("none can be opened")


@way
def another_interface() -> None:
    with open("/proc/self/net/dev") as file:
        names = [line.split(":")[0].strip() for line in file if ":" in line]
    assert [name for name in names if name != "lo"], "there is lo alone"


@way
def an_address_of_its_own() -> None:
    message = struct.pack("=BBBBI", socket.AF_INET, 8, 0, 0, 1) + struct.pack("=HH4s", 8, 2, socket.inet_aton("93.184.215.99"))
    netlink(20, message)


@way
def a_tunnel_device() -> None:
    descriptor = os.open("/dev/net/tun", os.O_RDWR)
    import fcntl

    fcntl.ioctl(descriptor, 0x400454CA, struct.pack("16sH14x", b"out0", 0x1001))


def netlink(kind: int, message: bytes) -> None:
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as asking:
        asking.settimeout(2)
        asking.send(struct.pack("=IHHII", 16 + len(message), kind, 0x605, 1, 0) + message)
        _, answered, _, _, _ = struct.unpack("=IHHII", (data := asking.recv(4096))[:16])
        (error,) = struct.unpack("=i", data[16:20])
        if answered == 2 and error:
            raise OSError(-error, os.strerror(-error))


@way
def io_uring() -> None:
    call(425, 4, ctypes.create_string_buffer(120))


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


@way
def a_port_of_a_service() -> None:
    alias, _, other = BOX["beside"]
    talk(alias, other)


@way
def a_service_at_its_port() -> None:
    alias, port, _ = BOX["beside"]
    with socket.create_connection((alias, port), 2) as connection:
        connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert connection.recv(4)


@way
def past_the_proxy() -> None:
    for name in [*os.environ]:
        if "proxy" in name.lower():
            del os.environ[name]
    urllib.request.urlopen(f"http://{BOX['private'][0]}:{BOX['private'][1]}/", timeout=SECONDS / 2)


def proxy() -> socket.socket:
    """Connect to the box proxy."""
    host, _, port = os.environ["HTTP_PROXY"].removeprefix("http://").rpartition(":")
    return socket.create_connection((host, int(port)), SECONDS / 2)


def ask(data: bytes) -> None:
    """Send bytes to the proxy. Raises when it does not answer that it passes them on."""
    with proxy() as connection:
        connection.settimeout(SECONDS / 2)
        connection.sendall(data)
        answer = connection.recv(200)
        assert answer.split(b" ")[1:2] == [b"200"], answer[:60].decode("latin-1")


def hello(*names: bytes) -> bytes:
    """Return a TLS client's first message that asks for these names."""
    entries = b"".join(b"\x00" + struct.pack(">H", len(name)) + name for name in names)
    extension = struct.pack(">HHH", 0, len(entries) + 2, len(entries)) + entries
    body = b"\x03\x03" + bytes(32) + b"\x00" + b"\x00\x02\x13\x01" + b"\x01\x00" + struct.pack(">H", len(extension)) + extension
    message = b"\x01" + struct.pack(">I", len(body))[1:] + body
    return b"\x16\x03\x01" + struct.pack(">H", len(message)) + message


def tunnel_says(*records: bytes) -> None:
    """Open a tunnel to what is listed, and send a TLS client's first bytes. Raises when the other end does not get them."""
    with proxy() as connection:
        connection.settimeout(SECONDS / 2)
        host, port = BOX["listed"]
        connection.sendall(f"CONNECT {host}:{port} HTTP/1.1\r\n\r\n".encode())
        assert connection.recv(200).startswith(b"HTTP/1.1 200")
        for record in records:
            connection.sendall(record)
            time.sleep(0.1)
        assert connection.recv(10), "the tunnel was closed"


@way
def tls_for_another_host() -> None:
    tunnel_says(hello(b"elsewhere.example"))


@way
def tls_for_another_host_in_pieces() -> None:
    whole = hello(b"elsewhere.example")
    tunnel_says(whole[:7], whole[7:60], whole[60:])


@way
def tls_for_another_host_in_records() -> None:
    whole = hello(b"elsewhere.example")[5:]
    tunnel_says(*(b"\x16\x03\x01" + struct.pack(">H", len(part)) + part for part in (whole[:3], whole[3:70], whole[70:])))


@way
def tls_for_another_host_after_an_alert() -> None:
    tunnel_says(b"\x15\x03\x01\x00\x02\x01\x5a" + hello(b"elsewhere.example"))  # which servers in Go, for example, pass over


@way
def tls_for_two_hosts() -> None:
    tunnel_says(hello(BOX["listed"][0].encode(), b"elsewhere.example"))


def requests() -> dict[str, Way]:
    """Return a way for each of the requests to the proxy."""
    return {name: partial(ask, text.encode("latin-1")) for name, text in BOX["requests"].items()}


def begin(test: Way) -> tuple[int, int]:
    """Run a way in a process of its own, for what is killed then is not this one; return the process, and where it says how it ended."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        said = "out"
        try:
            test()
        except BaseException as error:  # noqa: BLE001 - however it fails, it is closed
            said = f"{type(error).__name__}: {error}"
        os.write(write, said.encode("utf-8", "replace")[:300])
        os._exit(0)
    os.close(write)
    return child, read


def ended(child: int, read: int, end: float) -> str:
    """Return how a way ended: "out", or why not."""
    ready = select.select([read], [], [], max(0.0, end - time.monotonic()))[0]
    said = os.read(read, 400).decode() if ready else "it does not end"
    os.close(read)
    with suppress(ProcessLookupError):
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return said or f"signal {status & 127}"


def main() -> None:
    """Try them all, some at a time."""
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    ways = [*WAYS.items(), *requests().items()]
    for first in range(0, len(ways), AT_ONCE):
        some = [(name, *begin(test)) for name, test in ways[first : first + AT_ONCE]]
        end = time.monotonic() + SECONDS
        for name, child, read in some:
            said = ended(child, read, end)
            print(json.dumps({"way": name, "out": said == "out", "detail": said}), flush=True)


if __name__ == "__main__":
    main()
