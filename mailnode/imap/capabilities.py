"""What CAPABILITY says, by state (RFC 3501 6.1.1 and 7.2.1)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set

from mailnode.imap.commands.row import AnyRow
from mailnode.imap.commands.table import BEFORE_LOGIN_ONLY, EXTENSIONS, TABLE
from mailnode.imap.wire.command import Command
from mailnode.imap.wire.lexer import MAX_NUMBER

# The commands of RFC 3501: they stay, whatever is hidden of what was added to them.
_ALWAYS = frozenset(
    b"CAPABILITY NOOP LOGOUT STARTTLS AUTHENTICATE LOGIN SELECT EXAMINE CREATE DELETE RENAME SUBSCRIBE UNSUBSCRIBE LIST LSUB"
    b" STATUS APPEND CHECK CLOSE EXPUNGE SEARCH FETCH STORE COPY".split()
) | {b"UID SEARCH", b"UID FETCH", b"UID STORE", b"UID COPY"}


def capabilities(
    *,
    authenticated: bool,
    mechanisms: Sequence[str] = (),
    start_tls: bool = False,
    login_disabled: bool = False,
    administrator: bool = False,
    append_limit: int = 0,
    message_limit: int = 0,
    save_limit: int = 0,
    script_server: str = "",
) -> tuple[str, ...]:
    """Return the capability names of a connection.

    :param append_limit: octets of a message that APPEND takes, the same for all mailboxes (RFC 7889 2).
    :param message_limit: of one command (RFC 9738 3.1). :param save_limit: of those alone that save messages.
    :param script_server: the URL of ManageSieve, where scripts of mailboxes run (RFC 6785 2.1).
    :param administrator: it may set quotas (RFC 9208 4.1.3).
    :param mechanisms: SASL names offered now; not shown once authenticated. :param start_tls: STARTTLS would be
        accepted. :param login_disabled: LOGIN would be refused (no TLS).
    """
    names = list(EXTENSIONS)
    if append_limit:
        names.append(f"APPENDLIMIT={min(append_limit, MAX_NUMBER)}")
    if message_limit:
        names.append(f"MESSAGELIMIT={message_limit}")
    if save_limit:
        names.append(f"SAVELIMIT={save_limit}")
    if script_server:
        names.append(f"IMAPSIEVE={script_server}")
    if administrator:
        names.append("QUOTASET")
    if not authenticated:
        names.extend(BEFORE_LOGIN_ONLY)
        if start_tls:
            names.append("STARTTLS")
        if login_disabled:
            names.append("LOGINDISABLED")
        names.extend(f"AUTH={mechanism}" for mechanism in mechanisms)
    return tuple(names)


def is_hidden(row: AnyRow, command: Command, hidden: Set[str]) -> bool:
    """Whether a command, or something in it, belongs to a capability that is hidden."""
    return bool(hidden) and any(name in hidden for name in _needs(row, command))


def _needs(row: AnyRow, command: Command) -> Iterable[str]:
    base = TABLE.get(row.name.removeprefix(b"UID "), row)
    needs = row.needs or base.needs
    if needs is not None:
        return needs(command)
    if row.name in _ALWAYS:
        return ()
    return [name.upper() for name in (row.capabilities or base.capabilities)[:1]]
