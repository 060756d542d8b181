"""Mail from our users (587 and 465, RFC 6409): AUTH under TLS first; the account must own what it sends as."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import cast

from mailnode.errors import BadAddress, DomainError
from mailnode.interfaces.delivery import ISignature
from mailnode.interfaces.sessions import ILogins, ISaslExchange, ISubmitter
from mailnode.interfaces.wire import IChannel
from mailnode.message.authors import Answering, UnclearAuthor, answering
from mailnode.message.compose import date_field, message_id, message_id_field
from mailnode.message.headers import remove
from mailnode.smtp.intake import PIECE, Intake
from mailnode.smtp.pace import Phase
from mailnode.smtp.service import Service
from mailnode.smtp.session import SmtpSession
from mailnode.smtp.transaction import MailTransaction
from mailnode.smtp.wire import events as ev
from mailnode.smtp.wire import replies
from mailnode.smtp.wire.replies import Rejected, login_reply, reason_of
from mailnode.smtp.wire.server import ServerConnection
from mailnode.values.address import Address
from mailnode.values.client_names import NO_NAMES, ClientNames
from mailnode.values.envelope import Envelope
from mailnode.values.smtp_reply import Reply

_DROPPED = frozenset({b"bcc", b"resent-bcc"})  # for the sender's program alone (RFC 5322 3.6.3)


class Submission(SmtpSession):
    """A session with a user's mail program."""

    protocol = "submission"

    def __init__(self, channel: IChannel, connection: ServerConnection, service: Service) -> None:
        super().__init__(channel, connection, service)
        self._logins = cast(ILogins, service.logins)
        self._exchange: ISaslExchange | None = None
        self._relayed = False  # TLS, if any, is a relay's
        self._signature: ISignature | None = None  # of the message that is coming in
        self._signing: list[str] = []  # domains that may sign it
        self._steps |= {
            ev.AuthStart: self._on_auth_start,
            ev.AuthResponse: self._on_auth_response,
            ev.AuthCancelled: self._on_auth_cancelled,
        }

    def _account_id(self) -> str:
        return str(self.login.account.id) if self.login is not None else ""

    def _account(self) -> str:
        return str(self.login.account.address) if self.login is not None else ""

    def _place(self, peer: str) -> None:
        super()._place(peer)
        self._asking.silent = False

    def _may_relay(self) -> bool:
        return True

    def _is_known(self) -> bool:
        return True

    def _highest_priority(self) -> int:
        return self._service.highest_priority

    async def _on_helo(self, event: ev.Helo) -> None:
        self._connection.mechanisms = self._logins.mechanisms(self, self._connection.may_authenticate)
        await super()._on_helo(event)

    def tls_bindings(self) -> Mapping[str, bytes]:
        """None of a relay's, which has spoken for others."""
        return super().tls_bindings() if not self._relayed else {}

    def certificate_names(self) -> ClientNames:
        """None of a relay's, which has spoken for others."""
        return super().certificate_names() if not self._relayed else NO_NAMES

    async def _on_xclient(self, event: ev.Xclient) -> None:
        self.log_out()
        self._relayed = True
        await super()._on_xclient(event)

    def end(self, reason: str) -> None:
        """Who may no longer use the account has no further message taken, the one that is coming in included."""
        if self._transaction is not None and self._transaction.problem is None:
            self._transaction.problem = Rejected(replies.NOT_LOGGED_IN_ANY_MORE)
        super().end(reason)

    # AUTH

    async def _on_auth_start(self, event: ev.AuthStart) -> None:
        self._exchange = self._logins.exchange(event.mechanism, ISubmitter, self)
        await self._step(event.initial)

    async def _on_auth_response(self, event: ev.AuthResponse) -> None:
        await self._step(event.data)

    async def _on_auth_cancelled(self, event: ev.AuthCancelled) -> None:
        self._exchange = None
        self._refuse_command(event.reply, "AUTH")

    async def _step(self, response: bytes | None) -> None:
        exchange = self._exchange
        assert exchange is not None
        try:
            challenge = await exchange.step(response)
        except Exception as error:
            self._exchange = None
            if not isinstance(error, DomainError):  # those were logged by who raised them
                self.log_trouble(reason_of(error))
            self._say(login_reply(error))
            return
        if challenge is not None:
            self.write(self._connection.challenge(challenge))
            return
        self._exchange = None
        self.login = exchange.login
        self.channel.set_deadline(None)
        self._pace.began(Phase.START, self._steady.seconds())
        self._say(replies.LOGGED_IN)

    # What the account may send

    async def _may_send_as(self, address: Address) -> bool:
        assert self.login is not None
        try:
            return bool(await self.login.avatar.may_send_as(address))
        except BadAddress:
            return False

    async def _check_sender(self, mail: ev.Mail) -> None:
        if mail.reverse_path is not None and not await self._may_send_as(mail.reverse_path):
            raise Rejected(replies.NOT_OWNER)

    async def _admit_recipient(self, transaction: MailTransaction, recipient: Address) -> None:
        sending, account_id = self._service.sending, self._account_id()
        if sending is not None:
            admitted = await sending.admit(account_id, recipient.key, not transaction.recipients)
            transaction.counted = transaction.counted.plus(admitted.counted)
            transaction.held = transaction.held or admitted.held
            transaction.give_back = partial(sending.give_back, account_id)

    async def _take_message(self, transaction: MailTransaction) -> Reply:
        reply = await super()._take_message(transaction)
        transaction.give_back = None
        if self._service.sending is not None:
            taken = [one.address for one in transaction.recipients if one.address not in transaction.refusals]
            self._service.sending.sent(self._account_id(), [address.key for address in taken])
        return reply

    async def _edit_fields(self, block: bytes, names: frozenset[bytes], envelope: Envelope) -> bytes:
        """Check the authors, drop what is not for others to see, add what is missing (RFC 6409 8)."""
        await self._begin_signature(await self._check_authors(block))
        if names & _DROPPED:
            block = remove(block, _DROPPED)
        if b"date" not in names:
            block = date_field(envelope.received_at) + block
        if b"message-id" not in names:
            block = message_id_field(message_id(envelope.id, self._service.hostname)) + block
        return block

    async def _begin_signature(self, authors: list[Answering]) -> None:
        """Let the body be hashed as it comes when the domain of the author signs. What is sent on under somebody else's From
        is not signed: whose that is nobody has checked."""
        self._signature = None
        signer, transaction = self._service.signer, self._transaction
        senders = [address.domain_key for field in authors if field.field == "From" for address in field.addresses]
        if signer is None or not senders or transaction is None or transaction.intake is None:
            return
        self._signing = senders
        self._signature = await signer.begin(senders)
        if self._signature is not None:
            transaction.intake.on_body = self._signature.update

    async def _signed(self, envelope: Envelope, intake: Intake) -> Envelope:
        if self._signature is None:
            return envelope
        if self._transaction is not None and self._transaction.is_binary:
            await self._hash_anew(intake)
        fields = b"" if self._signature is None else await self._signature.fields(envelope.id, intake.header)
        return replace(envelope, trace=fields + envelope.trace)

    async def _hash_anew(self, intake: Intake) -> None:
        """Let the signature be of what the message has become."""
        assert self._service.signer is not None
        self._signature = await self._service.signer.begin(self._signing)
        offset = len(intake.header)
        while self._signature is not None and (piece := await intake.writer.read(offset, PIECE)):
            self._signature.update(piece)
            offset += len(piece)

    async def _check_authors(self, block: bytes) -> list[Answering]:
        """Return who answers for the message.

        :raises Rejected: the account does not own who answers for it, or that is not clear."""
        try:
            found = answering(block)
        except UnclearAuthor as error:
            raise Rejected(replies.unclear_author(str(error))) from None
        if not found:
            raise Rejected(replies.NO_AUTHOR)
        for field in found:
            for address in field.addresses:
                if not await self._may_send_as(address):
                    raise Rejected(replies.not_author(field.field))
        return found
