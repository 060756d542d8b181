"""One message on its way to a server: the commands of its transaction, and what was answered so far."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mailnode.smtp.extensions import smtputf8, table
from mailnode.smtp.wire.offers import Offers
from mailnode.values.dots import DotStuffer
from mailnode.values.envelope import MailOptions, RcptOptions
from mailnode.values.smtp_reply import Reply


class ClientTransaction:
    """What is asked for and what was answered so far."""

    def __init__(
        self, offers: Offers, reverse_path: str, recipients: Sequence[tuple[str, RcptOptions]], options: MailOptions
    ) -> None:
        """What the server lacks an extension for has a reply of our own at once; ``rcpts`` are the others.

        :raises ValueError: no recipients, or an address with control characters."""
        if not recipients:
            raise ValueError("no recipients")
        self.rcpts: list[tuple[int, bytes]] = []  # (index of the recipient, command)
        self.replies: list[Reply | None] = [None] * len(recipients)
        self.ours: list[int] = []  # of the replies that are our own
        self.accepted: list[int] = []
        self.mail_reply: Reply | None = None
        self.stuffer = DotStuffer()
        self.ends = 0  # LMTP: end-of-data replies that came
        path, needs_utf8 = smtputf8.write_path(offers, reverse_path)
        if needs_utf8 and not options.smtputf8:
            options = replace(options, smtputf8=True)
        refusal = table.lacking(offers, options)
        for index, (address, asked) in enumerate(recipients):
            to, needs_utf8 = smtputf8.write_path(offers, address)
            if refusal is not None or (needs_utf8 and "SMTPUTF8" not in offers):
                self.replies[index] = refusal or smtputf8.LACKING
                self.ours.append(index)
                continue
            if needs_utf8 and not options.smtputf8:
                options = replace(options, smtputf8=True)
            self.rcpts.append((index, b"RCPT TO:" + to + table.rcpt_words(offers, asked)))
        self.mail = b"MAIL FROM:" + path + table.mail_words(offers, options)

    @property
    def settled(self) -> bool:
        """Whether every recipient has its final reply."""
        return all(reply is not None for reply in self.replies)

    def settle(self, reply: Reply) -> None:
        """Give the reply to all recipients that have none."""
        self.replies = [reply if known is None else known for known in self.replies]

    def outcome(self) -> tuple[Reply, ...]:
        """All replies, once every recipient has one."""
        return tuple(reply for reply in self.replies if reply is not None)
