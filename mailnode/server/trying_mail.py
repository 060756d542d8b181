"""Sends and reads a message with the standard library's clients, which nobody here wrote: for the round trip of setup. Blocks."""

from __future__ import annotations

import imaplib
import smtplib
import ssl
from collections.abc import Iterator, Sequence
from contextlib import suppress

from mailnode.interfaces.setup import MessageOffered

TIMEOUT = 30.0  # seconds for one step
HERE = "127.0.0.1"
MAX_FOUND = 5  # messages of a mailbox that are looked at
MAX_MESSAGE = 262_144  # octets of one
MAX_REPLY = 300  # characters of a reply that are shown
MAILBOXES = ("INBOX", "Junk")


class MailAtHand:
    """See :class:`mailnode.interfaces.setup.MailTrials`."""

    def offer(self, address: str, greeting: str, sender: str, recipient: str, message: bytes) -> MessageOffered:
        """See MailTrials."""
        try:
            with smtplib.SMTP(address, 25, local_hostname=greeting, timeout=TIMEOUT) as link:
                link.ehlo()
                if link.has_extn("starttls"):
                    link.starttls(context=_unchecked())
                    link.ehlo()  # RFC 3207 4.2
                return _sent(link, sender, recipient, message)
        except (OSError, smtplib.SMTPException, ssl.SSLError) as error:
            return MessageOffered(False, _words(error))

    def submit(self, login: tuple[str, str], port: int, sender: str, recipient: str, message: bytes) -> MessageOffered:
        """See MailTrials."""
        try:
            with smtplib.SMTP_SSL(HERE, port, timeout=TIMEOUT, context=_unchecked()) as link:
                link.login(*login)
                return _sent(link, sender, recipient, message)
        except (OSError, smtplib.SMTPException, ssl.SSLError) as error:
            return MessageOffered(False, _words(error))

    def find(self, login: tuple[str, str], port: int, words: str) -> Sequence[bytes]:
        """See MailTrials."""
        found: list[bytes] = []
        with (
            suppress(OSError, imaplib.IMAP4.error, ssl.SSLError),
            imaplib.IMAP4_SSL(HERE, port, ssl_context=_unchecked(), timeout=TIMEOUT) as link,
        ):
            link.login(*login)
            for mailbox in MAILBOXES:
                found += _in_mailbox(link, mailbox, words)
        return found


def _in_mailbox(link: imaplib.IMAP4_SSL, mailbox: str, words: str) -> Iterator[bytes]:
    state, _ = link.select(mailbox, readonly=True)
    if state != "OK":
        return
    state, answer = link.uid("SEARCH", "TEXT", f'"{words}"')
    numbers = (answer[0] or b"").split() if state == "OK" and answer else []
    for number in numbers[-MAX_FOUND:]:
        state, parts = link.uid("FETCH", number.decode("ascii"), f"(BODY.PEEK[]<0.{MAX_MESSAGE}>)")
        yield from (part[1] for part in parts if isinstance(part, tuple))


def _sent(link: smtplib.SMTP, sender: str, recipient: str, message: bytes) -> MessageOffered:
    for code, reply in (_step(link, "mail", sender), _step(link, "rcpt", recipient)):
        if code >= 300:
            return MessageOffered(False, _reply(code, reply))
    code, reply = link.data(message)
    return MessageOffered(code < 300, _reply(code, reply))


def _step(link: smtplib.SMTP, command: str, address: str) -> tuple[int, bytes]:
    return link.mail(address) if command == "mail" else link.rcpt(address)


def _reply(code: int, reply: bytes) -> str:
    text = " ".join(reply.decode("utf-8", "replace").split())
    return "".join(sign if sign.isprintable() else "?" for sign in f"{code} {text}")[:MAX_REPLY]


def _words(error: Exception) -> str:
    if isinstance(error, smtplib.SMTPResponseException):
        said = error.smtp_error if isinstance(error.smtp_error, bytes) else str(error.smtp_error).encode()
        return _reply(error.smtp_code, said)
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    if isinstance(error, ssl.SSLError):
        return "TLS failed"
    if isinstance(error, smtplib.SMTPException):
        return "the connection was closed"
    return "no connection"


def _unchecked() -> ssl.SSLContext:
    """Return what takes any certificate: these connections lead to this machine, or look whether they do."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
