"""What policies would make of a message: they are asked as a session asks them, one stage after the other, and nothing is kept.

A refusal is noted, and the next stage is asked as if there had been none: who looks for a fault wants all of it at once.
"""

from __future__ import annotations

from dataclasses import replace

from mailnode.errors import DomainError
from mailnode.interfaces.delivery import IRouter
from mailnode.interfaces.pause import pause
from mailnode.interfaces.policy import IPolicyChain
from mailnode.interfaces.runtime import IClock
from mailnode.interfaces.store import IBlobs
from mailnode.message.compose import received
from mailnode.message.headers import field_names, insert_on_top
from mailnode.message.lineends import LineEnds
from mailnode.message.verifying import SIGNED_NAMES
from mailnode.smtp.asking import NOTHING_MORE, About, Asker, Asking
from mailnode.smtp.extensions.table import received_clauses
from mailnode.smtp.intake import HEADER_ROOM, Intake
from mailnode.smtp.judged import common_score
from mailnode.smtp.trace import without_forged
from mailnode.smtp.transaction import MailTransaction
from mailnode.smtp.wire.events import Mail
from mailnode.smtp.wire.limits import DEFAULT_LIMITS
from mailnode.smtp.wire.replies import Rejected, rejection, reply_to
from mailnode.values.address import Address
from mailnode.values.directory import Resolved
from mailnode.values.envelope import MailOptions, Origin, Recipient
from mailnode.values.ids import new_id, session_id
from mailnode.values.plan import AS_IT_IS, JUNK
from mailnode.values.policy import PASS, STAGES, Verdict
from mailnode.values.smtp_reply import Reply
from mailnode.values.trial import Tried, TriedAnswer, TriedMail, TriedRecipient, TriedRefusal

PIECE = 64 * 1024  # octets between which others have their turn
_BEFORE_RECIPIENTS = ("connect", "helo", "mail")  # stages whose refusals nobody comes after
TAKEN = Reply(250, "2.0.0", ("queued",))


