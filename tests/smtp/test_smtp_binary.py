"""BINARYMIME on a session: policies see what came, and everything behind them sees lines."""

from __future__ import annotations

import base64
from email.parser import BytesParser
from typing import Any

import pytest
from smtp_fakes import World

from mailnode.message.binary_mime import are_lines
from mailnode.smtp.wire.limits import Limits
from mailnode.values.policy import Verdict

OCTETS = bytes(range(256)) + b"\r\n.\r\n" * 3
HEADER = b"Subject: x\r\nFrom: alice@us.test\r\nContent-Type: image/png\r\nContent-Transfer-Encoding: binary\r\n\r\n"


def chunked(message: bytes, size: int = 0) -> bytes:
    size = size or len(message)
    pieces = [message[at : at + size] for at in range(0, len(message), size)]
    return b"".join(
        b"BDAT %d%s\r\n%s" % (len(piece), b" LAST" if number == len(pieces) - 1 else b"", piece)
        for number, piece in enumerate(pieces)
    )


def client(world: World) -> Any:
    made = world.client()
    assert "BINARYMIME" in made.say("EHLO x\n")
    assert made.codes("MAIL FROM:<a@x.test> BODY=BINARYMIME\nRCPT TO:<alice@us.test>\n") == ["250", "250"]
    return made


@pytest.mark.parametrize("size", [0, 1, 7])
def test_a_message_is_judged_as_it_came_and_kept_in_lines(size: int, log: Any) -> None:
    world = World()
    world.policies.verdicts["end"] = Verdict(headers=(b"X-Found: y\r\n",))
    codes = client(world).codes(chunked(HEADER + OCTETS, size))
    assert set(codes) == {"250"}
    request = world.policies.requests[-1]
    assert request.size == len(request.header) + len(OCTETS)
    ((envelope, _, kept),) = world.delivery.accepted
    assert are_lines(kept)
    assert envelope.options.body == "7BIT"
    message = BytesParser().parsebytes(kept)
    assert message.get_payload(decode=True) == OCTETS
    assert message["Subject"] == "x"
    assert message["Received"]
    assert [writer.aborted for writer in world.delivery.writers] == [True, False]
    assert [f["size"] for name, f in log if name == "message.accepted"] == [len(kept)]


def test_what_is_no_lines_is_not_read_ahead_of_its_conversion() -> None:
    class Reader:
        largest = 100_000

        def begin(self, content: bytes, header_size: int, accounts: Any) -> None:
            begun.append(content)

    for message, count in ((HEADER + OCTETS, 0), (HEADER + b"text\r\n", 1)):
        begun: list[bytes] = []
        assert client(World(reader=Reader())).codes(chunked(message)) == ["250"]  # type: ignore[arg-type]
        assert len(begun) == count


def test_what_is_lines_stays_as_it_is() -> None:
    world = World()
    text = b"Subject: x\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: binary\r\n\r\n\xc3\xa4\r\n"
    assert client(world).codes(chunked(text)) == ["250"]
    ((envelope, _, kept),) = world.delivery.accepted
    assert kept.endswith(text)
    assert envelope.options.body == "8BITMIME"
    assert len(world.delivery.writers) == 1


def test_a_last_line_without_end_gets_one() -> None:
    world = World()
    assert client(world).codes(chunked(b"Subject: x\r\n\r\nend")) == ["250"]
    assert world.delivery.accepted[0][2].endswith(b"\r\n\r\nend\r\n")


# SMTP trap 22: what cannot be said in lines goes back
def test_what_cannot_be_converted_goes_back(log: Any) -> None:
    world = World()
    signed = b"Content-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n\r\n\0\r\n--b\r\n\r\ny\r\n--b--\r\n"
    sender = client(world)
    assert sender.say(chunked(signed)).startswith("554 5.6.3 ")
    assert world.delivery.accepted == []
    assert all(writer.aborted for writer in world.delivery.writers)
    assert [f["status"] for name, f in log if name == "message.refused"] == ["5.6.3"]
    assert sender.codes("MAIL FROM:<a@x.test>\n") == ["250"]


def test_what_is_refused_or_kept_for_nobody_is_not_converted() -> None:
    world = World()
    world.policies.verdicts["end"] = Verdict("refuse")
    assert client(world).codes(chunked(HEADER + OCTETS)) == ["550"]
    assert len(world.delivery.writers) == 1


def test_one_that_is_too_large_is_refused() -> None:
    world = World(limits=Limits(message_size=1000, discard_size=10_000))
    assert client(world).codes(chunked(HEADER + b"\0" * 1000)) == ["552"]


def test_a_large_one_by_another_process() -> None:
    world = World()
    octets = b"\0\xff\n" * 200_000
    assert client(world).codes(chunked(HEADER + octets)) == ["250"]
    ((_, _, kept),) = world.delivery.accepted
    assert are_lines(kept)
    assert BytesParser().parsebytes(kept).get_payload(decode=True) == octets


def test_trouble_keeps_nothing() -> None:
    world = World()
    sender = client(world)
    sender.say(b"BDAT %d\r\n%s" % (len(HEADER), HEADER))
    world.delivery.fails["writer"] = ZeroDivisionError()
    assert sender.codes(b"BDAT 1 LAST\r\n\0") == ["451"]
    assert all(writer.aborted for writer in world.delivery.writers)


class Hashing:
    """A signer that signs with the body it was told of."""

    def __init__(self) -> None:
        self.body = b""

    async def begin(self, domains: Any) -> Any:
        return Hashing()

    def update(self, data: bytes) -> None:
        self.body += data

    async def fields(self, envelope_id: str, header: bytes) -> bytes:
        return b"X-Signed: " + base64.b64encode(header[-20:] + self.body) + b"\r\n"


def test_what_a_user_submits_is_signed_in_lines() -> None:
    world = World("submission", tls="implicit", signer=Hashing())  # type: ignore[arg-type]
    user = world.client()
    user.secure()
    user.say("EHLO x\n")
    login = base64.b64encode(b"\0alice\0secret").decode()
    assert user.codes(f"AUTH PLAIN {login}\n") == ["235"]
    assert user.codes("MAIL FROM:<alice@us.test> BODY=BINARYMIME\nRCPT TO:<b@far.test>\n") == ["250", "250"]
    assert user.codes(chunked(HEADER + OCTETS, 50))[-1] == "250"
    ((envelope, _, kept),) = world.delivery.accepted
    header, _, body = kept.partition(b"\r\n\r\n")
    assert base64.b64decode(envelope.trace[10:]) == (header + b"\r\n\r\n")[-20:] + body
    assert are_lines(kept)


def test_lmtp_does_not_take_it() -> None:
    other = World("lmtp", tls="none").client()
    assert "BINARYMIME" not in other.say("LHLO x\n")
    assert other.codes("MAIL FROM:<a@x.test> BODY=BINARYMIME\n") == ["501"]
