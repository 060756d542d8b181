"""What happens at the end of a message's content: it is judged, finished and made durable, or nothing of it is kept."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

from mailnode.interfaces.delivery import IReadAhead
from mailnode.interfaces.log import EventLog
from mailnode.interfaces.wire import IChannel
from mailnode.message.digests import BodyDigests
from mailnode.message.sortkeys import own_message_id
from mailnode.message.vouched_sender import may_be_forged
from mailnode.smtp.asking import About
from mailnode.smtp.intake import Intake
from mailnode.smtp.service import Service
from mailnode.smtp.transaction import MailTransaction
from mailnode.smtp.wire import replies
from mailnode.smtp.wire.replies import Rejected, rejection
from mailnode.values.blob import StagedBlob
from mailnode.values.envelope import MAYBE_FORGED, Envelope
from mailnode.values.events import EventFields, emit
from mailnode.values.facts import EncodedFacts
from mailnode.values.filtered import Filtered
from mailnode.values.plan import Judgement
from mailnode.values.policy import PASS, Verdict
from mailnode.values.smtp_reply import Reply

_log = EventLog()


class EndOfData:
    """Takes the messages of one session."""

    def __init__(
        self,
        channel: IChannel,
        service: Service,
        asks: Callable[[str], bool],
        ask: Callable[[str, About], Awaitable[Verdict]],
        signed: Callable[[Envelope, Intake], Awaitable[Envelope]],
    ) -> None:
        """:param asks: whether any policy has a say at a stage. :param ask: asks those of a stage about a message.
        :param signed: returns the envelope with what is to stand on top of a message that is kept."""
        self._channel = channel
        self._service = service
        self._asks = asks
        self._ask = ask
        self._signed = signed

    async def take(self, transaction: MailTransaction) -> Reply:
        """Judge, then make durable. :raises Exception: whatever it is, nothing was kept."""
        intake = transaction.intake
        assert intake is not None
        await intake.end_header()
        digests = intake.body_digests()
        ahead = await self._begin_reading(transaction, intake)
        envelope, judgement = await self._judge(transaction, intake, digests, ahead)
        if judgement.is_kept and transaction.is_binary:
            await intake.in_lines(self._service.binary)
            body = "7BIT" if intake.is_ascii else "8BITMIME"
            envelope, digests = replace(envelope, options=replace(envelope.options, body=body)), {}
        size = intake.size
        filtered = Filtered(judgement)
        if judgement.is_kept:
            envelope = await self._signed(envelope, intake)
            envelope, filtered = await self._filter(transaction, intake, envelope, judgement)
            judgement = filtered.judgement
            if judgement.forwarded and self._service.sealer is not None:
                judgement = await self._service.sealer.sealed(
                    envelope, judgement, intake.header, size, intake.writer.read, digests
                )
                filtered = replace(filtered, judgement=judgement)
        facts = await self._make_durable(intake, envelope, filtered, ahead)
        message_id = own_message_id(intake.header) if facts is None else facts.message_id
        _log_accepted(transaction, envelope, size, message_id)
        return Reply(250, "2.0.0", (f"queued as {transaction.id}",))

    async def _make_durable(
        self, intake: Intake, envelope: Envelope, filtered: Filtered, ahead: IReadAhead | None
    ) -> EncodedFacts | None:
        """Hand over a message with all that is to be done; return its facts, None where nobody has asked for them.

        :raises ConnectionError: nobody would hear of it."""
        delivery = self._service.delivery
        facts: EncodedFacts | None = None
        blob: StagedBlob | None = None
        if not filtered.needs_message:
            intake.abort()
        elif filtered.files_message:
            blob, facts = await delivery.stage(intake.writer, ahead.reading if ahead is not None else None)
        else:
            blob = await intake.writer.finish()
        if self._channel.closed:
            raise ConnectionError("the client is gone: nobody would hear that the message was taken")
        if not filtered.is_plain:
            await delivery.accept_filtered(envelope, filtered, blob, facts)
        elif blob is not None:
            await delivery.accept(envelope, filtered.judgement, blob, facts)
        return facts

    async def _filter(
        self, transaction: MailTransaction, intake: Intake, envelope: Envelope, judgement: Judgement
    ) -> tuple[Envelope, Filtered]:
        """Return what scripts make of a message, and its envelope without the recipients they refuse it to. :raises Rejected:"""
        if self._service.filtering is None:
            return envelope, Filtered(judgement)
        each = transaction.answers_each
        score = transaction.found.score if transaction.judged.answers else None
        filtered = await self._service.filtering.filtered(
            envelope, judgement, intake.size, intake.writer.read, each, score
        )
        if not filtered.refused:
            return envelope, filtered
        refusals = {address: Rejected(reply) for address, reply in filtered.refused.items()}
        if each:
            transaction.refusals |= refusals
        taken = tuple(one for one in envelope.recipients if one.address not in refusals)
        if not taken:
            if not filtered.is_plain:  # somebody is told of what is refused
                nobody = replace(filtered, judgement=filtered.judgement._replace(recipients=()))
                await self._service.delivery.accept_filtered(replace(envelope, recipients=()), nobody, None, None)
            raise next(iter(refusals.values()))
        kept = filtered.judgement._replace(recipients=tuple(one.address for one in taken))
        envelope = replace(envelope, recipients=taken)
        return envelope, replace(filtered, judgement=kept)

    async def _begin_reading(self, transaction: MailTransaction, intake: Intake) -> IReadAhead | None:
        """Return what reads a message in another process, where it is to be judged and that pays."""
        reader = self._service.reader
        if reader is None or intake.size > reader.largest or transaction.is_binary or not self._asks("end"):
            return None
        accounts = [account_id for route in transaction.routes.values() for account_id, _ in route.local]
        return reader.begin(await intake.writer.read(0, intake.size), len(intake.header), accounts)

    async def _judge(
        self, transaction: MailTransaction, intake: Intake, digests: BodyDigests, ahead: IReadAhead | None
    ) -> tuple[Envelope, Judgement]:
        """Return what policies make of a message that has come. :raises Rejected:"""
        envelope = transaction.seen(intake.is_ascii)
        verdict = PASS
        if self._asks("end"):
            about = About(
                transaction.mail, None, envelope, intake.header, intake.size, intake.writer.read, digests, ahead
            )
            verdict = await self._ask("end", about)
            transaction.heed(verdict, "end")
        if verdict is not PASS:
            transaction.note_judged(verdict)
            envelope = _without_refused(transaction, envelope, verdict).judged(
                b"".join(verdict.headers), transaction.found.results
            )
            sender = envelope.reverse_path
            if sender is not None and may_be_forged(sender, envelope.authentication):
                envelope = replace(envelope, notices=MAYBE_FORGED)
        if verdict.hold:
            envelope = replace(envelope, held=True)
        if transaction.judged.answers:
            transaction.judged.tell(transaction.about(envelope.origin), verdict.outcome or "inbox")
        judgement = await self._service.judge.judge(
            envelope, transaction.routes, transaction.common, transaction.own, intake.header
        )
        if judgement.is_circle:
            raise Rejected(replies.CIRCLE)
        return envelope, judgement


def _without_refused(transaction: MailTransaction, envelope: Envelope, verdict: Verdict) -> Envelope:
    """Return the envelope with those recipients alone that the message is taken for; the others hear why it is not.

    :raises Rejected: it is for nobody."""
    for address, own in verdict.own.items():
        refusal = rejection(own, "end")
        if refusal is not None and transaction.answers_each:
            transaction.refusals[address] = refusal
    if not transaction.refusals:
        return envelope
    taken = tuple(one for one in envelope.recipients if one.address not in transaction.refusals)
    if not taken:
        raise next(iter(transaction.refusals.values()))
    return replace(envelope, recipients=taken)


def _log_accepted(transaction: MailTransaction, envelope: Envelope, size: int, message_id: str) -> None:
    options, origin = transaction.options, envelope.origin
    about: EventFields = {"priority": options.priority} if options.priority else {}
    if options.tls:
        about["wanted_tls"] = options.tls
    emit(
        _log,
        "message.accepted",
        session=origin.session,
        envelope=transaction.id,
        sender=transaction.sender,
        recipients=len(envelope.recipients),
        size=size,
        **about,
        message_id=message_id,
        peer=origin.peer,
        helo=origin.helo,
        account=origin.account_id,
    )
