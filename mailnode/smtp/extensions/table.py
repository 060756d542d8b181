"""The table of extensions, and what it says: of an answer to EHLO, of parameters that come, of those that go."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from mailnode.smtp.extensions.collected import collected
from mailnode.smtp.extensions.row import Extension, Greeted, Parameter
from mailnode.smtp.wire.offers import Offers
from mailnode.smtp.wire.profile import Profile
from mailnode.values.envelope import PLAIN_MAIL, PLAIN_RCPT, MailOptions, RcptOptions
from mailnode.values.smtp_reply import Reply

TABLE: dict[str, Extension] = {row.keyword: row for row in collected()}

LENIENT = frozenset(p.keyword for row in TABLE.values() for p in (*row.mail, *row.rcpt) if p.lenient)

# Only what has something to say is asked.
_LACKING = tuple(row.lacking for row in TABLE.values() if row.lacking is not None)
_IN_ASCII = tuple(row.in_ascii for row in TABLE.values() if row.in_ascii is not None)
_AS_IT_IS = tuple(row.as_it_is for row in TABLE.values() if row.as_it_is is not None)
_MAIL_WORDS = tuple(row.mail_words for row in TABLE.values() if row.mail_words is not None)
_RCPT_WORDS = tuple(row.rcpt_words for row in TABLE.values() if row.rcpt_words is not None)
_ADMITTED = tuple(row.admitted for row in TABLE.values() if row.admitted is not None)
_FOR_STRANGERS = tuple(row.for_strangers for row in TABLE.values() if row.for_strangers is not None)
_RECEIVED = tuple(row.received for row in TABLE.values() if row.received is not None)
_BY_HEADER = tuple(row.by_header for row in TABLE.values() if row.by_header is not None)


# As server


@lru_cache(maxsize=64)
def offered(greeted: Greeted) -> tuple[str, ...]:
    """Return the lines of an answer to EHLO (RFC 5321 4.1.1.1)."""
    said = [(row.keyword, row.offered(greeted)) for row in TABLE.values()]
    return tuple([f"{keyword} {words}".rstrip(" ") for keyword, words in said if words is not None])


def mail_parameters(profile: Profile) -> tuple[Parameter, ...]:
    """Return the parameters of MAIL that a service knows."""
    return tuple(one for row in TABLE.values() for one in row.mail if one.known(profile))


def rcpt_parameters(profile: Profile) -> tuple[Parameter, ...]:
    """Return the parameters of RCPT that a service knows."""
    return tuple(one for row in TABLE.values() for one in row.rcpt if one.known(profile))


def admitted(options: MailOptions, highest: int) -> tuple[MailOptions, Reply | None]:
    """Return what is granted a client of what MAIL asks for, and the positive answer where that is less.

    :param highest: the priority up to which this client may raise its mail's, 0 to 9."""
    said = None
    for row in _ADMITTED:
        options, reply = row(options, highest)
        said = said or reply
    return options, said


def for_strangers(options: RcptOptions) -> RcptOptions:
    """Return what is granted a client that is not known of what RCPT asks for."""
    if options is not PLAIN_RCPT:  # which asks for nothing
        for row in _FOR_STRANGERS:
            options = row(options)
    return options


def received_clauses(options: MailOptions) -> list[str]:
    """Return the clauses that go into the Received field (RFC 5321 4.4)."""
    if options is PLAIN_MAIL:  # of which there is nothing to say
        return []
    return [clause for row in _RECEIVED if (clause := row(options))]


def by_header(options: MailOptions, names: Sequence[bytes], header: bytes) -> MailOptions:
    """Return what a message's header block makes of its options. :param names: of the fields in it, lower case."""
    for row in _BY_HEADER:
        options = row(options, names, header)
    return options


# As client


def lacking(offers: Offers, options: MailOptions) -> Reply | None:
    """Return why a message cannot go to a server, None when it can. Of several reasons it is one that stands however the
    message is said."""
    reply = _first_lacking(offers, options)
    return reply and (_first_lacking(offers, as_it_is(options)) or reply)


def _first_lacking(offers: Offers, options: MailOptions) -> Reply | None:
    for row in _LACKING:
        reply = row(offers, options)
        if reply is not None:
            return reply
    return None


def in_ascii(options: MailOptions) -> MailOptions:
    """Return what MAIL may say of a message whose content is ASCII."""
    for row in _IN_ASCII:
        options = row(options)
    return options


def as_it_is(options: MailOptions) -> MailOptions:
    """Return what MAIL may say of a message that goes as it is to a server that did not say it can take it."""
    for row in _AS_IT_IS:
        options = row(options)
    return options


def mail_words(offers: Offers, options: MailOptions) -> bytes:
    """Return MAIL's parameters, each with the space before it."""
    return "".join([f" {word}" for row in _MAIL_WORDS for word in row(offers, options)]).encode("ascii")


def rcpt_words(offers: Offers, options: RcptOptions) -> bytes:
    """Return RCPT's parameters, each with the space before it."""
    return "".join([f" {word}" for row in _RCPT_WORDS for word in row(offers, options)]).encode("ascii")
