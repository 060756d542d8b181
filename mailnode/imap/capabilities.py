"""What CAPABILITY says, by state (RFC 3501 6.1.1 and 7.2.1)."""

from __future__ import annotations

from collections.abc import Sequence

# What this server speaks in every state. IMAP4rev1 comes first: some programs look only there.
_ALWAYS = ("IMAP4rev1", "LITERAL+", "ID", "ENABLE", "IDLE", "NAMESPACE", "UIDPLUS", "MOVE", "UNSELECT", "CHILDREN")
_MAILBOXES = ("SPECIAL-USE", "CREATE-SPECIAL-USE", "LIST-EXTENDED", "LIST-STATUS")
_MESSAGES = ("ESEARCH", "CONDSTORE")
EXTENSIONS = (*_ALWAYS, *_MAILBOXES, *_MESSAGES)

# What ENABLE can switch on (RFC 5161 3.1).
ENABLEABLE = frozenset({"CONDSTORE"})


def capabilities(
    *,
    authenticated: bool,
    mechanisms: Sequence[str] = (),
    start_tls: bool = False,
    login_disabled: bool = False,
    hidden: frozenset[str] = frozenset(),
) -> tuple[str, ...]:
    """Return the capability names of a connection.

    :param mechanisms: SASL names offered now; not shown once authenticated. :param start_tls: STARTTLS would be
        accepted. :param login_disabled: LOGIN would be refused (no TLS). :param hidden: names to leave out.
    """
    names = list(EXTENSIONS)
    if not authenticated:
        names.append("SASL-IR")
        if start_tls:
            names.append("STARTTLS")
        if login_disabled:
            names.append("LOGINDISABLED")
        names.extend(f"AUTH={mechanism}" for mechanism in mechanisms)
    return tuple(name for name in names if name not in hidden)
