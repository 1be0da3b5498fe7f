"""A shell on a person's terminal in place of an agent: what goes over the connection, and how both of its ends end."""

import contextlib
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from ccterm.box import BEAT, KEYS, RESIZED, SHELL_HEAD, SHELL_SIZE
from tests.box.boxed import Running, supervise_request
from tests.support.waiting import LIMIT


class Person:
    """The person's end of the connection."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        connection.settimeout(LIMIT)
        self.seen = self.last = b""

    def send(self, kind: bytes, body: bytes) -> None:
        """Send one message, in two parts, as a connection may deliver it."""
        message = struct.pack(SHELL_HEAD, kind, len(body)) + body
        self._connection.sendall(message[:3])
        self._connection.sendall(message[3:])

    def type(self, keys: str) -> None:
        self.send(KEYS, keys.encode())

    def until(self, words: str) -> None:
        while words.encode() not in self.seen:
            assert self._receive(), self.seen

    def to_the_end(self) -> bytes:
        while self._receive():
            pass
        return self.seen

    def beat(self) -> None:
        while self.last != BEAT:
            assert self._receive(), self.seen

    def _receive(self) -> bool:
        with contextlib.suppress(ConnectionResetError):
            if head := self._connection.recv(struct.calcsize(SHELL_HEAD), socket.MSG_WAITALL):
                self.last, length = struct.unpack(SHELL_HEAD, head)
                self.seen += self._connection.recv(length, socket.MSG_WAITALL) if length else b""
                return True
        return False

    def go(self) -> None:
        self._connection.close()


@pytest.fixture
def shell(lib: Path, box: Path) -> Iterator[tuple[Running, Person]]:
    """A supervised shell, and the person at it."""
    argv = ["@box", "terminal", "../terminal.sock", "24", "80", '{".placed": "by us"}']
    with socket.socket(socket.AF_UNIX) as listener, contextlib.chdir(box):
        listener.bind("terminal.sock")
        listener.listen(1)
        listener.settimeout(LIMIT)
        with Running(lib, box, "supervise", supervise_request("", argv=argv, env={"PS1": "", "TERM": "dumb"})) as run:
            person = Person(listener.accept()[0])
            yield run, person
            person.go()


def test_a_shell_has_a_terminal_of_its_own_and_its_exit_code_is_reported(shell: tuple[Running, Person], box: Path) -> None:
    run, person = shell
    person.type("tty; stty size; cat ~/.placed; echo by hand > hand.txt; seq 100000 | tail -1; exit 7\n")
    drawn = person.to_the_end()
    assert b"/dev/pts/" in drawn
    assert b"24 80" in drawn
    assert b"by us" in drawn
    assert b"100000\r\n" in drawn
    assert run.report()["exit"] == 7
    assert (box / "tree" / "hand.txt").read_text() == "by hand\n"


def test_a_new_size_and_control_keys_reach_its_programs(shell: tuple[Running, Person]) -> None:
    run, person = shell
    person.type("echo cat-$((40 + 1)); cat; echo cat-$((40 + 2))\n")
    person.until("cat-41")
    person.send(RESIZED, struct.pack(SHELL_SIZE, 51, 203))
    person.type("\x04")
    person.until("cat-42")
    person.type("stty size; exit\n")
    assert b"51 203" in person.to_the_end()
    assert run.report()["exit"] == 0


def test_a_shell_ends_when_the_person_goes(shell: tuple[Running, Person]) -> None:
    run, person = shell
    person.type("echo here-$((40 + 2)); tail -f /dev/null\n")
    person.until("here-42")
    person.beat()
    person.go()
    assert run.report()["ok"] is True


def test_what_a_shell_leaves_in_the_background_does_not_keep_it_open(shell: tuple[Running, Person]) -> None:
    run, person = shell
    person.type("(trap '' HUP; tail -f /dev/null) & exit 3\n")
    person.to_the_end()
    assert run.report()["exit"] == 3
