"""ENVELOPE, BODYSTRUCTURE, BODY[...], BINARY[...] and PREVIEW agree with the octets of a message, however broken it is."""

from __future__ import annotations

import re
import unicodedata

import pytest
from fetched import fetched
from imap_world import World
from nasty import messages

SEEDS = (9051, 3501, 2045, 5322)
EACH = 90


@pytest.fixture(scope="module", params=SEEDS)
def mailbox(request):
    """(the messages, a client that has them selected)."""
    raws = messages(request.param, EACH)
    world = World()
    for raw in raws:
        world.put(raw)
    return raws, world.connect(select="INBOX")


def fetch(client, numbers: str, items: str):
    client.send(b"t FETCH %b (%b)\r\n" % (numbers.encode(), items.encode()))
    said, end = fetched(client.received(), b"t")
    assert end == b"t OK FETCH completed"
    return said


def sent(raw: bytes) -> bytes:
    """A message as it goes out in a literal (RFC 3501 9, note 3)."""
    return raw.replace(b"\0", b"\x80")


class Part:
    """One part as BODYSTRUCTURE tells it; ``number`` as RFC 3501 6.4.5 counts."""

    def __init__(self, number: str, body: list) -> None:
        self.number, self.body = number, body
        self.is_multipart = isinstance(body[0], list)
        self.is_message = not self.is_multipart and (body[0].lower(), body[1].lower()) == (b"message", b"rfc822")

    @property
    def children(self) -> list[Part]:
        """The parts inside."""
        if self.is_multipart:
            inner = [item for item in self.body if isinstance(item, list)]
            bodies = inner[: next(i for i, item in enumerate(self.body) if not isinstance(item, list))]
            prefix = self.number + "." if self.number else ""
            return [Part(f"{prefix}{place}", body) for place, body in enumerate(bodies, 1)]
        if self.is_message:
            inside = self.body[8]
            return (
                Part(self.number, inside).children
                if isinstance(inside[0], list)
                else [Part(f"{self.number}.1", inside)]
            )
        return []

    def walk(self):
        """Yield this part and all inside it."""
        yield self
        for child in self.children:
            yield from child.walk()


def parts_of(structure: list) -> list[Part]:
    """The numbered parts of a message."""
    root = Part("", structure)
    if not root.is_multipart:
        root = Part("1", structure)
    return [part for part in root.walk() if part.number]


def bare(structure: list) -> list:
    """BODYSTRUCTURE without its extension data: BODY."""
    if isinstance(structure[0], list):
        count = next(i for i, item in enumerate(structure) if not isinstance(item, list))
        return [*[bare(body) for body in structure[:count]], structure[count]]
    if (structure[0].lower(), structure[1].lower()) == (b"message", b"rfc822"):
        return [*structure[:8], bare(structure[8]), structure[9]]
    return structure[: 8 if structure[0].lower() == b"text" else 7]


def test_the_same_seed_makes_the_same_messages():
    assert messages(1, 40) == messages(1, 40) != messages(2, 40)
    assert all(messages(1, 20))


# IMAP trap 31: nothing but the blank line where there is no such field
def test_fields_are_the_same_however_many_are_asked_for(mailbox):
    """From what is kept of a header, from the header, from its index: three ways, one answer."""
    raws, client = mailbox
    chosen = "BODY.PEEK[HEADER.FIELDS (SUBJECT FROM)]"
    kept = fetch(client, "1:*", chosen)
    read = fetch(client, "1:*", "BODY.PEEK[HEADER.FIELDS (SUBJECT FROM X-NOWHERE)]")
    found = fetch(client, "1:*", " ".join(f"{chosen}<{at}.100000>" for at in range(3)))
    for number in range(1, len(raws) + 1):
        fields = kept[number][b"BODY[HEADER.FIELDS (SUBJECT FROM)]"]
        assert fields
        assert read[number][b"BODY[HEADER.FIELDS (SUBJECT FROM X-NOWHERE)]"] == fields
        assert [found[number][b"BODY[HEADER.FIELDS (SUBJECT FROM)]<%d>" % at] for at in range(3)] == [
            fields[at:] for at in range(3)
        ]


