"""How many connections there may be: in all, from one network, and what the others hear."""

from typing import Any

import pytest
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.logger import globalLogPublisher
from twisted.python.failure import Failure

from mailnode.net.pump import Pump
from mailnode.net.pump_factory import PumpFactory
from mailnode.values.wire import NEED_DATA


class Idle:
    """A connection and a session of a client that never says anything."""

    buffered = 0
    begun = None

    def next_event(self) -> Any:
        return NEED_DATA

    async def opened(self) -> None:
        pass

    def lost(self) -> None:
        pass


class CountingFactory(PumpFactory):
    def make_pump(self, host: str) -> Pump:
        idle: Any = Idle()
        return Pump("test", idle, lambda channel: idle, Clock(), on_close=self.closed)


def connect(factory: CountingFactory, host: str) -> Any:
    address = IPv6Address("TCP", host, 1) if ":" in host else IPv4Address("TCP", host, 1)
    protocol = factory.buildProtocol(address)
    if protocol is not None:
        protocol.makeConnection(StringTransport(peerAddress=address))
    return protocol


# SMTP trap 31: ten thousand idle ones
def test_ten_thousand_idle_connections_are_bounded() -> None:
    factory = CountingFactory(b"too many\n", max_connections=1000, max_per_peer=50)
    protocols = [connect(factory, f"10.{number % 40}.0.1") for number in range(10_000)]
    assert factory.connections == 1000
    turned_away = [protocol for protocol in protocols if not isinstance(protocol, Pump)]
    assert len(turned_away) == 9000
    for protocol in turned_away:
        assert protocol.transport.value() == b"too many\n" and protocol.transport.disconnecting
    for pump in list(factory.pumps):
        pump.connectionLost(Failure(ConnectionDone()))
    assert factory.connections == 0 and not factory.clients.total() and not factory.clients.of("10.0.0.1")
    assert isinstance(connect(factory, "10.0.0.1"), Pump)


@pytest.mark.parametrize(
    ("first", "same", "other"),
    [
        ("192.0.2.1", "192.0.2.1", "192.0.2.2"),
        ("2001:db8::1", "2001:db8::ffff:1", "2001:db8:0:1::1"),
        ("::ffff:192.0.2.1", "192.0.2.1", "::ffff:192.0.2.2"),
    ],
)
def test_one_network_cannot_take_all(first: str, same: str, other: str) -> None:
    factory = CountingFactory(b"too many\n", max_connections=1000, max_per_peer=2)
    assert isinstance(connect(factory, first), Pump)
    assert isinstance(connect(factory, same), Pump)
    assert not isinstance(connect(factory, same), Pump)
    assert not isinstance(connect(factory, first), Pump)
    assert isinstance(connect(factory, other), Pump)


def test_a_crowd_is_logged_less_and_less_often() -> None:
    lines: list[Any] = []

    def observe(event: Any) -> None:
        if event.get("event") == "connection.refused":
            lines.append(event["fields"])

    globalLogPublisher.addObserver(observe)
    try:
        factory = CountingFactory(b"", max_connections=3, max_per_peer=2)
        factory.kind = "smtp"
        pumps = [connect(factory, "192.0.2.1") for _ in range(102)][:2]
        assert [line["count"] for line in lines] == [1, 2, 4, 8, 16, 32, 64]
        wanted = {"protocol": "smtp", "peer": "192.0.2.1", "reason": "too many connections from there", "count": 1}
        assert lines[0] == wanted
        connect(factory, "192.0.2.2")
        connect(factory, "192.0.2.3")
        assert (lines[-1]["reason"], lines[-1]["count"]) == ("too many connections", 1)
        pumps[0].connectionLost(Failure(ConnectionDone()))
    finally:
        globalLogPublisher.removeObserver(observe)


def test_no_handshake_for_one_too_many() -> None:
    factory = CountingFactory(b"too many\n", max_connections=1, max_per_peer=2, implicit_tls=True)
    assert isinstance(connect(factory, "192.0.2.1"), Pump)
    assert connect(factory, "192.0.2.1") is None
