"""All that is read of a small message before it is stored, in one go; for another process, by :mod:`mailnode.net.batches`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from mailnode.message.dmarc import author_domains
from mailnode.message.scanner import scan
from mailnode.message.signatures import Keys
from mailnode.message.tokens import words_in
from mailnode.message.verifying import verified
from mailnode.policy.shared_counts import SharedCounts
from mailnode.store.blobs import codec
from mailnode.values.facts import EncodedFacts, encode
from mailnode.values.reading import AskedFilter, ReadMessage, ToldChance, packed

_known = SharedCounts()  # of the filters of the process that asks


def read(
    content: bytes, header_size: int, keys: Keys, seconds: float, filters: Sequence[AskedFilter] | None = None
) -> ReadMessage:
    """Return it. :param content: of 32 KiB at most. :param header_size: octets of its header block, with the empty line.
    :param keys: records of keys, by name, that its signatures may need. :param seconds: UTC.
    :param filters: of the accounts it is for; None: somebody asks them."""
    facts, header = scan(content), content[:header_size]
    chances: dict[str, ToldChance] = {}
    words = words_in(content, facts.header_size, facts.parts) if filters != () else {}
    for asked in filters or ():
        told = _known.tell(asked, words)
        if told is not None:
            chances[asked.account_id] = told
    is_told = filters is not None and len(chances) == len(filters)
    return ReadMessage(
        encode(facts),
        codec.encode(content),
        chances,
        None if is_told else packed(words),
        author_domains(header),
        verified(header, content[header_size:], keys, seconds),
    )


async def scan_here(size: int, read: Callable[[int, int], Awaitable[bytes]]) -> EncodedFacts:
    """Find the facts of a stored message in this thread, for commands where no server runs. :param read: returns octets by offset
    and length."""
    return encode(scan(await read(0, size)))