# IMAP trap 28: of hundreds of broken messages
def test_header_and_text_are_the_message(mailbox):
    raws, client = mailbox
    said = fetch(client, "1:*", "RFC822.SIZE BODY.PEEK[] BODY.PEEK[HEADER] BODY.PEEK[TEXT]")
    for number, raw in enumerate(raws, 1):
        items = said[number]
        assert items[b"RFC822.SIZE"] == len(raw)
        assert items[b"BODY[]"] == sent(raw)
        assert items[b"BODY[HEADER]"] + items[b"BODY[TEXT]"] == sent(raw)


# IMAP trap 34: extension data in BODYSTRUCTURE alone
def test_structure_and_body_are_one(mailbox):
    raws, client = mailbox
    said = fetch(client, "1:*", "BODYSTRUCTURE BODY")
    for number in range(1, len(raws) + 1):
        assert bare(said[number][b"BODYSTRUCTURE"]) == said[number][b"BODY"]


# IMAP trap 33: sizes, lines and parts of broken messages
def test_each_part_is_what_the_structure_says(mailbox):
    raws, client = mailbox
    structures = fetch(client, "1:*", "BODYSTRUCTURE")
    for number, raw in enumerate(raws, 1):
        parts = parts_of(structures[number][b"BODYSTRUCTURE"])
        wanted = [f"BODY.PEEK[{part.number}] BODY.PEEK[{part.number}.MIME]" for part in parts]
        wanted += [f"BODY.PEEK[{p.number}.HEADER] BODY.PEEK[{p.number}.TEXT]" for p in parts if p.is_message]
        said = fetch(client, str(number), " ".join([*wanted, "BODY.PEEK[77.1]"]))[number]
        assert said[b"BODY[77.1]"] is None
        check_parts(parts, said, sent(raw))


def check_parts(parts: list[Part], said: dict, raw: bytes) -> None:
    for part in parts:
        content, mime = said[b"BODY[%b]" % part.number.encode()], said[b"BODY[%b.MIME]" % part.number.encode()]
        assert mime + content in raw
        if part.is_message:
            header, text = (said[b"BODY[%b.%b]" % (part.number.encode(), what)] for what in (b"HEADER", b"TEXT"))
            assert header + text == content
            assert part.body[9] == content.count(b"\n")
        if part.is_multipart:
            inside = 0
            for child in part.children:
                name = child.number.encode()
                whole = said[b"BODY[%b.MIME]" % name] + said[b"BODY[%b]" % name]
                inside = content.find(whole, inside) + len(whole)
                assert inside >= len(whole), "the parts stand in their order and do not overlap"
            continue
        assert part.body[6] == len(content)
        if part.body[0].lower() == b"text":
            assert part.body[7] == content.count(b"\n")


def binary(client, number: int, items: str) -> tuple[dict, bytes]:
    client.send(b"t FETCH %d (%b)\r\n" % (number, items.encode()))
    said, end = fetched(client.received(), b"t")
    return said.get(number, {}), end


