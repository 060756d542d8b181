"""The milter protocol as the server speaks it, octet by octet, and what no milter says."""

import pytest

from mailnode.policy.wire import milter
from mailnode.policy.wire.milter import Packet, Packets, Refusal, Terms
from mailnode.policy.wire.unreadable import Unreadable


@pytest.mark.parametrize("step", [1, 3, 1000])
def test_packets_in_pieces_of_any_size(step):
    said = milter.octets(b"c") + milter.packet(b"h", b"X-A", b"b\0c") + milter.octets(b"y", b"550 no\0")
    packets, read = Packets(), []
    for at in range(0, len(said), step):
        packets.receive(said[at : at + step])
        while (packet := packets.next()) is not None:
            read.append(packet)
    assert read == [Packet(b"c"), Packet(b"h", b"X-A\0bc\0"), Packet(b"y", b"550 no\0")]


@pytest.mark.parametrize("length", [0, milter.MAX_PACKET + 1, 0x53534820, 0xFFFFFFFF])
def test_a_length_that_is_none_is_seen_before_anything_is_waited_for(length):
    packets = Packets()
    packets.receive(length.to_bytes(4, "big"))
    with pytest.raises(Unreadable):
        packets.next()


def test_what_the_server_says():
    assert milter.offer(milter.actions([]))[:13] == b"\0\0\0\x0dO\0\0\0\x06\0\0\x01\x21"
    assert milter.actions(["fields", "recipients", "sender", "body", "body"]) == 0x1FF
    assert milter.packet(milter.HELO, b"far.test") == b"\0\0\0\x0aHfar.test\0"
    assert milter.client(b"[192.0.2.1]", "192.0.2.1") == b"\0\0\0\x1aC[192.0.2.1]\x004\0\x00192.0.2.1\0"
    assert milter.client(b"x", "2001:db8::1")[5:] == b"x\x006\0\x002001:db8::1\0"
    assert milter.client(b"localhost", "")[5:] == b"localhost\0U"
    assert (
        milter.macros(milter.MAIL, {"i": b"e1", "mail_addr": b"a\0b", "empty": b""})[4:]
        == b"DMi\0e1\0{mail_addr}\0ab\0"
    )
    assert milter.macros(milter.MAIL, {"i": b""}) == b""


def answer(version=6, actions=0, steps=0, more=b""):
    return Packet(milter.NEGOTIATE, b"".join(one.to_bytes(4, "big") for one in (version, actions, steps)) + more)


def test_what_is_agreed():
    terms = milter.agreed(answer(steps=0x1 | 0x80 | 0x100000, more=b"\0\0\0\0i\0"), 0)
    assert [terms.wants(step) for step in (milter.CONNECT, milter.HELO, milter.DATA)] == [False, True, True]
    assert [terms.answers(step) for step in (milter.HEADER, milter.BODY, milter.END)] == [False, True, True]
    assert terms.leading_space
    assert not Terms(3, 0).wants(milter.DATA)
    assert milter.agreed(answer(2, milter.ACTIONS, milter.STEPS), milter.ACTIONS).version == 2


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (Packet(b"c"), "no answer to the offer"),
        (Packet(milter.NEGOTIATE, bytes(11)), "no answer to the offer"),
        (answer(1), "version 1"),
        (answer(7), "version 7"),
        (answer(actions=0x02), "what cannot be done here: 0x2"),
        (answer(actions=0x10), "what cannot be done here: 0x10"),
        (answer(steps=0x800), "not offered: 0x800"),
    ],
)
def test_what_is_not_agreed(said, why):
    with pytest.raises(Unreadable, match=why):
        milter.agreed(said, milter.ACTIONS)


@pytest.mark.parametrize(
    ("said", "read"),
    [
        (b"550 5.7.1 No 100%% thanks\0", Refusal(550, "5.7.1", "No 100% thanks")),
        (b"451 later\0", Refusal(451, "", "later")),
        (b"421\0", Refusal(421, "", "")),
        (b"550 5.7.1\0", Refusal(550, "5.7.1", "")),
        (b"550 4.7.1 odd\0", Refusal(550, "", "odd")),
        (b"550-5.7.1 one\r\n550 5.7.1 two\r\nthree\0", Refusal(550, "5.7.1", "one two")),
        (b"550 \xff\x1b[1m\0", Refusal(550, "", "[1m")),
        (b"550 " + b"x" * 60_000, Refusal(550, "", "x" * 200)),
    ],
)
def test_replies_in_its_own_words(said, read):
    assert milter.refusal(said) == read


@pytest.mark.parametrize("said", [b"", b"\0", b"250 fine\0", b"hello", b"55 x", b"650 x", b"550x"])
def test_replies_that_are_none(said):
    with pytest.raises(Unreadable):
        milter.refusal(said)


def test_fields_that_it_adds():
    assert milter.added_field(Packet(b"h", b"X-A\0one\n\ttwo\0")) == b"X-A: one\r\n\ttwo\r\n"
    assert milter.added_field(Packet(b"i", b"\0\0\0\1X-A\0 one\0")) == b"X-A: one\r\n"
    assert milter.added_field(Packet(b"h", b"X-A\0one\nBcc: x\0")) is None
    for broken in (b"", b"X-A", b"X-A\0one"):
        with pytest.raises(Unreadable):
            milter.added_field(Packet(b"h", broken))
    assert milter.quarantine_reason(Packet(b"q", b"looks\r\nodd\0x")) == "looks odd"
