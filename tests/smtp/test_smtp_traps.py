"""Mistakes that other servers made, in the session: what no other test here tries already. docs/traps.rst has all of them."""

from __future__ import annotations

import itertools
from base64 import b64encode

import pytest
from smtp_dialog import Answering
from smtp_fakes import World

from mailnode.smtp.wire.limits import Limits
from mailnode.smtp.wire.profile import Profile
from mailnode.smtp.wire.server import ServerConnection
from mailnode.smtp.wire.server_states import State

ENVELOPE = "MAIL FROM:<a@x.test>\nRCPT TO:<alice@us.test>\n"
MESSAGE = "Subject: hi\nFrom: a@x.test\n\nbody\n.\n"

ODD = {"NUL": b"\0", "8-bit": b"\xc3", "0xFF": b"\xff", "both": b"\xff\0"}
PLACES = {
    "verb": b"MA%bIL FROM:<a@x.test>\r\n",
    "name": b"EHLO x%b.test\r\n",
    "local part": b"MAIL FROM:<a%b@x.test>\r\n",
    "domain": b"MAIL FROM:<a@x%b.test>\r\n",
    "parameter": b"MAIL FROM:<a@x.test> SI%bZE=1\r\n",
    "value": b"MAIL FROM:<a@x.test> SIZE=1%b\r\n",
    "recipient": b"RCPT TO:<alice%b@us.test>\r\n",
    "argument": b"VRFY %b\r\n",
}


# SMTP trap 6: at every place of a command, and in parameters
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("octets", ODD)
def test_octets_that_are_no_text_are_refused_and_the_session_goes_on(place: str, octets: str) -> None:
    client = World().client()
    client.say("EHLO x\n")
    if place == "recipient":
        client.say("MAIL FROM:<a@x.test>\n")
    (code,) = client.codes(PLACES[place] % ODD[octets])[-1:]
    # A name is no address: programs call themselves what their machine is called, and mean no harm.
    assert code in (("500", "501", "250") if place == "name" and b"\0" not in ODD[octets] else ("500", "501"))
    assert client.codes("NOOP\n") == ["250"]
    assert not client.closed


# SMTP trap 8: a From line behind a sign that it is none
@pytest.mark.parametrize("first", [">From a@x.test Mon\n", "From a@x.test Mon\n", " folded\n", "\tfolded\n"])
def test_what_no_header_may_begin_with_is_no_part_of_ours(first: str) -> None:
    world = World()
    client = world.client()
    client.say("EHLO x\n" + ENVELOPE)
    client.say("DATA\n")
    assert client.say(first + "Subject: x\n\nhi\n.\n").startswith("250")
    header = world.delivery.accepted[0][2].partition(b"\r\n\r\n")[0]
    assert header.startswith(b"Received: ")
    assert not any(line.startswith((b"From ", b">From ", b" folded", b"\tfolded")) for line in header.split(b"\r\n"))


GIVEN_UP = {
    "a bare line feed": b"DATA\r\nx\n\r\n.\r\n",
    "nothing of it but a NUL": b"DATA\r\n\0\r\n.\r\n",
    "too large a message": b"DATA\r\n" + b"x\r\n" * 50 + b".\r\n",
    "a refused chunk": b"BDAT 2\r\n\0\nBDAT 0 LAST\r\n",
    "a chunk without a size that can be trusted": b"BDAT 0 FIRST\r\nRSET\r\n",
    "RSET": b"RSET\r\n",
    "EHLO": b"EHLO y\r\n",
    "RSET within chunks": b"BDAT 1\r\nxRSET\r\n",
    "VRFY in UTF-8": b"VRFY \xc3\xbc\r\nRSET\r\n",
}


# SMTP trap 13: after whatever has ended a message, and VRFY
@pytest.mark.parametrize("way", GIVEN_UP)
def test_after_a_message_that_came_to_nothing_the_next_begins_with_mail(way: str) -> None:
    world = World(limits=Limits(message_size=100))
    client = world.client()
    client.say("EHLO x\n" + ENVELOPE)
    client.say(GIVEN_UP[way])
    asked = len(world.policies.requests)
    for command in ("DATA\n", "RCPT TO:<alice@us.test>\n", "BDAT 0 LAST\n"):
        assert client.codes(command) == ["503"], command
    assert world.delivery.accepted == []
    client.say(ENVELOPE)
    assert client.codes("DATA\n") == ["354"]
    client.say("Subject: x\n\nhi\n.\n")
    stages = [request.stage for request in world.policies.requests[asked:]]
    assert stages == ["mail", "rcpt", "data", "end"]
    assert len(world.delivery.accepted) == 1


# SMTP trap 15: only who was accepted has a copy
def test_a_message_goes_to_those_who_were_accepted() -> None:
    world = World()
    client = world.client()
    client.say("EHLO x\n")
    group = "MAIL FROM:<a@x.test>\nRCPT TO:<nobody@us.test>\nRCPT TO:<alice@us.test>\nRCPT TO:<b@there.test>\nDATA\n"
    assert client.codes(group) == ["250", "550", "250", "550", "354"]
    assert client.codes(MESSAGE) == ["250"]
    ((envelope, routes, content),) = world.delivery.accepted
    assert [str(one.address) for one in envelope.recipients] == ["alice@us.test"]
    assert [str(address) for address in routes] == ["alice@us.test"]
    assert b"nobody" not in content
    assert b"there.test" not in content


