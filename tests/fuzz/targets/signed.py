"""Signatures and seals on messages, and the records of the keys they name."""

from __future__ import annotations

from base64 import b64encode

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from mailnode.message import headers
from mailnode.message.arc import read_chain, seal
from mailnode.message.digests import Digests
from mailnode.message.dkim import BodyHash, SigningKey, signatures
from mailnode.message.key_records import NotVerified, read_key
from mailnode.message.tags import read_list, read_tags
from mailnode.message.verifying import DkimSignatures, SealedChain, body_forms, needed_keys, verified
from tests.fuzz.target import Target, each, pieces, variant

NOW = 1_800_000_000
KEY = SigningKey("x.test", "s1", Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
PUBLIC = KEY.private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
RECORD = b"v=DKIM1; k=ed25519; p=" + b64encode(PUBLIC)
RSA = (
    RSAPublicNumbers(65537, (1 << 1023) + 1).public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
)
BODY = b"hello  world \r\n\r\n\r\n"
HEADER = b"From: a@x.test\r\nTo: b@y.test\r\nSubject: hi\r\nDate: x\r\n\r\n"


def _hashed() -> bytes:
    body = BodyHash()
    body.update(BODY)
    return body.digest()


def _sealed() -> bytes:
    once = seal(HEADER, _hashed(), KEY, "mx.us.test; spf=pass", "none", NOW) + HEADER
    return seal(once, _hashed(), KEY, "mx.us.test; arc=pass", "pass", NOW) + once


SIGNED = signatures(HEADER, _hashed(), [KEY], NOW) + HEADER
RECORDS = {"s1._domainkey.x.test": [RECORD]}


def _answered(names: tuple[str, ...]) -> dict[str, list[bytes] | None]:
    return {name: RECORDS.get(name, [b"v=DKIM1; p="] if len(name) % 2 else None) for name in names}


def dkim(data: bytes) -> None:
    """Verify what stands on a message: what passes is what we signed."""
    block = headers.repair(data)
    end = headers.header_end(block)
    header, body = block[:end], block[end:] or BODY
    found = DkimSignatures(header)
    digests = Digests(body_forms(header))
    for piece in pieces(body):
        digests.update(piece)
    hashed = digests.finish()
    results = found.verify(hashed, _answered(found.records), NOW)
    assert 1 <= len(results) <= 8
    assert all(name.count("._domainkey.") for name in needed_keys(header))
    assert verified(header, body, _answered((*found.records, *needed_keys(header))), NOW) == results
    if any(result.result == "pass" for result in results):
        unfolded = [headers.first(header, name) for name in (b"from", b"to", b"subject", b"date")]
        assert [one and b"".join(one.split()) for one in unfolded] == [b"a@x.test", b"b@y.test", b"hi", b"x"]


def arc(data: bytes) -> None:
    """Verify a chain, and seal what it stands on."""
    block = headers.repair(data)
    header = block[: headers.header_end(block)]
    found = SealedChain(header)
    digests = Digests()
    digests.update(BODY)
    verdict = found.verify(digests.finish(), _answered(found.records), NOW)
    assert verdict.result.result in ("none", "pass", "fail")
    chain = read_chain(header)
    if not chain.fault and chain.last < 50:
        on_top = seal(
            header, _hashed(), KEY, "mx.us.test; none", "fail" if verdict.result.result == "fail" else "pass", NOW
        )
        assert len(list(headers.fields(headers.repair(on_top + header)))) >= 3


def key_record(data: bytes) -> None:
    """Read the record of a key, and verify something with it."""
    key = read_key(data)
    assert not key.verifies(bytes(64), bytes(32))


def tags(data: bytes) -> None:
    """Read a list of tags."""
    for name, value in read_tags(data).items():
        assert name and name in data
        read_list(value)


def prefixed(data: bytes) -> None:
    """As :func:`dkim`, of a signature of any tags on a good message."""
    bits, value = variant(data)
    name = b"DKIM-Signature: " if bits & 1 else b"ARC-Message-Signature: "
    dkim(name + headers.one_line(value) + b"\r\n" + HEADER + BODY)


TAGS = SIGNED.partition(b":")[2].partition(b"\r\nFrom")[0]
WORDS = (
    *each(
        b"""
;
=
 b=
 bh=
 h=from
 h=from:to:from
 d=x.test
 s=s1
 i=@sub.x.test
 i=1
 cv=pass
 c=simple/relaxed
 l=0
 t=1800000000
 x=1
 a=rsa-sha256
 q=dns/txt
v=DKIM1
p=
k=rsa
t=y:s
\\r\\n\x20
From: evil@x.test\\r\\n
ARC-Seal: i=1; cv=none
""".replace(b"\\r", b"\r").replace(b"\\n", b"\n")
    ),
    b" ",
    b"\t",
    b"\r\n",
)

TARGETS = (
    Target("dkim", dkim, (SIGNED + BODY, SIGNED + SIGNED + BODY, HEADER), words=WORDS),
    Target("dkim_tags", prefixed, (b"\1" + TAGS, b"\0i=1; " + TAGS), words=WORDS),
    Target("arc", arc, (_sealed(), _sealed().replace(b"cv=pass", b"cv=fail"), HEADER), words=WORDS),
    Target(
        "key_record",
        key_record,
        (
            RECORD,
            b"v=DKIM1; k=rsa; t=y:s; h=sha256; s=email; p=" + b64encode(RSA),
            b"p=",
            b"v=DKIM1; g=*; p=" + b64encode(RSA),
        ),
        errors=(NotVerified,),
        words=WORDS,
    ),
    Target("tags", tags, (b"a=1; b = 2 ;c=", b"v=DMARC1;p=none"), errors=(ValueError,), words=WORDS),
)
