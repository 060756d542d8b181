"""What every session of a listener shares."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from mailnode.imap.hiding import NOTHING_HIDDEN, Hiding
from mailnode.imap.message_keys import MessageKeys
from mailnode.imap.open_views import OpenViews
from mailnode.imap.searches import Searches
from mailnode.imap.watching import Watching
from mailnode.interfaces.accounts import IQuotas, ISharing
from mailnode.interfaces.mailbox_scripts import IMailboxScripts
from mailnode.interfaces.runtime import IClock, IHints, IThreads
from mailnode.interfaces.search import ISearchIndex
from mailnode.interfaces.sessions import ILogins
from mailnode.interfaces.store import IBlobWriter
from mailnode.values.blob import StagedBlob
from mailnode.values.facts import EncodedFacts


@dataclass(frozen=True, slots=True)
class ImapServices:
    """``stage`` is ``IDelivery.stage``, ``in_lines`` ``IBinaryMail.in_lines``; ``start_tls``: the listener offers
    STARTTLS; ``append_limit`` octets of one message; ``login_seconds``
    how long a connection may be without a login once it had one; ``message_limit`` and ``save_limit``: messages of one command
    (RFC 9738), 0: any number; ``still_here_seconds`` how often IDLE says something, so that no
    device on the way forgets the connection; ``keys`` are SORT's and THREAD's, ``answers`` of searches; ``index``: None, where
    searches read everything; ``scripts`` of mailboxes: None, where none are run; ``script_server``:
    where clients store them, as a URL (RFC 5804 3), "" where they cannot."""

    logins: ILogins
    hints: IHints
    clock: IClock
    threads: IThreads
    stage: Callable[[IBlobWriter], Awaitable[tuple[StagedBlob, EncodedFacts]]]
    views: OpenViews
    searches: Searches
    watching: Watching
    quotas: IQuotas
    sharing: ISharing
    keys: MessageKeys
    answers: MessageKeys
    in_lines: Callable[[IBlobWriter], Awaitable[IBlobWriter | None]]
    start_tls: bool = False
    append_limit: int = 64 * 1024 * 1024
    login_seconds: float = 120.0
    message_limit: int = 0
    save_limit: int = 0
    still_here_seconds: float = 120.0
    version: str = ""
    hiding: Hiding = NOTHING_HIDDEN
    index: ISearchIndex | None = None
    scripts: IMailboxScripts | None = None
    script_server: str = ""
