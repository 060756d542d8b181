"""Descriptors are shared out, and nobody is let in who would take those of the store."""

import errno
import os
import resource
import socket
import tempfile

import pytest
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase, TestCase

from mailnode.net.admission import PAUSE, QUIET, ConnectionAdmission
from mailnode.net.descriptors import (
    DESTINATIONS,
    KEPT_BACK,
    LEAST,
    OF_CONNECTION,
    OUTGOING,
    WEB,
    dns_at_once,
    in_use,
    limit,
    raise_limit,
    share,
)
from mailnode.net.listeners import Listener


@pytest.mark.parametrize("most", [400, 1024, 4096, 65536, 1 << 20])
@pytest.mark.parametrize("used", [30, 90])
@pytest.mark.parametrize("outgoing", [0, 1, 100])
def test_all_shares_together_are_no_more_than_there_are(most, used, outgoing):
    store = 70
    shares = share(most, used, store, outgoing)
    assert not shares.scarce and shares.connections >= LEAST and shares.outgoing <= outgoing
    spent = used + store + KEPT_BACK + WEB + OUTGOING * shares.outgoing + shares.destinations + dns_at_once(most)
    assert most - OF_CONNECTION < spent + OF_CONNECTION * shares.connections <= most
    assert not outgoing or (shares.outgoing >= 1 and shares.destinations >= 1)
    assert most < 65536 or not outgoing or shares.destinations == DESTINATIONS


def test_a_limit_that_is_too_low_is_said():
    shares = share(150, 60, 70, 100)
    assert shares.scarce and shares.connections == LEAST and shares.outgoing == 9
    assert dns_at_once(4) == 1


def test_the_soft_limit_becomes_the_hard_one():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard - 1, hard))
    try:
        assert limit() == hard - 1
        assert raise_limit() == limit() == hard
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_open_descriptors_are_counted():
    before = in_use()
    first, second = os.pipe()
    assert in_use() == before + 2
    os.close(first)
    os.close(second)


class Scarce:
    """A port's listening socket: clients, or errors, in a list."""

    def __init__(self):
        self.waiting = []

    def accept(self):
        if not self.waiting:
            raise BlockingIOError(errno.EAGAIN, "none")
        first = self.waiting.pop(0)
        if isinstance(first, OSError):
            raise first
        return first, "somebody"


class Port:
    def __init__(self):
        self.socket = Scarce()


class AdmissionTests(SynchronousTestCase):
    def setUp(self):
        self.clock = Clock()
        self.clock.callFromThread = lambda function: function()
        self.admission = ConnectionAdmission(self.clock, 20)
        self.ports = [Port(), Port()]
        self.told = []
        for port in self.ports:
            self.listening = port.socket
            self.admission.watch(port, lambda: self.told.append(self.admission.full))
        self.events = []

        def observe(event):
            if event.get("event", "").startswith("listener."):
                self.events.append((event["event"], event["fields"]))

        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)

    def accept(self, count=1):
        taken = []
        for _ in range(count):
            ours, theirs = socket.socketpair()
            self.addCleanup(theirs.close)
            self.listening.waiting.append(ours)
            client, address = self.ports[1].socket.accept()
            assert address == "somebody"
            self.addCleanup(client.close)
            taken.append(client)
        return taken

    def test_who_is_one_too_many_waits_until_some_have_gone(self):
        clients = self.accept(20)
        assert self.admission.full and self.told == [True, True]
        ours, theirs = socket.socketpair()
        self.listening.waiting.append(ours)
        for port in self.ports:
            with self.assertRaises(BlockingIOError):
                port.socket.accept()
        assert self.listening.waiting == [ours], "nobody was accepted and thrown out"
        clients[0].close()
        clients[0].close()
        assert not self.admission.full and self.told == [True, True, False, False]
        self.ports[1].socket.accept()[0].close()
        theirs.close()
        assert [name for name, _ in self.events] == ["listener.full", "listener.room"]
        assert self.events[0][1] == {"connections": 20, "reason": "the rest of the descriptors is kept back"}

    def test_coming_and_going_at_the_bound_is_said_once_a_minute(self):
        clients = self.accept(20)
        for _ in range(10):
            clients.pop().close()
            clients += self.accept()
        assert [name for name, _ in self.events] == ["listener.full", "listener.room"]
        clients.pop().close()
        self.clock.advance(QUIET)
        self.accept()
        assert [name for name, _ in self.events] == ["listener.full", "listener.room", "listener.full"]

    def test_what_the_kernel_cannot_give_is_asked_for_again_after_a_while(self):
        for number in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
            self.told.clear()
            self.listening.waiting.append(OSError(number, os.strerror(number)))
            with self.assertRaises(BlockingIOError) as caught:
                self.ports[1].socket.accept()
            assert caught.exception.args[0] == errno.EAGAIN, "what Twisted takes for nobody"
            assert self.told == [True, True]
            self.clock.advance(PAUSE)
            assert self.told == [True, True, False, False]
        assert self.events[0] == ("listener.full", {"connections": 0, "reason": os.strerror(errno.EMFILE)})

    def test_other_errors_are_the_port_s(self):
        self.listening.waiting.append(OSError(errno.ECONNABORTED, "gone"))
        with self.assertRaises(OSError) as caught:
            self.ports[1].socket.accept()
        assert caught.exception.errno == errno.ECONNABORTED and not self.admission.full

    def test_one_that_nobody_closed_counts_no_more(self):
        clients = self.accept(3)
        self.doCleanups()
        del clients
        assert self.admission.standing == 0
        ours, theirs = socket.socketpair()
        self.listening.waiting.append(ours)
        client, _ = self.ports[1].socket.accept()
        assert self.admission.standing == 1
        del client
        assert self.admission.standing == 0
        assert theirs.recv(1) == b"", "and was closed"
        theirs.close()


