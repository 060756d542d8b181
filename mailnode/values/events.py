"""The events of the log: their names and fields, and the one way to emit them.

Every message can be followed by ``envelope`` from the connection (``session``) to a mailbox or a remote reply.
docs/events.rst is checked against this table.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Protocol, TypeAlias

# name -> (what happened, fields in the order of the text form)
EVENTS: dict[str, tuple[str, tuple[str, ...]]] = {
    "server.start": ("the server is up", ("hostname", "data", "version")),
    "server.stop": ("the server ends", ("reason",)),
    "config.trial": ("a configuration is tried out, and put back unless it is confirmed in time", ("version", "until")),
    "config.confirmed": ("the configuration on trial stays", ("version",)),
    "config.rolled_back": (
        "a configuration was not confirmed in time, or could not be started with: the one before is in use",
        ("version", "instead", "needs_restart"),
    ),
    "server.reload": ("the configuration was read again", ("applied", "needs_restart")),
    "search.index_damaged": ("the search index of an account could not be read; it is made anew", ("account",)),
    "search.index_wrong": (
        "a message has not the text that it has by the search index of an account, which is made anew",
        ("account",),
    ),
    "doctor.looked": (
        "everything was looked at that the doctor looks at, by itself; how many things are how",
        ("done", "to_do", "waiting", "failed", "skipped"),
    ),
    "doctor.told": ("a message about what has changed was queued", ("envelope", "to")),
    "doctor.untold": (
        "nobody could be told, or nothing be remembered; it is tried again every few minutes",
        ("envelope", "reason"),
    ),
    "worker.start": ("a further process serves", ("worker", "pid")),
    "worker.ended": (
        "a further process ended; it is replaced, unless the server ends",
        ("worker", "pid", "code", "seconds"),
    ),
    "helper.ended": (
        "a process that reads or searches messages died, or was ended because it stood still; another one does its work, or the"
        " client is asked to try again",
        ("work",),
    ),
    "listener.open": ("a listener accepts connections", ("protocol", "endpoint", "tls")),
    "listener.full": (
        "no connection is taken for want of descriptors, by any listener for mail or any for http; told once a minute",
        ("connections", "reason"),
    ),
    "listener.room": ("connections are taken again", ("connections",)),
    "proxy.refused": ("a connection came from no balancer, or without its header", ("protocol", "peer", "reason")),
    "tls.loaded": ("a certificate was loaded", ("names", "not_after")),
    "tls.kept": ("a broken certificate was refused and the old one kept", ("reason",)),
    "certificate.issued": (
        "a certification authority issued a certificate, which is in use now",
        ("names", "kind", "not_after"),
    ),
    "certificate.failed": (
        "a certificate was not renewed; the one in use stays in use until it expires",
        ("names", "kind", "reason", "expires", "next_try"),
    ),
    "tokens.unavailable": ("the issuer of tokens could not be asked, or shows no key that can be used", ("reason",)),
    "session.open": ("a connection began", ("session", "protocol", "peer", "local")),
    "session.tls": ("TLS is up", ("session", "protocol", "tls")),
    "session.tls_failed": ("a TLS handshake did not come to its end", ("session", "protocol", "peer", "reason")),
    "session.login": ("a login succeeded", ("session", "protocol", "account", "mechanism", "peer")),
    "account.hash_replaced": (
        "another server's hash of a password was replaced by one of ours: its owner has logged in",
        ("account", "scheme"),
    ),
    "session.logout": (
        "a client ended its login, not its connection (IMAP UNAUTHENTICATE)",
        ("session", "protocol", "peer"),
    ),
    "session.client": ("a client named itself (IMAP ID)", ("session", "protocol", "client")),
    "session.refused": ("a login failed", ("session", "protocol", "login", "mechanism", "peer", "reason")),
    "session.error": ("a session met unknown trouble", ("session", "protocol", "error")),
    "session.ended": ("a session was ended by the server", ("session", "protocol", "peer", "helo", "reason")),
    "session.quiet": (
        "so much of a session was refused that the rest is not logged, until a message of it is taken",
        ("session", "protocol", "lines"),
    ),
    "session.close": ("a connection ended", ("session", "protocol", "seconds", "bytes_in", "bytes_out")),
    "connection.refused": (
        "a connection was one too many; told of the 1st, 2nd, 4th, 8th ... since one was taken",
        ("protocol", "peer", "reason", "count"),
    ),
    "client.limited": (
        "a stranger, or it and its neighbours, did more within a minute than they may; told once a minute",
        ("peer", "what", "limit"),
    ),
    "command.refused": (
        "a command was refused as it stood; sender and recipient as the client wrote them",
        (
            "session",
            "protocol",
            "command",
            "peer",
            "helo",
            "sender",
            "recipient",
            "code",
            "status",
            "policy",
            "stage",
            "reason",
        ),
    ),
    "recipient.refused": (
        "RCPT was refused; by which policy, and at which stage, if it was one that did",
        ("session", "envelope", "peer", "helo", "sender", "recipient", "code", "status", "policy", "stage", "reason"),
    ),
    "message.refused": (
        "MAIL, or a message, was refused; by which policy, and at which stage, if it was one that did",
        ("session", "envelope", "peer", "helo", "sender", "account", "code", "status", "policy", "stage", "reason"),
    ),
    "message.judged": (
        "what became of a message by what policies said; each of them with its stage and in short, with ``seconds`` for all",
        (
            "session",
            "envelope",
            "peer",
            "helo",
            "sender",
            "outcome",
            "score",
            "policy",
            "stage",
            "reason",
            "verdicts",
            "seconds",
        ),
    ),
    "message.accepted": (
        "a message is durable and acknowledged",
        (
            "session",
            "envelope",
            "sender",
            "recipients",
            "size",
            "priority",
            "wanted_tls",
            "message_id",
            "peer",
            "helo",
            "account",
        ),
    ),
    "message.signed": ("a message has signatures of its author's domain (DKIM)", ("envelope", "domain", "selectors")),
    "dkim.unsigned": (
        "mail of a domain leaves unsigned: none of its keys signs; told once an hour",
        ("domain",),
    ),
    "dkim.made": (
        "a domain has new keys; those whose state is next sign when DNS has their records",
        ("domain", "selectors", "state"),
    ),
    "dkim.activated": ("keys sign from now on, and others no more", ("domain", "selectors", "retired")),
    "dkim.spent": ("the record of a key that signs no more can be taken out of DNS", ("domain", "selector", "record")),
    "dkim.removed": ("a key was removed: its record is gone from DNS", ("domain", "selector")),
    "dkim.failed": ("a message leaves unsigned: a key of its domain is damaged", ("envelope", "domain", "error")),
    "message.forwarded": (
        "what goes to other servers for a recipient of ours has a reverse-path of ours",
        ("envelope", "recipient", "sender", "rewritten"),
    ),
    "message.sealed": (
        "what goes to other servers for recipients of a domain of ours is sealed (ARC); ``chain``: what it had before",
        ("envelope", "domain", "selector", "chain", "dkim"),
    ),
    "message.unsealed": (
        "what goes to other servers for recipients of a domain of ours goes without a seal (ARC)",
        ("envelope", "domain", "reason"),
    ),
    "message.delivered": (
        "a copy is in a mailbox",
        ("envelope", "recipient", "account", "mailbox", "uid"),
    ),
    "message.discarded": ("a recipient gets no copy, as a policy wants it", ("envelope", "recipient")),
    "message.not_redirected": (
        "a copy could not go where it was redirected to; the recipient has it",
        ("envelope", "recipient", "target", "reason"),
    ),
    "message.appended": ("a client appended a message", ("session", "account", "mailbox", "uid", "size")),
    "sieve.mailbox_ran": (
        "the script of a mailbox ran on a message, because of what somebody did to it",
        ("session", "account", "mailbox", "uid", "cause", "script", "actions"),
    ),
    "sieve.mailbox_failed": (
        "the script of a mailbox failed, or what it says could not be done; what somebody did to the message stands",
        ("session", "account", "mailbox", "uid", "cause", "script", "reason"),
    ),
    "messages.moved_in": ("an import placed messages", ("account", "mailbox", "messages", "size")),
    "account.loud": (
        "an account sends to unusually many recipients; told once a day",
        ("account", "recipients", "busiest", "held"),
    ),
    "message.returned": (
        "a notice that came back as mail says that a recipient of ours does not exist: it counts as a bounce",
        ("envelope", "account", "recipient", "status", "reply"),
    ),
    "account.suppressed": (
        "a recipient bounced again: mail of the account to it is refused for a while",
        ("account", "recipient", "bounces", "until"),
    ),
    "queue.added": ("an envelope is in the queue", ("envelope", "sender", "recipients", "size", "session")),
    "queue.sent": (
        "a recipient's server took the message; ``delay`` is the seconds since we did",
        ("envelope", "recipient", "host", "ip", "tls", "verified", "delay", "reply"),
    ),
    "queue.unencrypted": (
        "TLS with a server failed; what has no rule against it goes there without",
        ("host", "ip", "reason"),
    ),
    "queue.tls_policy": (
        "what DANE or MTA-STS asks of TLS with servers of a domain",
        ("domain", "hosts", "policy", "level", "reason"),
    ),
    "queue.sts_policy": (
        "an MTA-STS policy was fetched, or was not; ``result`` as RFC 8460 4.3 calls what went wrong",
        ("domain", "id", "mode", "max_age", "result", "reason"),
    ),
    "queue.tls_result": (
        "whether a connection was what DANE or MTA-STS asks for; ``result`` as RFC 8460 4.3 calls it",
        ("host", "ip", "policy", "result", "reason"),
    ),
    "queue.tls_downgrade": (
        "a connection to a server of a domain was encrypted worse than at ``since``; told once a day of a domain",
        ("domain", "host", "ip", "was", "now", "since", "reason"),
    ),
    "dns.validation": (
        "whether DNS answers are validated, without which DANE is not used",
        ("servers", "validated", "reason"),
    ),
    "queue.deferred": (
        "a try failed for now",
        ("envelope", "recipient", "host", "ip", "status", "reason", "reply", "next_try"),
    ),
    "queue.unreadable": (
        "a message in the queue cannot be read, and is ``held``; or not, where this machine lacks something, or"
        " ``queue.db`` is damaged where its row stands",
        ("envelope", "held", "error"),
    ),
    "queue.rerouted": (
        "a recipient goes another way from now on, by what its try came to",
        ("envelope", "recipient", "before", "destination"),
    ),
    "queue.failed": (
        "a recipient failed for good",
        ("envelope", "recipient", "host", "ip", "status", "reason", "reply"),
    ),
    "queue.bounced": ("a DSN was made", ("envelope", "bounce", "kind", "recipient")),
    "queue.untold": (
        "a DSN was owed and not made: it would go to a list, or to somebody who may have sent nothing",
        ("envelope", "kind", "sender", "reason"),
    ),
    "queue.dropped": ("an operator dropped an envelope", ("envelope",)),
    "queue.steered": (
        "an operator changed what becomes of recipients",
        ("envelope", "recipients", "destination", "given_up"),
    ),
    "queue.removed": ("an envelope is done", ("envelope",)),
    "sieve.ran": (
        "scripts of an account, and of the server, were run on a message; what they want done, in the words of the language",
        ("envelope", "account", "script", "actions"),
    ),
    "sieve.failed": (
        "a script failed: the message was filed as if it had said nothing, and its owner is told, once for each version of it",
        ("envelope", "account", "script", "line", "reason"),
    ),
    "sieve.logged": ("a script said so (debug_log)", ("session", "envelope", "account", "text")),
    "sieve.not_done": (
        "what a script wants cannot be done, or not for this message",
        ("envelope", "account", "action", "reason"),
    ),
    "web.request": ("a request for a page was answered", ("peer", "method", "path", "code", "size")),
    "policy.list_unfit": (
        "what a list in DNS says is not heeded; told once an hour for each reason",
        ("policy", "zone", "reason"),
    ),
    "policy.failed": ("a policy failed and was passed over or deferred", ("session", "policy", "error")),
    "store.failed": ("the store refused a unit", ("tenancy", "error")),
    "store.full": ("the disk is full: mail is refused, reading and deleting go on", ("path",)),
    "store.room": ("there is room on the disk: the reserve was made, mail is taken", ("path",)),
    "store.recovered": ("the store acknowledges again", ("tenancy",)),
    "store.put_aside": ("a damaged file that may be lost was renamed and made anew", ("file", "aside", "error")),
    "store.account_missing": ("mail waits: an account's partition does not have it, the directory does", ("account",)),
    "store.out_of_service": ("a file is not served; what needs it is told to come back later", ("file", "error")),
    "store.in_service": ("a file that was not served is served again", ("file",)),
    "store.rebuilt": (
        "a damaged file was made anew with so many ``rows``; so many pages and rows were ``lost``; it is kept as ``aside``",
        ("file", "aside", "rows", "lost"),
    ),
    "store.files_missing": ("the directory of large messages was not there and was made anew, empty", ("path",)),
    "store.behind": ("a file is older than what was acknowledged", ("file", "error")),
    "store.damaged": (
        "a blob or a file of the store was found damaged, or a comparison found faults; said once, until it is mended",
        ("name", "error"),
    ),
    "store.row_damaged": ("a message that cannot be read was left out", ("account", "mailbox", "uid")),
    "tls_report.sent": (
        "a report of TLS with the servers of a domain was queued, or taken over https, for one that it names",
        ("domain", "day", "to", "sessions", "failures", "envelope"),
    ),
    "tls_report.failed": (
        "such a report was not taken; it is tried ``again`` then, unless another took it, or given up",
        ("domain", "day", "to", "reason", "again"),
    ),
    "dmarc_report.sent": (
        "a report of what came of mail that says it is from a domain was queued for an address that it names",
        ("domain", "day", "to", "messages", "failures", "envelope"),
    ),
    "dmarc_report.failed": (
        "such a report was not taken; it is tried ``again`` then, unless another took it, or given up",
        ("domain", "day", "to", "reason", "again"),
    ),
    "report.received": (
        "a report of another server, of mail from a domain here or of TLS with servers here, was read and kept",
        ("envelope", "kind", "report", "domain", "organization", "passed", "failed"),
    ),
    "report.unreadable": (
        "what came to the address for reports is none that can be kept; the mail was delivered",
        ("envelope", "sender", "reason"),
    ),
    "filter.learnt": ("an account's filter learnt messages from what was done with them", ("account", "junk", "good")),
    "upkeep.swept": ("expired rows and blobs were removed", ("what", "count")),
    "admin.command": ("a command changed something", ("command", "subject", "who")),
}


_FIELDS = {name: frozenset(fields) for name, (_, fields) in EVENTS.items()}


# Fields of an event, gathered before it is said which: ``emit`` takes them by name, beside ``warning``.
EventFields: TypeAlias = dict[str, Any]


class EventLogger(Protocol):
    """The part of ``twisted.logger.Logger`` that is used."""

    def info(self, format: str | None = None, **kwargs: object) -> None:
        """Log an event."""

    def warn(self, format: str | None = None, **kwargs: object) -> None:
        """Log an event somebody should look at."""


def emit(log: EventLogger, name: str, /, *, warning: bool = False, **fields: object) -> None:
    """Log one event of the table. Fields may be left out; one that is not in the table is a programming error.

    :raises KeyError: unknown name. :raises ValueError: unknown field.
    """
    known = _FIELDS[name]
    if not known.issuperset(fields):
        unknown = fields.keys() - known
        raise ValueError(f"{name} has no field {', '.join(sorted(unknown))}")
    (log.warn if warning else log.info)("{event}", event=name, fields=fields)


def one_line(value: object) -> str:
    """Return a value as text that cannot start a new log line or field: controls escaped, quoted when it has spaces."""
    text = str(value)
    if text.isascii() and text.isprintable() and " " not in text and '"' not in text and text:
        return text
    body = "".join(c if c.isprintable() and c not in '"\\' else c.encode("unicode_escape").decode() for c in text)
    return '"' + body.replace('"', '\\"') + '"'


def moment(seconds: float) -> str:
    """Return UTC seconds as they stand in the log everywhere: ``2026-11-23T02:15:00.123Z`` (ISO 8601)."""
    second, millisecond = divmod(math.floor(seconds * 1000), 1000)
    return f"{_second(second)}.{millisecond:03d}Z"


@lru_cache(maxsize=4)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").removesuffix("+00:00")
