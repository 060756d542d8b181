"""BINARY (RFC 3516): parts without their transfer encoding, and messages with binary parts by APPEND."""

import random
from base64 import b64encode
from binascii import b2a_qp

import pytest

from mailnode.imap.bodies import PIECE
from mailnode.imap.decoding import DECODED, decode
from mailnode.imap.messages.sections import Slice
from mailnode.net.no_reactor import run_now

MIXED = (
    b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
    b"--b\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nsm=C3=B6r=\r\ng\r\n\r\n"
    b"--b\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\nAAECA/8=\r\n\r\n"
    b"--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: in\r\nContent-Transfer-Encoding: base64\r\n\r\naW5uZXI=\r\n\r\n"
    b"--b\r\nContent-Type: image/gif\r\nContent-Transfer-Encoding: x-odd\r\n\r\n???\r\n"
    b"--b--\r\n"
)


@pytest.fixture
def world(make_world):
    world = make_world()
    world.put(MIXED)
    world.connect(select="INBOX")
    return world


def ask(world, line):
    client = world.clients[""]
    client.send(b"a " + line + b"\r\n")
    return client.received()


# IMAP trap 57: NUL, each encoding, sizes
@pytest.mark.parametrize(
    ("item", "said"),
    [
        (b"BINARY.PEEK[1]", b"BINARY[1] {8}\r\nsm\xc3\xb6rg\r\n"),
        (b"BINARY.PEEK[2]", b"BINARY[2] ~{5}\r\n\0\1\2\3\xff"),
        (b"BINARY.PEEK[2]<1.3>", b"BINARY[2]<1> {3}\r\n\1\2\3"),
        (b"BINARY.PEEK[2]<4.100>", b"BINARY[2]<4> {1}\r\n\xff"),
        (b"BINARY.PEEK[2]<5.1>", b"BINARY[2]<5> {0}\r\n"),
        (b"BINARY.PEEK[2]<4294967295.4294967295>", b"BINARY[2]<4294967295> {0}\r\n"),
        (b"binary.size[2]", b"BINARY.SIZE[2] 5"),
        (b"BINARY.SIZE[1]", b"BINARY.SIZE[1] 8"),
        (b"BINARY.PEEK[3.1]", b"BINARY[3.1] {5}\r\ninner"),
        (b"BINARY.PEEK[9]", b"BINARY[9] NIL"),
        (b"BINARY.SIZE[9]", b"BINARY.SIZE[9] 0"),
        (b"BINARY.SIZE[]", b"BINARY.SIZE[] %d" % len(MIXED)),
        (b"BINARY.PEEK[]", b"BINARY[] {%d}\r\n%b" % (len(MIXED), MIXED)),
        (b"(BINARY.SIZE[2] BINARY.PEEK[2] BODY.PEEK[2])",
         b"BINARY.SIZE[2] 5 BINARY[2] ~{5}\r\n\0\1\2\3\xff BODY[2] {10}\r\nAAECA/8=\r\n"),
    ],
)  # fmt: skip
def test_parts_without_their_encoding(world, item, said):
    assert ask(world, b"FETCH 1 " + item) == b"* 1 FETCH (" + said + b")\r\na OK FETCH completed\r\n"


def test_a_message_inside_and_a_multipart_stand_as_they_are(world):
    inner = b"Subject: in\r\nContent-Transfer-Encoding: base64\r\n\r\naW5uZXI=\r\n"
    assert b"BINARY[3] {%d}\r\n%b)" % (len(inner), inner) in ask(world, b"FETCH 1 BINARY.PEEK[3]")


def test_binary_sets_seen_and_its_peek_and_size_do_not(world):
    for item in (b"BINARY.PEEK[1]", b"BINARY.SIZE[1]"):
        assert b"FLAGS" not in ask(world, b"FETCH 1 " + item)
    assert b" FLAGS (\\Seen \\Recent))" in ask(world, b"UID FETCH 1 BINARY[1]")


