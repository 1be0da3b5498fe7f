"""Ways out by sockets, past the proxy, and by the settings of the network."""

import ctypes
import os
import socket
import struct
from contextlib import suppress

from tests.support.ways_out.base import BOX, call, talk, way


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
