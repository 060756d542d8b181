"""What every session of a listener shares."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from mailnode.imap.open_views import OpenViews
from mailnode.imap.searches import Searches
from mailnode.imap.watching import Watching
from mailnode.interfaces.runtime import IClock, IHints, IThreads
from mailnode.interfaces.sessions import ILogins
from mailnode.interfaces.store import IBlobWriter
from mailnode.values.blob import StagedBlob
from mailnode.values.facts import EncodedFacts


@dataclass(frozen=True, slots=True)
class ImapServices:
    """``stage`` is ``IDelivery.stage``; ``start_tls``: the listener offers STARTTLS; ``append_limit`` octets of one message;
    ``still_here_seconds`` how often IDLE says something, so that no device on the way forgets the connection."""

    logins: ILogins
    hints: IHints
    clock: IClock
    threads: IThreads
    stage: Callable[[IBlobWriter], Awaitable[tuple[StagedBlob, EncodedFacts]]]
    views: OpenViews
    searches: Searches
    watching: Watching
    start_tls: bool = False
    append_limit: int = 64 * 1024 * 1024
    still_here_seconds: float = 120.0
    version: str = ""
