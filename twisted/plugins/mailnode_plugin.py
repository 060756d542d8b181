"""Tells twistd of ``mailnode``; imports nothing of it until it is chosen."""

from twisted.application.service import ServiceMaker

mailnode = ServiceMaker(
    "mailnode",
    "mailnode.tap",
    "A mail server: SMTP, submission, queue, IMAP and POP3.",
    "mailnode",
)