# SMTP trap 19: sizes at the edges of machine words, over the limit, and with zeros before them
@pytest.mark.parametrize("size", [2**31, 2**32, 2**63 - 1, 2**63, 2**64, 2**64 + 5, 10**40])
@pytest.mark.parametrize("last", [b"", b" LAST"])
def test_a_chunk_that_is_far_too_large_ends_the_session_and_needs_no_memory(size: int, last: bytes) -> None:
    session = at_rcpt()
    session.feed(b"BDAT %d%b\r\n" % (size, last) + b"QUIT\r\n" * 1000)
    assert session.written[:3] in (b"552", b"501")
    assert session.connection.state is State.CLOSED
    assert session.connection.buffered == 0
    assert session.messages == []


# SMTP trap 19: no octets at all, and zeros before a size
def test_empty_chunks_and_zeros_before_a_size() -> None:
    session = at_rcpt()
    session.feed(b"BDAT 0\r\nBDAT 0007\r\nab\r\ncd\nBDAT 000 LAST\r\n")
    assert session.written.count(b"250 ") == 3
    assert session.messages == [b"ab\r\ncd\r\n"]
    session = at_rcpt()
    session.feed(b"BDAT 0 LAST\r\n")
    assert session.messages == [b""]


def at_rcpt() -> Answering:
    session = Answering(ServerConnection(Profile()))
    session.feed(b"EHLO x\r\nMAIL FROM:<a@x.test>\r\nRCPT TO:<b@y.test>\r\n")
    session.written = b""
    return session


# SMTP trap 21: every two of DATA, BDAT and RCPT
@pytest.mark.parametrize(
    ("first", "then"), [(b"BDAT 1\r\nx", b"DATA\r\n"), (b"BDAT 1\r\nx", b"RCPT TO:<c@y.test>\r\n")]
)
def test_what_may_not_follow_a_chunk(first: bytes, then: bytes) -> None:
    session = at_rcpt()
    session.feed(first)
    session.written = b""
    session.feed(then)
    assert session.written.startswith(b"503")
    session.feed(b"BDAT 3 LAST\r\ny\r\n")
    assert session.messages == [b"xy\r\n"]
    session = at_rcpt()
    session.feed(b"DATA\r\n")
    session.feed(b"BDAT 1 LAST\r\nx\r\n.\r\n")
    assert session.messages == [b"BDAT 1 LAST\r\nx\r\n"]


# SMTP trap 27: the longest response, and a longer one
def test_a_response_is_bounded() -> None:
    for length, code in ((12_284, "535"), (12_288, "500")):
        client = World("submission", tls="implicit").client()
        client.secure()
        client.say("EHLO x\n")
        assert client.codes("AUTH PLAIN\n")[-1:] == ["334"]
        assert client.codes(b64encode(b"\0" * (length // 4 * 3)) + b"\r\n") == [code]
        assert client.codes("NOOP\n") == ["250"]


# SMTP trap 27: the same as an initial response; port 25 has no AUTH, and no such lines
def test_an_initial_response_may_be_as_long_but_no_other_command() -> None:
    for length, code in ((12_272, "535"), (12_276, "500")):
        client = World("submission", tls="implicit").client()
        client.secure()
        client.say("EHLO x\n")
        whole = b"auth PLAIN " + b64encode(b"\0" * (length // 4 * 3)) + b"\r\n"
        assert client.codes(whole) == [code], len(whole)
        assert client.codes(b"MAIL FROM:<a@x.test> " + b"X" * 5000 + b"\r\n") == ["500"]
        assert client.codes("NOOP\n") == ["250"]
    client = World("smtp").client()
    client.say("EHLO x\n")
    assert client.codes(b"AUTH PLAIN " + b"A" * 8000 + b"\r\n") == ["500"]


# SMTP trap 27: QUIT and other words within it
@pytest.mark.parametrize("words", list(itertools.product(["QUIT", "MAIL FROM:<a@x.test>", "NOOP"], ["", " "])))
def test_a_command_within_an_exchange_is_none(words: tuple[str, str]) -> None:
    client = World("submission", tls="implicit").client()
    client.secure()
    client.say("EHLO x\n")
    client.say("AUTH PLAIN\n")
    (code,) = client.codes("".join(words) + "\n")
    assert code in ("501", "535")
    assert not client.closed


# SMTP trap 32: 2 GB that are announced, and a million lines of a header
def test_what_is_too_much_is_refused_before_it_comes_or_at_its_end() -> None:
    world = World(limits=Limits(header_size=1 << 20))
    client = world.client()
    client.say("EHLO x\n")
    assert client.codes("MAIL FROM:<a@x.test> SIZE=2147483648\n") == ["552"]
    client.say(ENVELOPE)
    client.say("DATA\n")
    for _ in range(100):
        assert client.say(b"X: y\r\n" * 10_000) == ""
        assert client.pump._connection.buffered < 100_000
    assert client.codes("\nbody\n.\n") == ["552"]
    assert world.delivery.writers[-1].content == b""
    assert client.codes("NOOP\n") == ["250"]
