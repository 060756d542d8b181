"""Notices to senders: which recipients ask for which, and the DSN as a message of the queue (RFC 3461 5.2, RFC 3464).

There is none for the null sender, so none for a DSN (RFC 3461 5.2). A notice that cannot be delivered is not reported to
anybody; the log has it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from twisted.logger import Logger
from zope.interface import implementer

from mailnode.delivery.acceptance import queued_envelope
from mailnode.delivery.plans import Copies, copies
from mailnode.delivery.routing import RoutingTable
from mailnode.delivery.srs import is_rewritten
from mailnode.errors import BadAddress, BlobDamaged, Refused
from mailnode.interfaces.accounts import IDirectory
from mailnode.interfaces.delivery import IDelivery, IForwarding, ISigner
from mailnode.interfaces.queue import IBouncer
from mailnode.interfaces.runtime import IClock
from mailnode.interfaces.sieve import IFiltering
from mailnode.interfaces.store import IBlobs, IQueueStore
from mailnode.message.compose import message_id
from mailnode.message.dsn import DsnRecipient, dsn
from mailnode.message.headers import header_end
from mailnode.values.address import Address, parse_address
from mailnode.values.attempt import Fate
from mailnode.values.envelope import (
    ALL_NOTICES,
    MAYBE_FORGED,
    NO_NOTICES,
    TLS_REQUIRED,
    Envelope,
    MailOptions,
    Origin,
    Recipient,
)
from mailnode.values.events import emit
from mailnode.values.filtered import Filtered, ScriptMail
from mailnode.values.ids import new_id
from mailnode.values.plan import Judgement
from mailnode.values.queue import NewEnvelope, QueuedEnvelope

_log = Logger()

MAX_RETURNED = 64 * 1024  # octets of a message up to which a failure returns it whole
MAX_HEADER = 1024 * 1024  # octets of a header block
MAX_COPIES = 400  # of one notice, when the reverse-path is an alias for many

_ASKED_FOR = {"failed": "FAILURE", "delayed": "DELAY", "delivered": "SUCCESS", "relayed": "SUCCESS"}
_BY_DEFAULT = ("failed", "delayed")


@implementer(IBouncer)
class Bouncer:
    """Writes DSNs."""

    def __init__(
        self,
        directory: IDirectory,
        queue: IQueueStore,
        blobs: IBlobs,
        delivery: IDelivery,
        clock: IClock,
        *,
        hostname: str,
        expires: Callable[[float, bool], float],
        routing: RoutingTable | None = None,
        signer: ISigner | None = None,
        forwarding: IForwarding | None = None,
        refuse_foreign: bool = False,
        max_returned: int = MAX_RETURNED,
        filtering: IFiltering | None = None,
    ) -> None:
        """:param delivery: computes the facts of notices that stay here. :param expires: as for Acceptance.
        :param forwarding: knows who stands behind a rewritten reverse-path.
        :param refuse_foreign: no notice leaves this server. :param max_returned: octets, see :data:`MAX_RETURNED`.
        :param filtering: runs the scripts of accounts that notices come to; what these would have remembered is not."""
        self._filtering = filtering
        self._directory = directory
        self._queue = queue
        self._blobs = blobs
        self._delivery = delivery
        self._clock = clock
        self._hostname = hostname
        self._expires = expires
        self._routing = routing or RoutingTable()
        self._signer = signer
        self._forwarding = forwarding
        self._refuse_foreign = refuse_foreign
        self._max_returned = max_returned

    async def compose(self, envelope: QueuedEnvelope, fates: Sequence[Fate]) -> tuple[NewEnvelope, ...]:
        """Return the DSNs that are owed, one a kind; see :class:`IBouncer`."""
        if not envelope.reverse_path:
            return ()
        owed: dict[tuple[str, str], list[Fate]] = {}
        withheld: dict[tuple[str, str], str] = {}
        for fate in filter(is_owed, fates):
            sender = _told(envelope, fate)
            why = _not_told(envelope, fate, sender)
            if why:
                withheld[fate.action, sender] = why
            else:
                owed.setdefault((fate.action, sender), []).append(fate)
        for (kind, sender), why in withheld.items():
            emit(_log, "queue.untold", envelope=envelope.id, kind=kind, sender=sender, reason=why)
        notices: list[NewEnvelope] = []
        for (kind, sender), alike in owed.items():
            notices += await self._notice(replace(envelope, reverse_path=sender), kind, alike)
        return tuple(notices)

    async def _notice(self, about: QueuedEnvelope, kind: str, fates: Sequence[Fate]) -> tuple[NewEnvelope, ...]:
        now = self._clock.seconds()
        try:
            sender = await self._first_sender(parse_address(about.reverse_path))
            route = await self._directory.resolve(sender)
        except (BadAddress, Refused):
            return _nobody(about)
        about = replace(about, reverse_path=str(sender))
        if self._refuse_foreign and route.remote:
            return _nobody(about)
        content = await self._content(about, kind, fates, new_id(now), now)
        notice = self._envelope(about, sender, content.isascii(), now)
        content = await self._signature(notice.id, content) + content
        if not route.local and not route.remote:
            return _nobody(about)
        filtered = await self._filtered(notice, Judgement((sender,), {sender: route}), content)
        to_be_sent = [ScriptMail(notice, filtered.judgement, content)]
        to_be_sent += [one for one in filtered.mail if one.once is None]
        queued = [await self._queued(one.envelope, one.judgement, one.content or content) for one in to_be_sent]
        return tuple([one for one in queued if one is not None])

    async def _filtered(self, notice: Envelope, judgement: Judgement, content: bytes) -> Filtered:
        """Return what scripts make of a notice to an account here."""
        if self._filtering is None:
            return Filtered(judgement)

        async def read(offset: int, length: int) -> bytes:
            return content[offset : offset + length]

        return await self._filtering.filtered(notice, judgement, len(content), read)

    async def _queued(self, envelope: Envelope, judgement: Judgement, content: bytes) -> NewEnvelope | None:
        """Return a message as the queue keeps it; None: nobody gets it."""
        made = copies(envelope, judgement)
        made = Copies(made.local[:MAX_COPIES], made.remote[:MAX_COPIES])
        if not made.local and not made.remote:
            return None
        blob = await self._blobs.put(content)
        facts = await self._delivery.scan(blob) if made.local else None
        return NewEnvelope(queued_envelope(envelope, made, blob, self._expires, self._routing), blob, facts)

    async def _first_sender(self, sender: Address) -> Address:
        """Return who sent a message that was forwarded here and came back. :raises Refused: somebody made the address up."""
        while sender.domain and self._forwarding is not None:
            restored = await self._forwarding.restored(sender, True)
            if restored is None:
                break
            sender = restored
        return sender

    async def _signature(self, envelope_id: str, content: bytes) -> bytes:
        """Return what signs a notice: the key of our name's domain, or of one above, which vouches for it as well."""
        if self._signer is None:
            return b""
        labels = self._hostname.split(".")
        domains = [".".join(labels[at:]) for at in range(max(1, len(labels) - 1))]
        end = header_end(content)
        return await self._signer.sign(domains, envelope_id, content[:end], content[end:])

    def _envelope(self, about: QueuedEnvelope, sender: Address, ascii_only: bool, now: float) -> Envelope:
        return Envelope(
            id=new_id(now),
            reverse_path=None,
            recipients=(Recipient(sender),),
            origin=Origin(session=about.session, protocol="local"),
            received_at=now,
            options=MailOptions(
                body="7BIT" if ascii_only else "8BITMIME",
                smtputf8=not sender.is_ascii,
                priority=about.options.priority,
                tls=about.options.tls,  # RFC 8689 5
            ),
        )

    async def _content(self, about: QueuedEnvelope, kind: str, fates: Sequence[Fate], unique: str, now: float) -> bytes:
        header, whole = await self._original(about, kind)
        return dsn(
            reporting_mta=self._hostname,
            kind=kind,
            to=about.reverse_path,
            sender=f"MAILER-DAEMON@{self._hostname}",
            message_id=message_id(unique, self._hostname),
            date_seconds=now,
            arrival_seconds=about.created,
            recipients=[_recipient(about, fate, now) for fate in fates],
            original_header=header,
            original=whole,
            envid=about.options.envid,
            smtputf8=not about.reverse_path.isascii(),
        )

    async def _original(self, about: QueuedEnvelope, kind: str) -> tuple[bytes, bytes | None]:
        """The header block, and the whole message where that goes back: after a failure, when it is not too large and
        neither RET (RFC 3461 4.3) nor REQUIRETLS (RFC 8689 5) forbids it. A message that cannot be read goes back as nothing."""
        options = about.options
        header_only = kind != "failed" or options.ret == "HDRS" or options.tls == TLS_REQUIRED
        try:
            if not header_only and about.blob.size <= self._max_returned:
                whole = await self._queue.read(about.blob)
                return _header(whole), whole
            start = await self._queue.read(about.blob, 0, min(about.blob.size, MAX_HEADER))
            return _header(start), None
        except BlobDamaged:
            _log.warn("{envelope} cannot be read for its notice", envelope=about.id)
            return b"", None


