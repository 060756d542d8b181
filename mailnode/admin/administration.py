"""What operations work on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from mailnode.interfaces.accounts import IDirectory
from mailnode.interfaces.runtime import IClock, IHints, IThreads
from mailnode.interfaces.store import IMailStore, IQueueStore
from mailnode.values.directory import Credential


@dataclass(frozen=True, slots=True)
class Administration:
    """The parts of a server, or of a store without one, that commands need."""

    directory: IDirectory
    mail: IMailStore
    queue: IQueueStore
    clock: IClock
    threads: IThreads
    hints: IHints
    make_credentials: Callable[..., list[Credential]]
    weakness: Callable[[str, str], str]  # why a password is refused for an address; "": it is not
    reload: Callable[[], Awaitable[dict[str, Any]]] | None = None  # None: no server is running
    status: Callable[[], Awaitable[dict[str, Any]]] | None = None  # the same
