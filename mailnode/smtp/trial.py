"""What policies would make of a message: they are asked as a session asks them, one stage after the other, and nothing is kept."""

from __future__ import annotations

from mailnode.errors import DomainError
from mailnode.interfaces.delivery import IRouter
from mailnode.interfaces.pause import pause
from mailnode.interfaces.policy import IPolicyChain
from mailnode.interfaces.runtime import IClock
from mailnode.interfaces.store import IBlobs
from mailnode.message.compose import received
from mailnode.message.headers import field_names, insert_on_top
from mailnode.message.lineends import LineEnds
from mailnode.message.verifying import SIGNED_NAMES, body_forms
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
from mailnode.values.envelope import MailOptions, Origin, Recipient
from mailnode.values.ids import new_id, session_id
from mailnode.values.plan import AS_IT_IS, JUNK
from mailnode.values.policy import PASS, Verdict
from mailnode.values.smtp_reply import Reply
from mailnode.values.trial import Tried, TriedAnswer, TriedMail, TriedRecipient

PIECE = 64 * 1024  # octets between which others have their turn
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
        self._replies: dict[Address, Reply] = {}  # to recipients that were refused
        self._verdict = PASS  # on the whole message
        self._on_top: list[bytes] = []  # what was put on top of the message as it came
        self._transaction: MailTransaction | None = None

    async def run(self, blobs: IBlobs) -> Tried:
        """Ask every policy, up to the first refusal. :param blobs: holds the message meanwhile."""
        refused: Exception | None = None
        try:
            await self._ask_of_client()
            transaction = await self._ask_of_sender()
            await self._ask_of_recipients(transaction)
            if transaction.recipients or not self._mail.recipients:
                await self._ask_of_message(transaction, blobs)
        except (Rejected, DomainError) as error:
            refused = error
        finally:
            if self._policies.hears_sessions:
                self._policies.session_ended(self._session)
        return self._told(refused)

    async def _ask(self, stage: str, about: About = NOTHING_MORE) -> Verdict:
        if not self._asking.judges(stage, False):
            return PASS
        asker = Asker(self._origin(), False, False)
        verdict = await self._asking.ask(stage, asker, self._transaction, about)
        recipient = str(about.recipient.address) if about.recipient is not None else ""
        self._answers += [TriedAnswer(answer, recipient) for answer in verdict.answers]
        return verdict

    def _origin(self) -> Origin:
        return Origin(self._session, "ESMTP", self._mail.peer, self._helo)

    async def _ask_of_client(self) -> None:
        refusal = rejection(await self._ask("connect"), "connect", 554)
        if refusal is not None:
            if refusal.reply.code < 500:
                refusal.reply = Reply(421, refusal.reply.status, refusal.reply.lines)
            raise refusal
        self._helo = self._mail.helo
        refusal = rejection(await self._ask("helo"), "helo")
        if refusal is not None:
            raise refusal

    async def _ask_of_sender(self) -> MailTransaction:
        paths = [*self._mail.recipients, *([self._mail.reverse_path] if self._mail.reverse_path is not None else [])]
        utf8 = not all(path.is_ascii for path in paths)
        options = MailOptions(size=len(self._mail.content), body="8BITMIME", smtputf8=utf8)
        mail = Mail(self._mail.reverse_path, options)
        transaction = MailTransaction(new_id(self._clock.seconds()), mail)
        self._asking.tell(transaction)
        verdict = await self._ask("mail", About(mail, size=options.size))
        transaction.heed(verdict, "mail")
        transaction.note(verdict)
        self._transaction = transaction
        return transaction

    async def _ask_of_recipients(self, transaction: MailTransaction) -> None:
        mail = transaction.mail
        for address in dict.fromkeys(self._mail.recipients):
            recipient = Recipient(address)
            try:
                verdict = await self._ask("rcpt", About(mail, recipient, size=mail.options.size))
                transaction.heed(verdict, "rcpt")
                null_sender = mail.reverse_path is None
                route = await self._router.resolve(address, False, mail.options.size, null_sender=null_sender)
            except (Rejected, DomainError) as error:
                self._replies[address] = reply_to(error)
                continue
            transaction.routes[address] = route
            transaction.recipients.append(recipient)
            transaction.note(verdict, address)

    async def _ask_of_message(self, transaction: MailTransaction, blobs: IBlobs) -> None:
        verdict = await self._ask("data", About(transaction.mail, size=transaction.mail.options.size))
        transaction.heed(verdict, "data")
        transaction.note(verdict)
        transaction.begin(self._origin(), self._clock.seconds())
        content = self._mail.content
        writer = blobs.writer(2 * len(content) + HEADER_ROOM)  # each line may get longer by an octet
        transaction.intake = intake = Intake(writer, self._edit_header, DEFAULT_LIMITS.header_size)
        try:
            ends = LineEnds()
            for at in range(0, len(content), PIECE):
                await intake.take(ends.convert(content[at : at + PIECE]))
                await pause(self._clock, 0)
            await intake.take(ends.finish())
            await intake.end_header()
            digests = intake.body_digests()
            envelope = transaction.seen(intake.is_ascii)
            about = About(transaction.mail, None, envelope, intake.header, intake.size, writer.read, digests)
            verdict = await self._ask("end", about)
        finally:
            intake.abort()
        transaction.heed(verdict, "end")
        transaction.note_judged(verdict)
        self._verdict = verdict

    async def _edit_header(self, block: bytes) -> bytes:
        transaction = self._transaction
        assert transaction is not None and transaction.intake is not None
        names = field_names(block)
        block = without_forged(block, frozenset(names), self._hostname)
        if not SIGNED_NAMES.isdisjoint(names) and self._asking.judges("end", False):
            transaction.intake.hash_body(body_forms(block))
        envelope = transaction.with_header(names, block)
        self._on_top = [
            *transaction.headers,
            received(envelope, self._hostname, received_clauses(envelope.options)),
        ]
        return insert_on_top(block, self._on_top)

    # What came of it

    def _told(self, refused: Exception | None) -> Tried:
        transaction = self._transaction
        if refused is None and self._replies and transaction is not None and not transaction.recipients:
            reply = next(iter(self._replies.values()))  # nobody is there to send it to
        else:
            reply = reply_to(refused) if refused is not None else TAKEN
        kept = reply.is_positive
        by = (refused.stage, refused.policy) if isinstance(refused, Rejected) else ("", "")
        outcome = self._verdict.outcome or "inbox"
        if transaction is not None and transaction.held:
            outcome = "held"
        return Tried(
            outcome if kept else _refusal(reply),
            str(reply),
            *by,
            common_score(one.answer for one in self._answers),
            tuple(self._answers),
            tuple([self._recipient(address, reply) for address in dict.fromkeys(self._mail.recipients)]),
            b"".join([*self._verdict.headers, *self._on_top]) if kept else b"",
        )

    def _recipient(self, address: Address, reply: Reply) -> TriedRecipient:
        transaction = self._transaction
        own = self._replies.get(address, reply)
        if transaction is None or not own.is_positive:
            return TriedRecipient(str(address), _refusal(own), str(own))
        plan = transaction.common.then(transaction.own.get(address, AS_IT_IS))
        if plan.discard:
            outcome = "discard"
        else:
            outcome = "junk" if plan.special_use == JUNK else plan.special_use or plan.mailbox or "inbox"
        return TriedRecipient(str(address), outcome, header=plan.prefix)


def _refusal(reply: Reply) -> str:
    return "refuse" if reply.is_permanent else "defer"
