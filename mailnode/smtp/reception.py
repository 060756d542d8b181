"""Mail from other servers (MX, port 25): policies at every stage, the router at RCPT, no relaying but for ``relay_from``."""

from __future__ import annotations

from mailnode.smtp.session import SmtpSession
from mailnode.smtp.transaction import MailTransaction
from mailnode.smtp.wire import replies
from mailnode.smtp.wire.replies import Rejected


class Reception(SmtpSession):
    """A session with another mail server."""

    def _may_relay(self) -> bool:
        return self._trusted

    def _check_recipient(self, transaction: MailTransaction) -> None:
        """A bounce goes to one address; what sends the null sender to many is no mail server (4yz: the rest may come in
        further transactions)."""
        limit = self._service.limits.null_sender_recipients
        if transaction.mail.reverse_path is None and len(transaction.recipients) >= limit:
            raise Rejected(replies.ONE_BOUNCE)
