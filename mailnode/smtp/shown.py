"""What of refusals those may see whose mail it was."""

from __future__ import annotations

from mailnode.smtp.transaction import MailTransaction
from mailnode.smtp.wire.replies import Rejected
from mailnode.values.address import Address
from mailnode.values.envelope import Origin
from mailnode.values.refused import RefusedMail

_STAGES = ("rcpt", "data", "end")  # where policies refuse a message whose recipients are known


def refused_mail(
    transaction: MailTransaction, error: Exception, origin: Origin, recipient: Address | None = None
) -> RefusedMail | None:
    """Return what can be shown of a message, None where no policy refused it for good. :param recipient: to whom alone."""
    if not isinstance(error, Rejected) or error.stage not in _STAGES or error.reply.code < 500:
        return None
    recipients = [one.address for one in transaction.recipients] if recipient is None else [recipient]
    header = transaction.intake.header if transaction.intake is not None and error.stage == "end" else b""
    status = f"{error.reply.status} " if error.reply.status else ""
    return RefusedMail(
        transaction.id,
        transaction.sender,
        tuple(recipients),
        origin.peer,
        origin.helo,
        f"{error.reply.code} {status}{error.reply.text}",
        f"{error.policy}: {error.why}" if error.policy else error.why,
        header,
    )
