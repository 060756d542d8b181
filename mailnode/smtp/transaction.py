"""One mail transaction as a session knows it, and the envelope it becomes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from mailnode.message.listed import notices_owed
from mailnode.smtp.extensions.table import by_header
from mailnode.smtp.intake import Intake
from mailnode.smtp.judged import Judged
from mailnode.smtp.wire.events import Mail
from mailnode.smtp.wire.replies import Rejected, rejection
from mailnode.values.address import Address
from mailnode.values.directory import Resolved
from mailnode.values.envelope import Envelope, MailOptions, Origin, Recipient
from mailnode.values.plan import AS_IT_IS, JUNK, RecipientPlan
from mailnode.values.policy import NOTHING_FOUND, PASS, Findings, ScoredReason, Verdict
from mailnode.values.sending import NOTHING, Counted
from mailnode.values.smtp_reply import Reply


class MailTransaction:
    """What is known of the transaction under way."""

    # There is one for each message: what most leave as it is stands here.
    common: RecipientPlan = AS_IT_IS  # what policies want to become of everybody's copies
    envelope: Envelope | None = None
    intake: Intake | None = None
    problem: Exception | None = None  # the message is read to its end and refused
    is_binary: bool = False  # it has come, and is not of lines
    refused: Reply | None = None  # what was said to a chunk of it, and is to those that follow
    counted: Counted = NOTHING  # for the account
    give_back: Callable[[Counted], None] | None = None  # takes that back, should the message not be taken
    held: bool = False  # the message is to wait for an operator
    found: Findings = NOTHING_FOUND  # by policies

    def __init__(self, id: str, mail: Mail, answers_each: bool = False) -> None:
        """:param answers_each: at its end each recipient gets a reply of its own."""
        self.id = id
        self.mail = mail
        self.answers_each = answers_each
        self.recipients: list[Recipient] = []
        self.accepted: list[Address] = []  # for each RCPT, one that named its recipient again included
        self.routes: dict[Address, Resolved] = {}
        self.tags: dict[str, str] = {}
        self.own: dict[Address, RecipientPlan] = {}  # what policies want to become of single recipients' copies besides
        self.headers: list[bytes] = []  # of policies, for the top of the message
        self.refusals: dict[Address, Rejected] = {}  # of single recipients at its end; others take it
        self.judged = Judged()  # for the log
        self.found_own: dict[Address, tuple[ScoredReason, ...]] = {}  # about single recipients, at RCPT

    @property
    def sender(self) -> str:
        """The reverse-path for the log; "" is the null sender."""
        return str(self.mail.reverse_path) if self.mail.reverse_path is not None else ""

    def heed(self, verdict: Verdict, stage: str) -> None:
        """Hear what policies say at a stage of this message. :raises Rejected: no."""
        if verdict is PASS:
            return
        self.judged.hear(verdict)
        refusal = rejection(verdict, stage)
        if refusal is not None:
            raise refusal

    def note(self, verdict: Verdict, recipient: Address | None = None) -> None:
        """Keep what a verdict wants to go with the message. :param recipient: whom alone it is about."""
        if verdict is PASS:
            return
        self.note_judged(verdict, recipient)
        self.headers.extend(verdict.headers)

    def note_judged(self, verdict: Verdict, recipient: Address | None = None) -> None:
        """The same without its header fields: the header has been written, and they go on top."""
        if verdict.tags:
            self.tags.update(verdict.tags)
        if verdict.hold:
            self.held = True
        if recipient is None:
            self.found = self.found.then(verdict)
            self.common = self.common.then(verdict.plan)
            if verdict.own:
                for address, own in verdict.own.items():
                    self._plan(address, own.plan)
        else:
            if verdict.reasons:
                self.found_own[recipient] = self.found_own.get(recipient, ()) + verdict.reasons
            self._plan(recipient, verdict.plan)

    def _plan(self, recipient: Address, plan: RecipientPlan) -> None:
        if plan is not AS_IT_IS and plan != AS_IT_IS:
            self.own[recipient] = self.own.get(recipient, AS_IT_IS).then(plan)

    @property
    def is_junk(self) -> bool:
        """Whether any of its recipients is to have it as junk."""
        if self.common.special_use == JUNK:
            return True
        return bool(self.own) and any(plan.special_use == JUNK for plan in self.own.values())

    def replies(self, reply: Reply) -> list[Reply]:
        """Return what each accepted RCPT hears at the end of the message, of which this is said."""
        if not reply.is_positive:
            return [reply] * len(self.accepted)
        return [self.refusals[one].reply if one in self.refusals else reply for one in self.accepted]

    def begin(self, origin: Origin, seconds: float) -> None:
        """The content begins: the recipients are known. :param seconds: UTC."""
        mail = self.mail
        self.envelope = Envelope(
            self.id,
            mail.reverse_path,
            tuple(self.recipients),
            origin,
            seconds,
            mail.options,
            self.tags,
            held=self.held,
        )

    def with_header(self, names: Sequence[bytes], block: bytes) -> Envelope:
        """Return the envelope with what the header block says of it. :param names: of the fields in it, lower case."""
        envelope = self.envelope
        assert envelope is not None
        options = by_header(envelope.options, names, block)
        notices = notices_owed(names, block, envelope.reverse_path)
        if (options, notices) != (envelope.options, envelope.notices):
            self.envelope = envelope = replace(envelope, options=options, notices=notices)
        return envelope

    @property
    def options(self) -> MailOptions:
        """What MAIL asked for and, once it has come, the header."""
        return self.mail.options if self.envelope is None else self.envelope.options

    def seen(self, is_ascii: bool) -> Envelope:
        """Return the envelope with what the content turned out to be, whatever was declared: relays go by it."""
        envelope = self.envelope
        assert envelope is not None
        options = envelope.options
        utf8 = options.smtputf8 and not (is_ascii and envelope.has_ascii_paths)
        body = "7BIT" if is_ascii else "8BITMIME"
        if (body, utf8) == (options.body, options.smtputf8):
            return envelope
        return replace(envelope, options=replace(options, body=body, smtputf8=utf8))

    def about(self, origin: Origin) -> dict[str, str]:
        """Return fields of events that say which message of whom that is."""
        return {
            "session": origin.session,
            "envelope": self.id,
            "peer": origin.peer,
            "helo": origin.helo,
            "sender": self.sender,
        }

    def abort(self) -> None:
        """Keep nothing."""
        if self.intake is not None:
            self.intake.abort()
        give_back, self.give_back = self.give_back, None
        if give_back is not None:
            give_back(self.counted)


def protocol_keyword(lmtp: bool, extended: bool, secure: bool, authenticated: bool, utf8: bool) -> str:
    """Return the protocol name for Received (RFC 3848, RFC 6531 4.3)."""
    if not (extended or lmtp):
        return "SMTP"
    base = "LMTP" if lmtp else "SMTP" if utf8 else "ESMTP"
    return f"{'UTF8' if utf8 else ''}{base}{'S' if secure else ''}{'A' if authenticated else ''}"
