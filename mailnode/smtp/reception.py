"""Mail from other servers (MX, port 25): policies at every stage, the router at RCPT, no relaying but for ``relay_from``."""

from __future__ import annotations

from mailnode.message.headers import Field, remove
from mailnode.message.parameters import strip_comments
from mailnode.smtp import replies
from mailnode.smtp.replies import Rejected
from mailnode.smtp.session import SmtpSession
from mailnode.smtp.transaction import Transaction
from mailnode.values.envelope import Envelope

_OURS_ALONE = frozenset({b"return-path", b"authentication-results"})


class Reception(SmtpSession):
    """A session with another mail server."""

    def _may_relay(self) -> bool:
        return self._trusted

    def _check_recipient(self, transaction: Transaction) -> None:
        """A bounce goes to one address; what sends the null sender to many is no mail server (4yz: the rest may come in
        further transactions)."""
        limit = self._service.limits.null_sender_recipients
        if transaction.mail.reverse_path is None and len(transaction.recipients) >= limit:
            raise Rejected(replies.ONE_BOUNCE)

    async def _edit_fields(self, block: bytes, names: frozenset[bytes], envelope: Envelope) -> bytes:
        """Return-Path is the final server's to write (RFC 5321 4.4); results under our name are nobody's but ours
        (RFC 8601 5)."""
        return remove(block, _OURS_ALONE, self._is_forged) if names & _OURS_ALONE else block

    def _is_forged(self, field: Field) -> bool:
        if field.is_named(b"Return-Path"):
            return True
        words = strip_comments(field.value).replace(b";", b" ").split()
        return bool(words) and words[0].strip(b'"').lower() == self._service.hostname.lower().encode()
