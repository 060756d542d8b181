"""Mail that the server itself writes: reports to other domains, news to who looks after it."""

from __future__ import annotations

from collections.abc import Callable

from mailnode.delivery.acceptance import queued_envelope
from mailnode.delivery.plans import Copies, copies
from mailnode.delivery.routing import RoutingTable
from mailnode.interfaces.accounts import IDirectory
from mailnode.interfaces.delivery import IDelivery, ISigner
from mailnode.interfaces.runtime import IHints
from mailnode.interfaces.store import IBlobs, IQueueStore
from mailnode.message.headers import header_end
from mailnode.values.envelope import Envelope
from mailnode.values.plan import Judgement
from mailnode.values.queue import NewEnvelope


class OwnMail:
    """Puts it into the queue, which delivers it here or elsewhere."""

    def __init__(
        self,
        directory: IDirectory,
        queue: IQueueStore,
        blobs: IBlobs,
        delivery: IDelivery,
        signer: ISigner,
        hints: IHints,
        routing: RoutingTable,
    ) -> None:
        self._directory = directory
        self._queue = queue
        self._blobs = blobs
        self._delivery = delivery
        self._signer = signer
        self._hints = hints
        self._routing = routing

    async def _signature(self, domain: str, envelope: Envelope, content: bytes) -> bytes:
        """Return what the keys of a domain say of a message, b"" where it has none. :raises mailnode.errors.DomainError:"""
        end = header_end(content)
        return await self._signer.sign([domain], envelope.id, content[:end], content[end:])

    async def _copies(self, envelope: Envelope) -> Copies:
        """Return the copies for the recipients of an envelope, none where they lead nowhere."""
        resolved = {one.address: await self._directory.resolve(one.address) for one in envelope.recipients}
        return copies(envelope, Judgement(tuple(resolved), resolved))

    async def _enqueue(
        self, envelope: Envelope, made: Copies, content: bytes, expires: Callable[[float, bool], float]
    ) -> None:
        """Put a message into the queue. :param expires: (created, null sender) -> when it gets too old.
        :raises mailnode.errors.DomainError:"""
        blob = await self._blobs.put(content)
        facts = await self._delivery.scan(blob) if made.local else None
        queued = queued_envelope(envelope, made, blob, expires, self._routing)
        await self._queue.enqueue(NewEnvelope(queued, blob, facts))
        self._hints.wake_queue(list(dict.fromkeys(one.destination for one in queued.recipients)))