# IMAP trap 57: an encoding that nobody knows
def test_an_unknown_encoding_is_told_and_the_connection_stays(world):
    world.put(b"Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\neA==\r\n")
    ask(world, b"NOOP")
    assert ask(world, b"FETCH 1 BINARY[4]") == b"a NO [UNKNOWN-CTE] A part has an unknown transfer encoding\r\n"
    assert ask(world, b"FETCH 1 BINARY.SIZE[4]").startswith(b"a NO [UNKNOWN-CTE]")
    assert b"\\Seen" not in ask(world, b"FETCH 1 FLAGS")
    # parts of other messages are told all the same
    assert ask(world, b"FETCH 1:2 (BINARY.PEEK[1] BINARY.PEEK[4])") == (
        b"* 2 FETCH (BINARY[1] {1}\r\nx BINARY[4] NIL)\r\na NO [UNKNOWN-CTE] A part has an unknown transfer encoding\r\n"
    )
    assert ask(world, b"FETCH 1 BODY.PEEK[4]") == b"* 1 FETCH (BODY[4] {3}\r\n???)\r\na OK FETCH completed\r\n"


@pytest.mark.parametrize(
    "item",
    [b"BINARY", b"BINARY[1.MIME]", b"BINARY[TEXT]", b"BINARY[HEADER]", b"BINARY.SIZE[1]<0.1>", b"BINARY[1]<0.0>",
     b"BINARY.PEEK[0]", b"BINARY.PEEK[1", b"BINARY.SIZE.PEEK[1]", b"BINARY[1]<1>"],
)  # fmt: skip
def test_what_binary_is_not(world, item):
    assert ask(world, b"FETCH 1 " + item).startswith(b"a BAD")


# IMAP trap 57: a broken encoding
@pytest.mark.parametrize(
    ("broken", "decoded"),
    [
        (b"QUJD*REVG", b"ABCDEF"),
        (b"QUI=\r\nQ0Q=\r\n", b"ABCD"),
        (b"QUJDR", b"ABC"),
        (b"====", b""),
        (b"", b""),
        (b"\xff\xfeQUJD\0", b"ABC"),
    ],
)
def test_broken_base64_is_decoded_as_far_as_it_goes(world, broken, decoded):
    world.put(b"Content-Transfer-Encoding: base64\r\n\r\n" + broken)
    ask(world, b"NOOP")
    said = ask(world, b"FETCH 2 (BINARY.SIZE[1] BINARY.PEEK[1])")
    assert said.startswith(
        b"* 2 FETCH (BINARY.SIZE[1] %d BINARY[1] {%d}\r\n%b)\r\n" % (len(decoded), len(decoded), decoded)
    )


# IMAP trap 29: chunks of what is decoded
@pytest.mark.parametrize("encoding", ["base64", "quoted-printable", "8bit"])
def test_a_large_part_is_the_same_in_chunks(file_world, encoding):
    octets = random.Random(3516).randbytes(3 * PIECE + 7)
    if encoding == "8bit":
        octets = octets.replace(b"\r", b"").replace(b"\n", b"")
    body = {"base64": lambda data: b"\r\n".join(b64encode(data[at : at + 57]) for at in range(0, len(data), 57)),
            "quoted-printable": lambda data: b2a_qp(data, istext=False).replace(b"\n", b"\r\n"),
            "8bit": lambda data: data}[encoding](octets)  # fmt: skip
    header = b"Content-Type: image/png\r\nContent-Transfer-Encoding: %b\r\n\r\n" % encoding.encode()
    file_world.put(header + body)
    client = file_world.connect(select="INBOX")

    def part(item):
        client.send(b"a FETCH 1 " + item + b"\r\n")
        for _ in range(200):
            file_world.clock.advance(1)
        said = client.received()
        assert said.endswith(b")\r\na OK FETCH completed\r\n")
        return said.removesuffix(b")\r\na OK FETCH completed\r\n").partition(b"] " if b"<" not in item else b"> ")[2]

    whole = part(b"BINARY.PEEK[1]")
    assert whole == b"~{%d}\r\n%b" % (len(octets), octets)
    assert part(b"BINARY.SIZE[1]") == b"%d" % len(octets)
    chunks = []
    for origin in range(0, len(octets) + 1, 2 * PIECE):
        mark, _, data = part(b"BINARY.PEEK[1]<%d.%d>" % (origin, 2 * PIECE)).partition(b"\r\n")
        assert mark.strip(b"~{}") == b"%d" % len(data)
        chunks.append(data)
    assert b"".join(chunks) == octets


