"""Clients from anywhere in the world, as a relay on this machine presents them by XCLIENT."""

from __future__ import annotations

import imaplib
import smtplib
from email import message_from_bytes
from email.message import Message

from servers import PASSWORD, MailNode

from tests.free_ports import free_port


class Strangers:
    """A listener that takes XCLIENT; ``extra`` goes into the configuration of the server that has it."""

    def __init__(self) -> None:
        self.port = free_port()
        self.extra = (
            f'[[listener]]\nprotocol = "smtp"\ntls = "none"\nendpoint = "tcp:{self.port}:interface=127.0.0.1"\n'
            'xclient_from = ["127.0.0.1"]\n'
        )

    def connect(self) -> smtplib.SMTP:
        """Return a connection of the relay."""
        client = smtplib.SMTP("127.0.0.1", self.port, timeout=60)
        client.ehlo("relay.test")
        return client


def become(client: smtplib.SMTP, address: str, helo: str) -> int:
    """Speak for another client from now on; return the code of the reply to its EHLO."""
    literal = f"IPV6:{address}" if ":" in address else address
    code, text = client.docmd("XCLIENT", f"ADDR={literal}")
    assert code == 220, text
    return client.docmd("EHLO", helo)[0]


def inbox(node: MailNode, user: str, mailbox: str = "INBOX") -> list[Message]:
    """Return all messages of a mailbox, header alone."""
    with imaplib.IMAP4_SSL(node.address, node.ports["imaps"], timeout=30) as client:
        client.login(user, PASSWORD)
        client.select(mailbox, readonly=True)
        _, data = client.fetch("1:*", "(BODY.PEEK[HEADER])")
    return [message_from_bytes(one[1]) for one in data if isinstance(one, tuple)]
