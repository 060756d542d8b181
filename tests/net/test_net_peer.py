"""A listener on [::] takes IPv4 clients too: Received fields, policies and rights see their IPv4 address."""

import pytest
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from mailnode.net.pump import Pump
from mailnode.values.wire import NEED_DATA


class Nothing:
    """A connection and a session that do nothing."""

    buffered = 0
    begun = None

    def next_event(self):
        return NEED_DATA

    async def opened(self):
        pass


@pytest.mark.parametrize(
    ("host", "shown"),
    [
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("::FFFF:192.0.2.7", "192.0.2.7"),
        ("2001:db8::7", "2001:db8::7"),
        ("::1", "::1"),
    ],
)
def test_addresses_are_told_as_they_are(host, shown):
    pump = Pump("x", Nothing(), lambda channel: Nothing(), Clock())
    address = IPv6Address("TCP", host, 25)
    pump.makeConnection(StringTransport(hostAddress=address, peerAddress=address))
    assert (pump.peer, pump.local) == (shown, f"{shown}:25")


def test_ipv4_stays():
    pump = Pump("x", Nothing(), lambda channel: Nothing(), Clock())
    pump.makeConnection(StringTransport(peerAddress=IPv4Address("TCP", "192.0.2.7", 9)))
    assert pump.peer == "192.0.2.7"
