"""Mail from other servers (MX, port 25): policies at every stage, the router at RCPT, no relaying but for ``relay_from``."""

from __future__ import annotations

from mailnode.smtp.session import SmtpSession
from mailnode.smtp.transaction import MailTransaction
from mailnode.smtp.wire import replies
from mailnode.smtp.wire.events import Mail
from mailnode.smtp.wire.replies import Rejected, reply_to
from mailnode.values.address import Address


class Reception(SmtpSession):
    """A session with another mail server."""

    def _may_relay(self) -> bool:
        return self._trusted

    async def _check_sender(self, mail: Mail) -> None:
        if not self._newcomer.adds("messages"):
            raise Rejected(replies.TOO_MANY_MESSAGES)

    def _refuse_recipient(self, transaction: MailTransaction, recipient: Address, error: Exception) -> None:
        super()._refuse_recipient(transaction, recipient, error)
        if reply_to(error).code >= 500:
            self._newcomer.adds("refused_recipients")

    def _check_recipient(self, transaction: MailTransaction) -> None:
        """A bounce goes to one address; what sends the null sender to many is no mail server (4yz: the rest may come in
        further transactions). Who has tried many that there are not learns of no further ones."""
        if self._newcomer.is_full("refused_recipients"):
            raise Rejected(replies.TOO_MANY_REFUSED)
        if not self._newcomer.adds("recipients"):
            raise Rejected(replies.TOO_MANY_RECIPIENTS)
        limit = self._service.limits.null_sender_recipients
        if transaction.mail.reverse_path is None and len(transaction.recipients) >= limit:
            raise Rejected(replies.ONE_BOUNCE)