# --- APPEND


# IMAP trap 2: binary ones in APPEND
@pytest.mark.parametrize("bytewise", [False, True])
def test_binary_and_other_literals_in_one_append(world, bytewise):
    client = world.clients[""]
    binary = b"Content-Type: image/png\r\nContent-Transfer-Encoding: binary\r\n\r\nxy"
    client.send(b"a APPEND INBOX (\\Seen) ~{%d}\r\n" % len(binary), bytewise)
    assert client.received() == b"+ OK\r\n"
    client.send(binary + b" {6+}\r\na: b\nc ~{6+}\r\nc: d\r\n\r\n", bytewise)
    assert client.received().endswith(b" 2:4] APPEND completed\r\n")
    assert b"RFC822.SIZE %d)" % (len(binary) + 2) in ask(world, b"FETCH 2 RFC822.SIZE")
    assert b"{9}\r\na: b\r\nc\r\n)" in ask(world, b"FETCH 3 BODY.PEEK[]")


def append(world, message, name=b"INBOX"):
    return ask(world, b"APPEND %b ~{%d+}\r\n%b" % (name, len(message), message))


def test_binary_parts_are_stored_in_lines_and_come_back_as_they_were(world):
    octets = b"\0\r\n\n\rx" + bytes(range(256))
    message = b"Content-Type: image/png\r\nContent-Transfer-Encoding: binary\r\n\r\n" + octets
    assert b" 2] APPEND completed" in append(world, message)
    assert ask(world, b"FETCH 2 BINARY.PEEK[1]").startswith(
        b"* 2 FETCH (BINARY[1] ~{%d}\r\n%b)" % (len(octets), octets)
    )
    said = ask(world, b"FETCH 2 (BODYSTRUCTURE BODY.PEEK[])")
    assert b' "base64" ' in said and b"\0" not in said


def test_a_bare_lf_in_a_binary_literal_is_an_octet(world):
    message = b"Content-Type: image/png\r\nContent-Transfer-Encoding: binary\r\n\r\na\nb"
    assert b" 2] APPEND completed" in append(world, message)
    assert b"BINARY[1] {3}\r\na\nb)" in ask(world, b"FETCH 2 BINARY.PEEK[1]")


def test_what_cannot_be_said_in_lines_is_refused(world):
    before = run_now(world.account.modseq())
    for message in (
        b"Sub\0ject: x\r\n\r\nx",
        b"Content-Type: multipart/signed; boundary=b\r\n\r\n--b\r\nContent-Transfer-Encoding: binary\r\n\r\n\0\r\n--b--\r\n",
    ):
        assert append(world, message) == b"a NO [UNKNOWN-CTE] The message cannot be said in lines\r\n"
        assert ask(world, b"NOOP") == b"a OK NOOP completed\r\n"
    assert run_now(world.account.modseq()) == before
    assert append(world, b"x\0y", b"Nowhere") == b"a NO [TRYCREATE] No such mailbox\r\n"


def test_a_part_that_is_slow_to_decode_gives_others_their_turns():
    part, turns = b"QQ==" * 65_536, []

    async def read(start, end):
        return part[start:end]

    async def checkpoint():
        turns.append(True)

    decoded = run_now(decode(read, Slice(b"", 0, len(part), "base64"), None, checkpoint))
    assert decoded == b"A" * 65_536
    assert len(turns) >= len(part) // DECODED > 1
