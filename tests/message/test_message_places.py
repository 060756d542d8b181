"""Where the fields of a header block stand: looked for once, whoever asks, and remembered of few and small blocks alone."""

from __future__ import annotations

import pytest

from mailnode.message import places as module
from mailnode.message.authors import UnclearAuthor, authors
from mailnode.message.headers import scan_fields
from mailnode.message.places import KEPT, LARGEST, field_at, places
from mailnode.message.verifying import has_chain, is_signed

BLOCK = b"From: a@x.test\r\nTO : b@x.test,\r\n\tc@x.test\r\nbroken\r\nfrom:d@x.test\r\nX:\r\n\r\nTo: body\r\n"


def test_the_fields_of_each_name_in_order():
    found = places(BLOCK)
    assert {name: len(of_name) for name, of_name in found.items()} == {b"from": 2, b"to": 1, b"x": 1}
    fields = [field_at(BLOCK, name, one) for name, of_name in found.items() for one in of_name]
    assert sorted((one.start, one.name, one.end) for one in fields) == [
        (start, name, end) for start, name, _, end in scan_fields(BLOCK)
    ]
    (to,) = (field_at(BLOCK, b"to", one) for one in found[b"to"])
    assert (to.name, to.value) == (b"TO", b"b@x.test,\tc@x.test".replace(b"\t", b" "))


def test_a_block_is_scanned_once_and_few_are_remembered(monkeypatch):
    asked = []
    monkeypatch.setattr(module, "scan_fields", lambda block: asked.append(block) or scan_fields(block))
    module._kept.cache_clear()
    blocks = [b"X-%d: y\r\n\r\n" % number for number in range(KEPT + 1)]
    for block in (*blocks, blocks[-1]):
        places(block)
    assert asked == blocks
    places(blocks[0])
    assert len(asked) == KEPT + 2


def test_a_large_block_is_not_remembered(monkeypatch):
    module._kept.cache_clear()
    large = b"X: " + b"y" * LARGEST + b"\r\n\r\n"
    assert list(places(large)) == [b"x"]
    assert module._kept.cache_info().currsize == 0


@pytest.mark.parametrize("filler", [b"", b"X: " + b"y" * LARGEST + b"\r\n"], ids=["small", "large"])
def test_what_is_asked_of_small_and_large_blocks(filler):
    assert is_signed(filler + b"DKIM-signature: x\r\n\r\n") and not is_signed(filler + b"To: x\r\n\r\n")
    assert has_chain(filler + b"arc-SEAL: x\r\n\r\n") and not has_chain(filler + b"DKIM-Signature: x\r\n\r\n")


def test_authors_are_remembered_as_they_were_read():
    block = b"From: A <a@x.test>\r\n\r\n"
    assert authors(block) == authors(block + b"body") == authors(b"X: y\r\n" + block)
    unclear = b"From: A, B <a@x.test>\r\n\r\n"
    for _ in range(2):
        with pytest.raises(UnclearAuthor, match="comma"):
            authors(unclear)