class MailTrial:
    """One message of a stranger. :meth:`run` once."""

    def __init__(self, mail: TriedMail, policies: IPolicyChain, router: IRouter, clock: IClock, hostname: str) -> None:
        """:param hostname: this server's name, in A-labels."""
        self._mail = mail
        self._policies = policies
        self._router = router
        self._clock = clock
        self._hostname = hostname
        self._asking = Asking(policies)
        self._session = session_id()
        self._helo = ""
        self._answers: list[TriedAnswer] = []
        self._refused: dict[str, Rejected] = {}  # by stage, of the whole message
        self._refused_alone: dict[Address, Rejected] = {}  # recipients
        self._verdict = PASS  # on the whole message
        self._on_top: list[bytes] = []  # what was put on top of the message as it came
        self._transaction: MailTransaction | None = None

    async def run(self, blobs: IBlobs) -> Tried:
        """Ask every policy. :param blobs: holds the message meanwhile."""
        try:
            await self._ask_of_client()
            transaction = await self._ask_of_sender()
            await self._ask_of_recipients(transaction)
            await self._ask_of_message(transaction, blobs)
        finally:
            if self._policies.hears_sessions:
                self._policies.session_ended(self._session)
        return self._told()

    async def _ask(self, stage: str, about: About = NOTHING_MORE) -> Verdict:
        """Return what policies say, and note what that refuses."""
        if not self._asking.judges(stage, False):
            return PASS
        asker = Asker(self._origin(), False, False)
        verdict = await self._asking.ask(stage, asker, self._transaction, about)
        recipient = about.recipient.address if about.recipient is not None else None
        self._answers += [TriedAnswer(answer, str(recipient or "")) for answer in verdict.answers]
        refusal = rejection(verdict, stage, 554 if stage == "connect" else 550)
        if refusal is None:
            return verdict
        if recipient is None:
            self._refused[stage] = refusal
        else:
            self._refused_alone[recipient] = refusal
        return replace(verdict, action="pass")

    def _origin(self) -> Origin:
        return Origin(self._session, "ESMTP", self._mail.peer, self._helo)

    async def _ask_of_client(self) -> None:
        self._asking.stand("connect", await self._ask("connect"))
        refusal = self._refused.get("connect")
        if refusal is not None and refusal.reply.code < 500:
            refusal.reply = Reply(421, refusal.reply.status, refusal.reply.lines)
        self._helo = self._mail.helo
        self._asking.stand("helo", await self._ask("helo"))

    async def _ask_of_sender(self) -> MailTransaction:
        paths = [*self._mail.recipients, *([self._mail.reverse_path] if self._mail.reverse_path is not None else [])]
        utf8 = not all(path.is_ascii for path in paths)
        options = MailOptions(size=self._mail.size, body="8BITMIME", smtputf8=utf8)
        mail = Mail(self._mail.reverse_path, options)
        transaction = MailTransaction(new_id(self._clock.seconds()), mail)
        self._asking.tell(transaction)
        transaction.note(await self._ask("mail", About(mail, size=options.size)))
        self._transaction = transaction
        return transaction

    async def _ask_of_recipients(self, transaction: MailTransaction) -> None:
        mail = transaction.mail
        aside: list[tuple[Recipient, Resolved, Verdict]] = []  # whom policies alone refuse
        for address in dict.fromkeys(self._mail.recipients):
            recipient = Recipient(address)
            verdict = await self._ask("rcpt", About(mail, recipient, size=mail.options.size))
            try:
                null_sender = mail.reverse_path is None
                route = await self._router.resolve(address, False, mail.options.size, null_sender=null_sender)
            except (Rejected, DomainError) as error:
                self._refused_alone.setdefault(address, Rejected(reply_to(error), stage="rcpt"))
                continue
            if address in self._refused_alone:
                aside.append((recipient, route, verdict))
            else:
                _name(transaction, recipient, route, verdict)
        if not transaction.recipients:  # somebody has to be there for whom the message is judged
            for one in aside:
                _name(transaction, *one)

    async def _ask_of_message(self, transaction: MailTransaction, blobs: IBlobs) -> None:
        transaction.note(await self._ask("data", About(transaction.mail, size=transaction.mail.options.size)))
        transaction.begin(self._origin(), self._clock.seconds())
        writer = blobs.writer(2 * self._mail.size + HEADER_ROOM)  # each line may get longer by an octet
        transaction.intake = intake = Intake(writer, self._edit_header, DEFAULT_LIMITS.header_size)
        try:
            await self._take(intake)
            envelope = transaction.seen(intake.is_ascii)
            digests = intake.body_digests()
            about = About(transaction.mail, None, envelope, intake.header, intake.size, writer.read, digests)
            self._verdict = await self._ask("end", about)
        except (Rejected, DomainError) as error:  # it could not be taken in
            self._refused["end"] = Rejected(reply_to(error), stage="end")
        finally:
            intake.abort()
        transaction.note_judged(self._verdict)

    async def _take(self, intake: Intake) -> None:
        ends, at, size = LineEnds(), 0, self._mail.size
        while at < size and (piece := await self._mail.read(at, min(PIECE, size - at))):
            at += len(piece)
            await intake.take(ends.convert(piece))
            await pause(self._clock, 0)
        await intake.take(ends.finish())
        await intake.end_header()

    async def _edit_header(self, block: bytes) -> bytes:
        transaction = self._transaction
        assert transaction is not None and transaction.intake is not None
        names = field_names(block)
        block = without_forged(block, frozenset(names), self._hostname)
        if not SIGNED_NAMES.isdisjoint(names) and self._asking.judges("end", False):
            transaction.intake.hash_body(block)
        envelope = transaction.with_header(names, block)
        self._on_top = [
            *transaction.headers,
            received(envelope, self._hostname, received_clauses(envelope.options)),
        ]
        return insert_on_top(block, self._on_top)

    # What came of it

    def _told(self) -> Tried:
        transaction = self._transaction
        assert transaction is not None
        refusal = self._refusal()
        reply = refusal.reply if refusal is not None else TAKEN
        outcome = "held" if transaction.held else self._verdict.outcome or "inbox"
        return Tried(
            outcome if refusal is None else _refusal(reply),
            str(reply),
            refusal.stage if refusal is not None and refusal.policy else "",
            refusal.policy if refusal is not None else "",
            common_score(one.answer for one in self._answers),
            tuple(self._answers),
            tuple([self._recipient(address, reply) for address in dict.fromkeys(self._mail.recipients)]),
            b"".join([*self._verdict.headers, *self._on_top]) if refusal is None else b"",
            self._refusals(),
        )

    def _refusal(self) -> Rejected | None:
        """Return what the message is refused with."""
        early = self._early()
        if early is not None:
            return early
        recipients = dict.fromkeys(self._mail.recipients)
        if recipients and self._refused_alone.keys() == recipients.keys():
            return self._refused_alone[next(iter(recipients))]  # nobody is there to send it to
        return next((self._refused[stage] for stage in ("data", "end") if stage in self._refused), None)

    def _early(self) -> Rejected | None:
        return next((self._refused[stage] for stage in _BEFORE_RECIPIENTS if stage in self._refused), None)

    def _refusals(self) -> tuple[TriedRefusal, ...]:
        alone = {str(address): one for address, one in self._refused_alone.items()}
        every = [*(("", one) for one in self._refused.values()), *alone.items()]
        every.sort(key=lambda named: STAGES.index(named[1].stage))
        return tuple([TriedRefusal(one.stage, one.policy, address, str(one.reply)) for address, one in every])

    def _recipient(self, address: Address, reply: Reply) -> TriedRecipient:
        transaction = self._transaction
        assert transaction is not None
        alone = self._refused_alone.get(address)
        own = alone.reply if alone is not None and self._early() is None else reply
        if not own.is_positive:
            return TriedRecipient(str(address), _refusal(own), str(own))
        plan = transaction.common.then(transaction.own.get(address, AS_IT_IS))
        if plan.discard:
            outcome = "discard"
        else:
            outcome = "junk" if plan.special_use == JUNK else plan.special_use or plan.mailbox or "inbox"
        return TriedRecipient(str(address), outcome, header=plan.prefix)


def _name(transaction: MailTransaction, recipient: Recipient, route: Resolved, verdict: Verdict) -> None:
    transaction.routes[recipient.address] = route
    transaction.recipients.append(recipient)
    transaction.note(verdict, recipient.address)


def _refusal(reply: Reply) -> str:
    return "refuse" if reply.is_permanent else "defer"
