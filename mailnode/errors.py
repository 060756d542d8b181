"""Domain errors. Each protocol maps them to its replies in one table of its own.

A domain error says what is wrong with a request. It never carries text from the network or from
an engine: the cause goes to the log. Anything that is not a ``DomainError`` is unknown trouble and is answered
as temporary.
"""

from typing import Any


class DomainError(Exception):
    """A request that cannot be done, for a reason the asker may be told in general words."""

    about = ""  # what a command named that is wrong, where that is not the first thing it named


class BadAddress(DomainError, ValueError):
    """Not an address, a domain or a local part that RFC 5321 or RFC 6531 allows."""


class BadMailboxName(DomainError, ValueError):
    """A mailbox name with control characters, over 255 octets or over 32 levels."""


class NoSuchAccount(DomainError):
    """No account has this id or address."""


class NoSuchDomain(DomainError):
    """The directory does not have this domain."""


class AlreadyExists(DomainError):
    """A domain, account, alias or mailbox of that name is there already."""


class InUse(DomainError):
    """Something else still stands on it: a domain with addresses, a mailbox with a lease."""


class NoSuchScript(DomainError):
    """The account has no filter script of this name, or not that version of it any more."""


class ScriptChanged(DomainError):
    """Somebody else has changed the script meanwhile."""


class ScriptActive(InUse):
    """A filter script cannot be deleted while it is the active one (RFC 5804 2.10)."""


class BadScriptName(DomainError, ValueError):
    """A name of a filter script that is empty, too long, or has characters that RFC 5804 1.6 forbids."""


class NoSuchMailbox(DomainError):
    """No mailbox has this id or name, or it is not selectable, or it was deleted meanwhile."""


class NoSuchMessage(DomainError):
    """A UID that is not, or no longer, in the mailbox."""


class ChangesForgotten(DomainError):
    """What changed since then cannot be told any more, or is too much to be told: look at everything anew."""


class MailboxExists(AlreadyExists):
    """CREATE or RENAME onto a name that is taken."""


class MailboxRefused(DomainError):
    """An operation the mailbox does not allow: deleting INBOX, renaming below itself."""


class NotPermitted(DomainError):
    """A right on the mailbox is lacking that this needs (RFC 4314 4)."""


class OverQuota(DomainError):
    """The account's bytes or message count stand at their limit."""


class LimitReached(DomainError):
    """A limit other than quota: keywords of an account, mailboxes, size of one message."""


class ScriptQuotaReached(LimitReached):
    """What an account may keep of filter scripts (RFC 5804 1.3): ``limit`` is MAXSCRIPTS or MAXSIZE."""

    def __init__(self, text: str, limit: str) -> None:
        super().__init__(text)
        self.limit = limit


class KeywordLimit(LimitReached):
    """The account's keyword table is full."""


class Busy(DomainError):
    """Temporarily impossible: a full pool, a lease held elsewhere. Try again."""


class TooManyFailures(Busy):
    """So many logins failed of late that this one was not looked at. Try again later."""


class IssuerUnavailable(Busy):
    """Whoever issues tokens cannot be asked about one at the moment. Try again later."""


class StoreUnavailable(DomainError):
    """The store cannot promise durability at the moment (full disk, failed sync). Nothing was done."""


class StoreDamaged(StoreUnavailable):
    """What was asked for, or some of it, stands where its file is damaged."""


class DiskFull(StoreUnavailable):
    """The disk is full: nothing that brings more is taken until there is room. Nothing was done."""


class BlobDamaged(DomainError):
    """Message bytes that cannot be read, are short or do not match their digest: those of one message."""

    passing = False  # whether it is this machine that lacks something for the moment


class RowsDamaged(BlobDamaged):
    """Of several messages some could not be read; ``rows`` are those of the others, as :mod:`mailnode.values.rows` has them."""

    def __init__(self, text: str, rows: list[tuple[Any, ...]]) -> None:
        super().__init__(text)
        self.rows = rows


class BackupRefused(DomainError):
    """A backup, or the directory it is or should be in, cannot be used; the text says why, in words."""


class AuthenticationFailed(DomainError):
    """Unknown user or wrong secret; deliberately not told apart."""


class LoginNotAllowed(DomainError):
    """The secret was right, but the account's status forbids this login."""


class Refused(DomainError):
    """A policy or router refuses for good: ``status`` is an RFC 3463 code such as ``5.1.1``."""

    def __init__(self, status: str, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


class ConfigurationError(DomainError):
    """The configuration, or what it points at, cannot be used. ``mistakes`` are lines ``key: what is wrong``."""

    def __init__(self, mistakes: list[str]) -> None:
        super().__init__("\n".join(mistakes))
        self.mistakes = mistakes


class DirectoryLocked(ConfigurationError):
    """Another process has the data directory."""


class ResolverFailure(DomainError):
    """DNS gave no answer that can be relied on (SERVFAIL, timeout, bogus). Temporary."""


class NoSuchName(DomainError):
    """DNS says that the name does not exist (NXDOMAIN)."""


class UpdateFailed(DomainError):
    """A name server did not take a change of its zone, or did not say so; the text says why, in words."""


class CertificateFailed(DomainError):
    """A certificate was not issued; the text says why, in words. ``wait``: seconds the authority asks to wait for."""

    def __init__(self, text: str, wait: float = 0.0) -> None:
        super().__init__(text)
        self.wait = wait
