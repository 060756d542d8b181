"""LMTP (RFC 2033): mail handed over by a server of ours, with one reply per recipient after the message."""

from __future__ import annotations

from mailnode.smtp.reception import Reception
from mailnode.smtp.session import HIGHEST_PRIORITY
from mailnode.smtp.transaction import MailTransaction
from mailnode.values.smtp_reply import Reply


class LmtpSession(Reception):
    """A session with a server that has accepted the message already. A message is taken for all recipients or none, but for
    those that policies refuse it for."""

    protocol = "lmtp"
    lmtp = True

    def _may_relay(self) -> bool:
        return False

    def _is_known(self) -> bool:
        return True

    def _highest_priority(self) -> int:
        return HIGHEST_PRIORITY

    def _check_recipient(self, transaction: MailTransaction) -> None:
        """The server before us has judged the sender."""

    def _answer_content(self, transaction: MailTransaction, reply: Reply, last: bool) -> None:
        if last:
            self.write(self._connection.send_each(transaction.replies(reply)))
        else:
            self._say(reply)