class Greeter(Protocol):
    def connectionMade(self):
        self.transport.write(b"hello\n")


class RealPortTests(TestCase):
    """Ports of both families, made by Twisted and taken over from another process."""

    timeout = 60

    async def crowd(self, one, family, address, admission):
        factory = Factory.forProtocol(Greeter)
        factory.noisy = False
        one.accept(factory)
        clients, greeted = [], []
        try:
            for _ in range(4):
                clients.append(socket.socket(family))
                clients[-1].connect(address)
                clients[-1].setblocking(False)
            for expected in (2, 3, 4):
                while len(greeted) < expected:
                    await self.turn()
                    greeted += [client for client in clients if self.is_greeted(client)]
                for _ in range(5):
                    await self.turn()
                greeted += [client for client in clients if self.is_greeted(client)]
                assert len(greeted) == expected, "the others wait, and are not closed"
                assert admission.standing == 2 and admission.full
                greeted[expected - 2].close()
        finally:
            for client in clients:
                client.close()
            while admission.standing:
                await self.turn()
            await one.close()

    def is_greeted(self, client):
        try:
            return client.fileno() >= 0 and client.recv(6) == b"hello\n"
        except BlockingIOError:
            return False

    def turn(self):
        pause = Deferred()
        reactor.callLater(0.005, pause.callback, None)
        return pause

    def listener(self, endpoint):
        admission = ConnectionAdmission(reactor, 2)
        return Listener(reactor, "listener[0]", "smtp", endpoint, "none", admission=admission), admission

    async def test_tcp(self):
        one, admission = self.listener("tcp:0:interface=127.0.0.1")
        await one.bind()
        await self.crowd(one, socket.AF_INET, ("127.0.0.1", one.address.port), admission)

    async def test_unix(self):
        one, admission = self.listener(f"unix:{self.path()}")
        await one.bind()
        await self.crowd(one, socket.AF_UNIX, self.where, admission)

    async def test_unix_taken_over(self):
        first, _ = self.listener(f"unix:{self.path()}")
        await first.bind()
        place = first.handed_over()
        second, admission = self.listener("unix:elsewhere")
        second.adopt(type(place)(os.dup(place.descriptor), place.family, place.backlog))
        await self.crowd(second, socket.AF_UNIX, self.where, admission)
        await first.close()

    async def test_tcp_taken_over(self):
        first, _ = self.listener("tcp:0:interface=127.0.0.1")
        await first.bind()
        place, port = first.handed_over(), first.address.port
        second, admission = self.listener("tcp:0")
        second.adopt(type(place)(os.dup(place.descriptor), place.family, place.backlog))
        await self.crowd(second, socket.AF_INET, ("127.0.0.1", port), admission)
        await first.close()

    async def other_goes_on(self, endpoint, family, address):
        first, _ = self.listener(endpoint)
        await first.bind()
        place = first.handed_over()
        other, admission = self.listener("tcp:0")
        other.adopt(type(place)(os.dup(place.descriptor), place.family, place.backlog))
        where = address or ("127.0.0.1", first.address.port)
        await first.close()
        if family == socket.AF_INET:  # the path of the other kind went with who bound it
            await self.crowd(other, family, where, admission)
            return
        factory = Factory.forProtocol(Greeter)
        other.accept(factory)
        for _ in range(5):
            await self.turn()
        await other.close()

    async def test_who_closes_a_port_leaves_it_to_the_other_processes(self):
        await self.other_goes_on("tcp:0:interface=127.0.0.1", socket.AF_INET, None)
        await self.other_goes_on(f"unix:{self.path()}", socket.AF_UNIX, self.where)

    def path(self):
        folder = tempfile.TemporaryDirectory()  # mktemp's names are too long for a socket
        self.addCleanup(folder.cleanup)
        self.where = f"{folder.name}/socket"
        return self.where
