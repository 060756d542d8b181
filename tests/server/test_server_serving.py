"""What a reload does to the rooms of one process, with the clock in our hands."""

from pathlib import Path

import pytest
from twisted.internet.address import IPv4Address
from twisted.internet.testing import MemoryReactorClock, StringTransport

from mailnode.auth.realm import SessionCounts
from mailnode.config.holder import Holder
from mailnode.config.loader import read
from mailnode.net.hints import LocalHints
from mailnode.net.no_reactor import run_now
from mailnode.net.tls import CertificateStore
from mailnode.server.ports import OwnPorts
from mailnode.server.runtime import make_runtime
from mailnode.server.serving import Serving
from mailnode.server.stores import OwnStores


class Rooms:
    """The listeners of a process over a reactor that does nothing by itself."""

    def __init__(self, data, **limits):
        self.data = data
        self.reactor = MemoryReactorClock()
        self.holder = Holder(self.config(**limits))
        runtime = make_runtime(self.holder.config, self.reactor, lambda: 1.79e9, LocalHints())
        stores = OwnStores(self.holder.config, runtime.clock, runtime.threads, runtime.hints, None)
        certificates = CertificateStore((), runtime.clock)
        self.serving = Serving(self.holder, stores, runtime, certificates, SessionCounts(), OwnPorts())
        run_now(self.serving.bind())
        self.serving.build()

    def config(self, imap=None, **limits):
        listener = [{"protocol": "pop3", "endpoint": "tcp:110"}, {"protocol": "imap", "endpoint": "tcp:143"}]
        listener.append({"protocol": "smtp", "endpoint": "tcp:25"})
        server = {"hostname": "mx.a.test", "data": self.data}
        table = {"server": server, "listener": listener, "limits": limits, "judgement": {"checks": []}}
        return read(table | ({"imap": imap} if imap else {}), Path("/"))

    def connect(self, number=0, host="192.0.2.1"):
        """Return the transport of a client, greeted or turned away; None: closed without a word."""
        address = IPv4Address("TCP", host, 1000)
        protocol = self.reactor.tcpServers[number][1].buildProtocol(address)
        transport = StringTransport(peerAddress=address)
        transport.protocol = protocol
        protocol.makeConnection(transport)
        self.reactor.advance(0)
        return transport


@pytest.fixture
def data(tmp_path):
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


def test_the_time_of_pop3_changes_for_new_connections(data):
    rooms = Rooms(data, pop3_timeout=600.0, login_timeout=10_000.0)
    rooms.serving.accept()
    standing = rooms.connect()
    rooms.holder.swap(rooms.config(pop3_timeout=900.0, login_timeout=10_000.0))
    fresh = rooms.connect()
    rooms.reactor.advance(601)
    assert standing.disconnecting and not fresh.disconnecting
    rooms.reactor.advance(300)
    assert fresh.disconnecting


def test_how_long_strangers_wait_changes_for_new_connections(data):
    rooms = Rooms(data, greet_pause=0)
    rooms.serving.accept()
    assert rooms.connect(2).value().startswith(b"220 ")
    rooms.holder.swap(rooms.config(greet_pause=3))
    fresh = rooms.connect(2)
    rooms.reactor.advance(2.9)
    assert fresh.value() == b""
    rooms.reactor.advance(0.1)
    assert fresh.value().startswith(b"220 ")


def test_what_strangers_may_do_changes_and_what_they_did_stays(data):
    rooms = Rooms(data, greet_pause=0, connections_per_minute=2, neighbours=2)
    rooms.serving.accept()
    hosts = ["192.0.2.1"] * 3 + ["192.0.2.2"] * 2 + ["192.0.2.3"]
    assert [rooms.connect(2, host).value()[:3] for host in hosts] == [b"220", b"220", b"421", b"220", b"220", b"421"]
    rooms.holder.swap(rooms.config(greet_pause=0, connections_per_minute=3, neighbours=2))
    assert [rooms.connect(2).value()[:3] for _ in range(2)] == [b"220", b"421"]
    rooms.holder.swap(rooms.config(greet_pause=0, connections_per_minute=0))
    assert rooms.connect(2).value().startswith(b"220")


@pytest.mark.parametrize("what", ["messages", "recipients", "refused_recipients"])
def test_each_of_it_has_its_setting(data, what):
    rooms = Rooms(data, greet_pause=0)
    rooms.serving.accept()
    rooms.holder.swap(rooms.config(greet_pause=0, **{f"{what}_per_minute": 1}))
    rates = rooms.serving.rooms.factory(rooms.config().listener[2], None, rooms.holder.config)._service.rates
    assert [rates.most(one) for one in ("messages", "recipients", "refused_recipients")] == [
        1 if one == what else rooms.config().limits.model_dump()[f"{one}_per_minute"]
        for one in ("messages", "recipients", "refused_recipients")
    ]


def ask(transport, line):
    transport.clear()
    transport.protocol.dataReceived(line)
    return transport.value()


def test_capabilities_are_hidden_from_all_and_from_programs_by_name(data):
    """What the configuration says reaches new connections, also what a reload says."""
    rooms = Rooms(data)
    rooms.serving.accept()
    outlook = b'i ID ("name" "Microsoft Office 365")\r\n'
    first = rooms.connect(1)
    assert b" UIDONLY" in first.value() and b" IDLE" in first.value()
    ask(first, outlook)
    assert b" UIDONLY" not in ask(first, b"c CAPABILITY\r\n")
    said = {"hide": ["idle"], "client": [{"name": "X", "hide": ["MOVE"]}, {"name": "x", "hide": ["ENABLE"]}]}
    rooms.holder.swap(rooms.config(imap=said))
    second = rooms.connect(1)
    assert b" IDLE" not in second.value() and b" MOVE" in second.value()
    ask(second, outlook)
    assert b" UIDONLY" in ask(second, b"c CAPABILITY\r\n")
    ask(second, b'i ID ("name" "x")\r\n')
    assert not {b"MOVE", b"ENABLE"} & set(ask(second, b"c CAPABILITY\r\n").split())


def test_connections_are_counted_on(data):
    rooms = Rooms(data, connections=2)
    rooms.serving.accept()
    assert b"+OK" in rooms.connect().value() and b"+OK" in rooms.connect().value()
    for errors in range(10, 14):
        rooms.holder.swap(rooms.config(connections=2, errors=errors))
        assert b"-ERR" in rooms.connect().value()
        rooms.holder.swap(rooms.config(connections=20, errors=errors))
    assert b"* OK" in rooms.connect(1).value(), "each listener counts its own"


def test_what_comes_before_connections_are_taken_is_in_effect(data):
    rooms = Rooms(data, connections=2)
    rooms.holder.swap(rooms.config(connections=1), 7)
    rooms.serving.accept()
    assert b"+OK" in rooms.connect().value() and b"-ERR" in rooms.connect().value()
    assert rooms.serving.served(2)["generation"] == 7


def test_nobody_is_let_in_by_a_reload_while_it_ends(data):
    rooms = Rooms(data)
    rooms.serving.accept()
    run_now(rooms.serving.close_listeners())
    rooms.holder.swap(rooms.config(connections=1))
    assert rooms.reactor.tcpServers[0][1].buildProtocol(IPv4Address("TCP", "192.0.2.1", 1)) is None