def is_owed(fate: Fate) -> bool:
    """Whether the sender is to be told: what NOTIFY asks for, without it failure and delay (RFC 3461 4.1)."""
    notify = fate.recipient.options.notify
    if not notify:
        return fate.action in _BY_DEFAULT
    return _ASKED_FOR[fate.action] in notify


def _told(envelope: QueuedEnvelope, fate: Fate) -> str:
    """Return who is told of a fate: a list's owner, else who sent the message, whose address may stand rewritten."""
    sender = fate.recipient.sender(envelope.reverse_path)
    return envelope.reverse_path if is_rewritten(sender) else sender


def _not_told(envelope: QueuedEnvelope, fate: Fate, sender: str) -> str:
    """Return why the reverse-path is not told, "" where it is. The owner of a list of ours is of every failure."""
    notices = envelope.notices
    if notices == ALL_NOTICES or (fate.action == "failed" and sender != envelope.reverse_path):
        return ""
    if notices == MAYBE_FORGED:
        return "neither SPF nor a signature vouches for the sender"
    if fate.action == "failed" and notices != NO_NOTICES:
        return ""
    return "it came through a list"


def _header(data: bytes) -> bytes:
    end = header_end(data)
    return data if end < 0 else data[:end]


def _recipient(about: QueuedEnvelope, fate: Fate, now: float) -> DsnRecipient:
    return DsnRecipient(
        final=fate.recipient.address,
        status=fate.status,
        original=fate.recipient.options.orcpt,
        remote_mta=fate.host if fate.diagnostic else "",
        diagnostic=fate.reply,
        last_attempt=now,
        retry_until=fate.retry_until or None,
        log_id=about.id,
    )


def _nobody(about: QueuedEnvelope) -> tuple[NewEnvelope, ...]:
    _log.warn("the sender of {envelope} cannot be told: its reverse-path leads nowhere", envelope=about.id)
    return ()
