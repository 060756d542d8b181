"""Facts of a message as one octet string: a JSON line of numbers and lengths, then the octets it tells the lengths of."""

from __future__ import annotations

import json

from mailnode.values.facts import EncodedFacts, decode_sort_keys


def encode_facts(facts: EncodedFacts) -> bytes:
    """Return facts in one piece."""
    pieces = (facts.envelope, facts.bodystructure, facts.body, facts.fields, facts.parts, facts.sort, facts.preview)
    head = [facts.version, facts.size, facts.header_size, *map(len, pieces)]
    return b"".join((json.dumps(head, separators=(",", ":")).encode(), b"\n", *pieces))


def decode_facts(data: bytes) -> EncodedFacts:
    """Undo :func:`encode_facts`."""
    start = data.index(b"\n") + 1
    version, size, header_size, *lengths = json.loads(data[:start])
    pieces = []
    for length in lengths:
        pieces.append(data[start : start + length])
        start += length
    envelope, bodystructure, body, fields, parts, sort, *newer = pieces
    preview = newer[0] if newer else b""  # facts before version 3 had none
    keys = decode_sort_keys(sort)
    return EncodedFacts(
        version,
        size,
        header_size,
        envelope,
        bodystructure,
        sort,
        fields,
        body,
        parts,
        preview,
        keys.message_id,
        keys.references,
    )
