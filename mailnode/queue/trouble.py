"""What is said of work on the queue that failed."""

from __future__ import annotations

from collections.abc import Callable

from twisted.logger import Logger
from twisted.python.failure import Failure

from mailnode.errors import StoreUnavailable

_log = Logger()


def telling(what: str) -> Callable[[Failure], None]:
    """Return an errback that logs what failed; why the store could not do it, its engine has told (``store.failed``)."""

    def tell(failure: Failure) -> None:
        if not isinstance(failure.value, StoreUnavailable):
            _log.failure(what, failure)

    return tell