# IMAP trap 57: of broken messages
def test_parts_without_their_encoding_have_the_size_that_is_told(mailbox):
    """RFC 3516 4.3: what is in an encoding that nobody knows is refused, whatever is asked of it."""
    raws, client = mailbox
    structures = fetch(client, "1:*", "BODYSTRUCTURE")
    refused = decoded = 0
    for number in range(1, len(raws) + 1):
        for part in parts_of(structures[number][b"BODYSTRUCTURE"]):
            n = part.number
            said, end = binary(client, number, f"BINARY.SIZE[{n}] BINARY.PEEK[{n}] BODY.PEEK[{n}]")
            if end.startswith(b"t NO [UNKNOWN-CTE]"):
                refused += 1
                assert not part.is_multipart and part.body[5] not in (b"7bit", b"8bit", b"base64", b"quoted-printable")
                continue
            assert end == b"t OK FETCH completed"
            name = n.encode()
            octets, size = said[b"BINARY[%b]" % name], said[b"BINARY.SIZE[%b]" % name]
            assert len(octets) == size
            if part.is_multipart or part.is_message or part.body[5] in (b"7bit", b"8bit", b"binary"):
                assert sent(octets) == said[b"BODY[%b]" % name]
            else:
                decoded += 1
            chunks = [f"BINARY.PEEK[{n}]<{at}.{1 + size // 3}>" for at in range(0, size + 1, 1 + size // 3)]
            said, end = binary(client, number, " ".join(chunks))
            assert end == b"t OK FETCH completed"
            assert b"".join(said.values()) == octets
    assert refused and decoded


# IMAP trap 29: of broken messages
@pytest.mark.parametrize("step", [1, 7, 1000])
def test_chunks_are_the_whole(mailbox, step):
    raws, client = mailbox
    fitting = [number for number, raw in enumerate(raws, 1) if len(raw) < 400 * step]
    assert len(fitting) > 12
    for number in fitting[:12]:
        for section in ("", "HEADER", "TEXT", "1", "1.MIME", "HEADER.FIELDS (SUBJECT FROM)"):
            label = f"BODY[{section}]".encode()
            whole = fetch(client, str(number), f"BODY.PEEK[{section}]")[number][label] or b""
            ends = range(0, len(whole) + 2 * step, step)
            said = fetch(client, str(number), " ".join(f"BODY.PEEK[{section}]<{at}.{step}>" for at in ends))[number]
            chunks = [said[b"%b<%d>" % (label, at)] or b"" for at in ends]
            assert b"".join(chunks) == whole
            assert all(len(chunk) <= step for chunk in chunks)
            assert chunks[-1] == b""


def unfolded(field: bytes) -> bytes:
    return re.sub(rb"[\r\n\t \x80\0]+", b" ", field.partition(b":")[2]).strip()


# IMAP trap 35: of broken messages
def test_the_envelope_says_what_the_header_says(mailbox):
    raws, client = mailbox
    asked = ("SUBJECT", "FROM", "DATE", "MESSAGE-ID", "IN-REPLY-TO")
    said = fetch(client, "1:*", "ENVELOPE " + " ".join(f"BODY.PEEK[HEADER.FIELDS ({name})]" for name in asked))
    for number in range(1, len(raws) + 1):
        envelope = said[number][b"ENVELOPE"]
        assert len(envelope) == 10
        for name, place in (("SUBJECT", 1), ("DATE", 0), ("MESSAGE-ID", 9), ("IN-REPLY-TO", 8)):
            block = said[number][b"BODY[HEADER.FIELDS (%b)]" % name.encode()]
            fields = re.split(rb"\r\n(?![ \t])", block)
            if not block.strip():
                assert envelope[place] is None
                continue
            assert b"\r" not in envelope[place] and b"\n" not in envelope[place]
            assert re.sub(rb"[\t \x80]+", b" ", envelope[place]).strip() == unfolded(fields[0])
        if not said[number][b"BODY[HEADER.FIELDS (FROM)]"].strip():
            assert envelope[2] is None
        for addresses in envelope[2:8]:
            check_addresses(addresses)


def check_addresses(addresses) -> None:
    """Groups begin and end; an empty list is NIL (RFC 3501 7.4.2)."""
    assert addresses is None or addresses
    inside = False
    for name, route, local, domain in addresses or ():
        assert all(item is None or isinstance(item, bytes) for item in (name, route, local, domain))
        if domain is None:
            assert inside == (local is None)
            inside = not inside
    assert not inside


def test_a_preview_is_a_line_of_text(mailbox):
    raws, client = mailbox
    said = fetch(client, "1:*", "PREVIEW")
    for number in range(1, len(raws) + 1):
        words = said[number][b"PREVIEW"].decode()
        assert len(words) <= 200
        assert not [character for character in words if unicodedata.category(character) == "Cc"]
