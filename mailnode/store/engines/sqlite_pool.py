"""Connections of one file to read with: lent to units, a few kept between them."""

from __future__ import annotations

import threading
from collections.abc import Callable

import apsw

READERS_KEPT = 4  # idle read connections
BUSY_MILLISECONDS = 5_000


def tune(connection: apsw.Connection) -> None:
    """Set what every connection is to have. :raises apsw.Error:"""
    connection.set_busy_timeout(BUSY_MILLISECONDS)
    connection.pragma("temp_store", "MEMORY")
    connection.pragma("cache_size", -8192)
    # Else every new value bound to a statement lets SQLite plan it anew: five times the work of running it.
    connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)


class ReadConnections:
    """Those of one tenancy; by any thread."""

    def __init__(self, connect: Callable[[], apsw.Connection], close: Callable[[apsw.Connection], None]) -> None:
        """:param connect: makes one. :param close: closes one, and raises nothing."""
        self._connect = connect
        self._close = close
        self._changed = threading.Condition()
        self._idle: list[apsw.Connection] = []
        self._lent = 0
        self._closing = False

    def borrow(self) -> apsw.Connection:
        """Return one that nobody else has until it is given back. :raises apsw.Error:"""
        with self._changed:
            self._changed.wait_for(lambda: not self._closing)
            if self._idle:
                connection = self._idle.pop()
            else:
                connection = self._connect()
                connection.pragma("query_only", 1)
            self._lent += 1
        return connection

    def give_back(self, connection: apsw.Connection, sound: bool) -> None:
        """Take one back. :param sound: False: it is not used again."""
        with self._changed:
            self._lent -= 1
            if sound and len(self._idle) < READERS_KEPT:
                self._idle.append(connection)
            else:
                self._close(connection)
            self._changed.notify_all()

    def close(self) -> None:
        """Wait until none is lent, close all, and lend none until :meth:`open_again`."""
        with self._changed:
            self._closing = True
            self._changed.wait_for(lambda: not self._lent)
            for connection in self._idle:
                self._close(connection)
            self._idle.clear()

    def open_again(self) -> None:
        """Lend again."""
        with self._changed:
            self._closing = False
            self._changed.notify_all()
