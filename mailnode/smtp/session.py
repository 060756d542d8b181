"""What reception, submission and LMTP have in common: one session that answers a server connection's events.

Replies of a pipelined group leave in one write. A message goes through an :class:`Intake`, at its end to
:class:`EndOfData`: only when it is durable 250 is said. On any failure nothing is kept.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from twisted.internet.defer import ensureDeferred

from mailnode.dialog.session import Session, Why
from mailnode.interfaces.log import EventLog
from mailnode.interfaces.pause import pause
from mailnode.interfaces.runtime import IDelayed
from mailnode.interfaces.wire import IChannel
from mailnode.message.compose import received
from mailnode.message.headers import field_names, insert_on_top
from mailnode.message.verifying import SIGNED_NAMES
from mailnode.smtp.asking import NOTHING_MORE, About, Asker, Asking
from mailnode.smtp.end_of_data import EndOfData
from mailnode.smtp.extensions.table import admitted, for_strangers, received_clauses
from mailnode.smtp.intake import Intake
from mailnode.smtp.pace import Pace, Phase
from mailnode.smtp.refusals import RefusalLog
from mailnode.smtp.service import Service
from mailnode.smtp.shown import refused_mail
from mailnode.smtp.strangers import Newcomer
from mailnode.smtp.trace import without_forged
from mailnode.smtp.transaction import MailTransaction, protocol_keyword
from mailnode.smtp.wire import events as ev
from mailnode.smtp.wire import replies
from mailnode.smtp.wire.replies import Rejected, about, rejection, reply_to
from mailnode.smtp.wire.server import ServerConnection
from mailnode.values.address import Address
from mailnode.values.envelope import PLAIN_MAIL, PLAIN_RCPT, Envelope, Origin
from mailnode.values.ids import new_id
from mailnode.values.networks import is_loopback, within
from mailnode.values.policy import PASS, Verdict
from mailnode.values.smtp_reply import Reply

_log = EventLog()

WATCH_SECONDS = 30.0  # between looks at clients that send, but too slowly
MAX_JOINED = 100  # replies that wait to leave in one write
HIGHEST_PRIORITY = 9  # there is
SLOW_SECONDS = 1.0  # a client that makes many mistakes waits that long for each reply

_LAST_WORDS = {
    Why.TIMEOUT: replies.TIMED_OUT,
    Why.SHUTDOWN: replies.SHUTTING_DOWN,
    Why.ACCOUNT: replies.LOGGED_OUT,
    Why.TROUBLE: replies.TROUBLE_CLOSING,
}


class SmtpSession(Session[ev.Event]):
    """One session. Subclasses say who may send what to whom."""

    protocol = "smtp"
    lmtp = False

    def __init__(self, channel: IChannel, connection: ServerConnection, service: Service) -> None:
        super().__init__(channel)
        self._connection = connection
        self._service = service
        self._steady = service.steady
        self._asking = Asking(service.policies)
        self._judged = service.policies.judges("end", False)  # else nobody has a say at any stage
        self._newcomer = Newcomer(service.strangers, service.rates)
        self._place(channel.peer)
        self._helo = ""
        self._refusals = RefusalLog(channel.session, self.protocol)
        self._transaction: MailTransaction | None = None
        self._pace = Pace(service.timeouts, self._steady.seconds())
        self._watch: IDelayed | None = None
        self._end_of_data = EndOfData(channel, service, self._asks, self._ask, self._signed)
        # Each takes the events of the type beside it.
        self._steps: dict[type, Callable[[Any], Awaitable[None]]] = {
            ev.Helo: self._on_helo,
            ev.Mail: self._on_mail,
            ev.Rcpt: self._on_rcpt,
            ev.DataStart: self._on_data_start,
            ev.Content: self._on_content,
            ev.Rset: self._on_rset,
            ev.Noop: self._on_noop,
            ev.Vrfy: self._on_vrfy,
            ev.Help: self._on_help,
            ev.Quit: self._on_quit,
            ev.StartTls: self._on_start_tls,
            ev.Refusal: self._on_refusal,
            ev.HangUp: self._on_hang_up,
            ev.Xclient: self._on_xclient,
        }

    # What ``dialog`` asks

    async def greet(self) -> None:
        """Greet, unless a policy has something against this client, or it does not wait for that."""
        began = self._steady.seconds()
        self.channel.set_timeout(self._service.timeouts.command)
        if await self._is_turned_away():
            return
        wait = self._service.greet_pause + began - self._steady.seconds()
        if wait > 0 and self._newcomer.is_unknown:
            await pause(self._service.clock, wait)
        self.ensure_there()
        if self._connection.spoke_first and not self._asking.silent and not self._is_known():
            self._close_with(replies.SPOKE_FIRST, "spoke before the greeting")
            return
        self._pace.began(Phase.START, self._steady.seconds())
        self._watch = self._service.clock.callLater(WATCH_SECONDS, self._look)
        self.write(self._connection.send(self._greeting()))

    async def _is_turned_away(self) -> bool:
        """Whether a client that connects, or is spoken for from now on, was sent away."""
        if not self._newcomer.adds("connections"):
            self._close_with(replies.TOO_MANY_CONNECTIONS, "too many connections in a minute")
            return True
        refusal = rejection(await self._ask("connect"), "connect", 554) if self._asks("connect") else None
        if refusal is not None:
            reply = refusal.reply
            closing = Reply(421, reply.status, reply.lines) if reply.code < 500 else reply
            self._close_with(closing, _by_policy(refusal))
        return refusal is not None

    async def answer(self, event: ev.Event) -> None:
        """Answer one event."""
        began = self._steady.seconds()
        try:
            if self._connection.errors and self._connection.slow and not isinstance(event, ev.Content):
                await pause(self._service.clock, SLOW_SECONDS)
                self.ensure_there()
            await self._steps[type(event)](event)
        finally:
            self._pace.since += self._steady.seconds() - began

    def last_words(self, why: Why) -> bytes:
        """A 421 (RFC 5321 3.8), unless the last reply was the end."""
        reply = _LAST_WORDS.get(why)
        words = self._connection.send(reply) if reply is not None else b""
        self._connection.close()
        return words

    def may_end_now(self) -> bool:
        """A message under way is finished first: no reply can be said before its end."""
        return not self._connection.in_content

    def has_more(self) -> bool:
        """Replies to what was sent in one go leave in one go."""
        return self._connection.more and len(self._out) < MAX_JOINED

    def about(self) -> dict[str, str]:
        """What the client calls itself."""
        return {"helo": self._helo}

    def give_back(self) -> None:
        """Drop the transaction."""
        if self._watch is not None and self._watch.active():
            self._watch.cancel()
        self._forget()
        del self._steps, self._end_of_data  # bound methods: cycles that Python would have to look for
        if self._service.policies.hears_sessions:
            ensureDeferred(self._tell_policies())

    async def _tell_policies(self) -> None:
        """Say that nothing is asked any more, once what still runs has come to its end."""
        await self._turn.take()
        try:
            self._service.policies.session_ended(self.session)
        finally:
            self._turn.give()

    # Ends

    def _close_with(self, reply: Reply, reason: str = "") -> None:
        self._say(reply)
        self.leave(reason)

    def _forget(self) -> None:
        """Drop the transaction."""
        transaction, self._transaction = self._transaction, None
        if transaction is not None:
            self._pace.gave_up(self._connection.content_size)
            if transaction.judged.refused is not None and not transaction.recipients:
                transaction.judged.tell_refused(transaction.about(self._origin()), transaction.judged.refused)
            transaction.abort()

    def _look(self) -> None:
        """End a client that sends, but too slowly; silence is the channel's matter."""
        slow = self._pace.too_slow(self._steady.seconds(), self._connection.content_size)
        if slow and not self.busy:
            self.timed_out()
        else:
            self._watch = self._service.clock.callLater(WATCH_SECONDS, self._look)

    def _say(self, reply: Reply) -> None:
        self._out.append(self._connection.send(reply))

    # Who it is

    def _greeting(self) -> Reply:
        return Reply(220, "", (f"{self._service.hostname} {'LMTP' if self.lmtp else 'ESMTP'} mailnode",))

    def _origin(self) -> Origin:
        connection = self._connection
        utf8 = self._transaction is not None and self._transaction.mail.options.smtputf8
        keyword = protocol_keyword(self.lmtp, connection.extended, self.channel.secure, connection.authenticated, utf8)
        account_id, account = self._account_id(), self._account()
        return Origin(self.session, keyword, self.peer, self._helo, self.channel.tls, account_id, account)

    def _account_id(self) -> str:
        return ""

    def _account(self) -> str:
        """The primary address of the account that has logged in."""
        return ""

    def _place(self, peer: str) -> None:
        """The client's address is known: so are its rights."""
        self.peer = peer
        self._asking.silent = within(peer, self._service.no_policy_for)
        self._trusted = within(peer, self._service.relay_from)
        of_ours = self._is_known() or self._asking.silent or is_loopback(peer) or within(peer, self._service.spokesmen)
        self._newcomer.comes("" if of_ours else peer)

    def _asks(self, stage: str) -> bool:
        """Whether any policy has a say at a stage; else nothing is put together for a question."""
        return self._judged and not self._asking.silent and self._service.policies.judges(stage, self._is_known())

    async def _ask(self, stage: str, about: About = NOTHING_MORE) -> Verdict:
        """Ask the policies of a stage; what they say of the client goes with every message."""
        client = Asker(self._origin(), self.protocol == "submission", self._is_known())
        return await self._asking.ask(stage, client, self._transaction, about)

    # Commands

    async def _on_helo(self, event: ev.Helo) -> None:
        before, self._helo = self._helo, event.name
        refusal = rejection(await self._ask("helo"), "helo") if self._asks("helo") else None
        if refusal is not None:
            self._refuse_command(refusal.reply, "EHLO" if event.extended else "HELO", **refusal.about)
            self._helo = before
            return
        self._forget()
        self.channel.set_timeout(self._service.timeouts.command)
        self._connection.known = self._is_known()
        self._say(self._connection.hello_reply(self._service.hostname))

    async def _on_mail(self, event: ev.Mail) -> None:
        less = None
        if event.options is not PLAIN_MAIL:
            options, less = admitted(event.options, self._highest_priority())
            event = replace(event, options=options)
        answers_each = self.lmtp or event.options.prdr
        transaction = MailTransaction(new_id(self._service.clock.seconds()), event, answers_each)
        self._asking.tell(transaction)
        try:
            await self._check_sender(event)
            if self._asks("mail"):
                verdict = await self._ask("mail", About(event, size=event.options.size))
                transaction.heed(verdict, "mail")
                transaction.note(verdict)
        except Exception as error:
            self._refuse_message(transaction, error)
            return
        self._forget()
        self._transaction = transaction
        self._pace.began(Phase.ENVELOPE, self._steady.seconds())
        self._say(less or replies.SENDER_OK)

    async def _on_rcpt(self, event: ev.Rcpt) -> None:
        transaction = self._transaction
        assert transaction is not None
        recipient = event.recipient
        if recipient.options is not PLAIN_RCPT and not self._is_known():
            recipient = replace(recipient, options=for_strangers(recipient.options))
        address = recipient.address
        try:
            self._check_recipient(transaction)
            verdict = PASS
            if self._asks("rcpt"):
                verdict = await self._ask(
                    "rcpt", About(transaction.mail, recipient, size=transaction.mail.options.size)
                )
                transaction.heed(verdict, "rcpt")
            if address not in transaction.routes:
                route = await self._service.router.resolve(
                    address,
                    self._may_relay(),
                    transaction.mail.options.size,
                    null_sender=transaction.mail.reverse_path is None,
                )
                await self._admit_recipient(transaction, address)
                transaction.routes[address] = route
                transaction.recipients.append(recipient)
                transaction.note(
                    verdict, address
                )  # once, or who names a recipient again and again adds to its own score
        except Exception as error:
            self._refuse_recipient(transaction, address, error)
            return
        transaction.accepted.append(address)
        self._say(replies.RECIPIENT_OK)

    async def _on_data_start(self, event: ev.DataStart) -> None:
        transaction = self._transaction
        assert transaction is not None
        try:
            await self._begin_content()
        except Exception as error:
            self._refuse_message(transaction, error)
            return
        self._say(replies.GO_ON)

    async def _on_rset(self, event: ev.Rset) -> None:
        self._forget()
        self._say(replies.OK)

    async def _on_noop(self, event: ev.Noop) -> None:
        self._say(replies.OK)

    async def _on_vrfy(self, event: ev.Vrfy) -> None:
        self._say(replies.CANNOT_VERIFY)

    async def _on_help(self, event: ev.Help) -> None:
        self._say(replies.LMTP_HELP if self.lmtp else replies.HELP)

    async def _on_quit(self, event: ev.Quit) -> None:
        self._close_with(replies.BYE)

    async def _on_start_tls(self, event: ev.StartTls) -> None:
        self._forget()
        self._asking.forget("helo")
        self._helo = ""
        self._say(replies.START_TLS)
        self.flush()
        self.channel.start_tls()

    async def _on_refusal(self, event: ev.Refusal) -> None:
        self._refuse_command(event.reply, event.verb, event.said)

    async def _on_hang_up(self, event: ev.HangUp) -> None:
        self._close_with(event.reply, event.reply.text)

    async def _on_xclient(self, event: ev.Xclient) -> None:
        """A relay tells for whom it speaks (Postfix XCLIENT_README): policies and networks see that client from now on."""
        if event.address is not None:
            self._place(event.address)  # one that is unknown has the rights of nobody
        self._forget()
        self._asking.forget("connect", "helo")
        self._helo = event.name or ""
        if not await self._is_turned_away():
            self._say(self._greeting())

    # Content

    async def _begin_content(self) -> None:
        """Open the intake. What it raises later is told at the end of the message. :raises Rejected: by policy."""
        transaction = self._transaction
        assert transaction is not None
        verdict = PASS
        if self._asks("data"):
            verdict = await self._ask("data", About(transaction.mail, size=transaction.mail.options.size))
            transaction.heed(verdict, "data")
        # First, for it may fail, and then the client may try again: what was found is to be noted once.
        writer = self._service.delivery.writer(self._service.limits.message_size)
        if verdict is not PASS:
            transaction.note(verdict)
        transaction.begin(self._origin(), self._service.clock.seconds())
        transaction.intake = Intake(writer, self._edit_header, self._service.limits.header_size)
        self._pace.began(Phase.CONTENT, self._steady.seconds())
        self.channel.set_timeout(self._service.timeouts.data)

    async def _on_content(self, event: ev.Content) -> None:
        transaction = self._transaction
        assert transaction is not None
        if event.data and transaction.problem is None:
            try:
                if transaction.intake is None:
                    await self._begin_content()
                assert transaction.intake is not None
                await transaction.intake.take(event.data)
            except Exception as error:
                transaction.problem = error
                transaction.abort()
        transaction.is_binary = event.binary
        if event.complete:
            if event.fault is not None:
                transaction.problem = Rejected(event.fault)
            await self._content_complete(transaction, event.last)

    async def _content_complete(self, transaction: MailTransaction, last: bool) -> None:
        if not last and transaction.problem is None:
            self._say(replies.CHUNK_OK)
            return
        reply = transaction.refused or await self._outcome(transaction)
        if last:
            self._transaction = None
            self._pace.began(Phase.START, self._steady.seconds())
            self.channel.set_timeout(self._service.timeouts.command)
        self._answer_content(transaction, reply, last)
        self.flush()

    async def _outcome(self, transaction: MailTransaction) -> Reply:
        """Return what is said of a message that is complete, or of one that is refused before."""
        try:
            if transaction.problem is not None:
                raise transaction.problem
            if transaction.intake is None:
                await self._begin_content()
            return await self._take_message(transaction)
        except Exception as error:
            transaction.abort()
            transaction.refused = self._refusal_of(transaction, error)
            return transaction.refused

    def _answer_content(self, transaction: MailTransaction, reply: Reply, last: bool) -> None:
        if last and reply.is_positive and transaction.options.prdr:
            self.write(self._connection.send_each(transaction.replies(reply), reply))
        else:
            self._say(reply)

    async def _take_message(self, transaction: MailTransaction) -> Reply:
        """Judge, then make durable. :raises Exception: whatever it is, nothing was kept."""
        reply = await self._end_of_data.take(transaction)
        self._refusals.taken()
        if not transaction.is_junk:
            self._newcomer.taken()
        for address, refusal in transaction.refusals.items():
            self._log_recipient(transaction, address, refusal)
            self._show(transaction, refusal, address)
        return reply

    async def _edit_header(self, block: bytes) -> bytes:
        """Count hops, take out what only this server may say, and put our trace fields on top."""
        transaction = self._transaction
        assert transaction is not None
        assert transaction.envelope is not None
        names = field_names(block)
        if names.count(b"received") >= self._service.limits.hops:
            raise Rejected(replies.LOOP)
        known = frozenset(names)
        block = without_forged(block, known, self._service.hostname)
        block = await self._edit_fields(block, known, transaction.envelope)
        if not known.isdisjoint(SIGNED_NAMES) and self._asks("end"):
            assert transaction.intake is not None
            transaction.intake.hash_body(block)
        envelope = transaction.with_header(names, block)
        trace = received(envelope, self._service.hostname, received_clauses(envelope.options))
        return insert_on_top(block, [*transaction.headers, trace])

    # What subclasses say

    async def _edit_fields(self, block: bytes, names: frozenset[bytes], envelope: Envelope) -> bytes:
        """Return the header block with the edits of this kind of service. :raises Rejected:

        :param names: of the fields in it, lower case.
        """
        return block

    async def _signed(self, envelope: Envelope, intake: Intake) -> Envelope:
        """Return the envelope with what is to stand on top of a message that has come and is kept."""
        return envelope

    async def _check_sender(self, mail: ev.Mail) -> None:
        """:raises Rejected: this client may not use this reverse-path."""

    def _check_recipient(self, transaction: MailTransaction) -> None:
        """:raises Rejected: no further recipient."""

    async def _admit_recipient(self, transaction: MailTransaction, recipient: Address) -> None:
        """:raises Refused: this client may not send to a recipient, which there is."""

    def _may_relay(self) -> bool:
        """Whether the client may send to foreign domains."""
        return False

    def _is_known(self) -> bool:
        """Whether the client is a user or a server that answers for what it sends: notices may go where it says."""
        return self._trusted

    def _highest_priority(self) -> int:
        """Up to which priority the client may raise its mail's, 0 to 9."""
        return HIGHEST_PRIORITY if self._trusted else 0

    # Refusals

    def _refuse_recipient(self, transaction: MailTransaction, recipient: Address, error: Exception) -> None:
        if isinstance(error, Rejected):
            transaction.judged.refused = error
        self._log_recipient(transaction, recipient, error)
        self._show(transaction, error, recipient)
        self._say(reply_to(error))

    def _show(self, transaction: MailTransaction, error: Exception, recipient: Address | None = None) -> None:
        """Let those see it whose mail it was."""
        if self._service.rejects is not None and not self._is_known():
            refused = refused_mail(transaction, error, self._origin(), recipient)
            if refused is not None:
                self._service.rejects.note(refused)

    def _log_recipient(self, transaction: MailTransaction, recipient: Address, error: Exception) -> None:
        self._refusals.recipient(reply_to(error), **self._about(transaction, error), recipient=str(recipient))

    def _refuse_message(self, transaction: MailTransaction, error: Exception) -> None:
        self._say(self._refusal_of(transaction, error))

    def _refusal_of(self, transaction: MailTransaction, error: Exception) -> Reply:
        """Return the reply to a refused message, and say so in the log."""
        reply = reply_to(error)
        if isinstance(error, Rejected):
            transaction.judged.tell_refused(transaction.about(self._origin()), error)
            self._show(transaction, error)
        self._refusals.message(reply, **self._about(transaction, error), account=self._account_id())
        return reply

    def _about(self, transaction: MailTransaction, error: Exception) -> dict[str, str]:
        """Return what the log says of whatever is refused in a transaction; it knows the session."""
        fields = {"envelope": transaction.id, "peer": self.peer, "helo": self._helo, "sender": transaction.sender}
        return fields | about(error)

    def _refuse_command(self, reply: Reply, verb: str, said: str = "", **why: str) -> None:
        """Say no to a command, and so in the log. :param said: the argument of MAIL or RCPT. :param why: fields of the event."""
        sender = self._transaction.sender if self._transaction is not None else ""
        fields = {"peer": self.peer, "helo": self._helo, "sender": sender, **why}
        if verb in ("MAIL", "RCPT"):
            fields["sender" if verb == "MAIL" else "recipient"] = said.partition(":")[2].strip(" ") or said
        self._refusals.command(reply, verb, **fields)
        self._say(reply)


def _by_policy(refusal: Rejected) -> str:
    """Return why a session ends, for the log."""
    return f"policy {refusal.policy} at {refusal.stage}: {refusal.why}"
