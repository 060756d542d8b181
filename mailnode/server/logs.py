"""The log: one line an event, as readable text or as flat JSON. Nothing a peer sends can start a line or a field."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from json.encoder import encode_basestring_ascii as _quoted
from math import isfinite
from pathlib import Path
from typing import Protocol

from twisted.logger import ILogObserver, LogEvent, LogLevel, formatEvent
from zope.interface import implementer

from mailnode.values.events import moment, one_line

MAX_TEXT = 8192  # characters of one field, and of a line that is not one of our events


class LineWriter(Protocol):
    """Where lines go, such as :class:`AppendedLog`."""

    def write(self, text: str, /) -> object:
        """Write a line, and let nothing wait."""


class AppendedLog:
    """A log that several processes may write: each text is one write at the end of what is there.

    Only a pipe whose reader lags takes a line of more than 4096 octets in pieces, between which another process may write.
    """

    def __init__(self, path: Path | None, descriptor: int | None = None) -> None:
        """:param path: made for its owner alone; None: only ``descriptor``, such as standard output, which is kept open.
        :param descriptor: what another process has opened there. :raises OSError:"""
        self._path = path
        self.descriptor = descriptor if descriptor is not None else self._open()

    @property
    def path(self) -> Path | None:
        """Where it is written, if that is a file."""
        return self._path

    def write(self, text: str) -> None:
        """Write a whole line. :raises OSError:"""
        data = text.encode("utf-8", "backslashreplace")
        while (written := os.write(self.descriptor, data)) < len(data):
            data = data[written:]

    def reopen(self) -> None:
        """Write to the file that has the name now, after somebody moved the old one. :raises OSError: the old one is kept."""
        if self._path is not None:
            new = self._open()
            os.dup2(new, self.descriptor, inheritable=False)
            os.close(new)

    def _open(self) -> int:
        assert self._path is not None
        return os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)


@implementer(ILogObserver)
class LineObserver:
    """Writes one line for each log event of Twisted's logger."""

    def __init__(self, out: LineWriter, render: Callable[[LogEvent], str], level: LogLevel = LogLevel.info) -> None:
        """:param level: below it nothing is written."""
        self._out = out
        self._render = render
        self._below = frozenset(one for one in LogLevel.iterconstants() if one < level)

    def __call__(self, event: LogEvent) -> None:
        """Write it; a log that cannot be written does not stop the mail."""
        if event.get("log_level") in self._below or ("event" not in event and _is_noise(event)):
            return
        try:
            self._out.write(self._render(event) + "\n")
        except (OSError, ValueError):
            pass


def observer(out: LineWriter, form: str, level: LogLevel = LogLevel.info) -> ILogObserver:
    """Return an observer for ``[server] log``: "text" or "json". Below ``level`` nothing is written."""
    render = as_json if form == "json" else as_text
    made: ILogObserver = LineObserver(out, render, level)
    return made


def as_text(event: LogEvent) -> str:
    """Return ``2026-11-23T02:15:00.123Z session.open session=... peer=...``."""
    name, fields = event.get("event"), event.get("fields")
    if isinstance(name, str) and isinstance(fields, dict):
        pairs = "".join(f" {key}={one_line(_cut(value))}" for key, value in fields.items())
        return f"{_time(event)} {name}{pairs}"
    return f"{_time(event)} {_source(event)}: {_escaped(_message(event))}"


def as_json(event: LogEvent) -> str:
    """Return one flat object: ``time``, ``level``, then ``event`` and its fields, or ``source`` and ``message``."""
    name, fields = event.get("event"), event.get("fields")
    level = getattr(event.get("log_level"), "name", "info")
    if isinstance(name, str) and isinstance(fields, dict):
        ending = _pairs(fields)
        if len(ending) > MAX_TEXT:
            ending = _pairs({key: _for_json(value) for key, value in fields.items()})
        return f'{{"time": "{_time(event)}", "level": "{level}", "event": {_quoted(name)}{ending}}}'
    source, message = _quoted(_source(event)), _quoted(_message(event))
    return f'{{"time": "{_time(event)}", "level": "{level}", "source": {source}, "message": {message}}}'


def _pairs(fields: dict[str, object]) -> str:
    """Return fields in JSON. Most values are texts: those are written without a call for each."""
    return "".join(
        [
            f', "{key}": {_quoted(value) if value.__class__ is str else _as_value(value)}'
            for key, value in fields.items()
        ]
    )


def _as_value(value: object) -> str:
    """Return a value in JSON."""
    if value.__class__ is int:
        return str(value)
    if isinstance(value, float) and isfinite(value):
        return repr(value)  # as json has it
    return json.dumps(_for_json(value))


# What Twisted says of its own life, which our events say in words that mean something here.
_LIFE = re.compile(
    r"\S.* starting on |\(.*Port .* Closed\)\Z|Removing stale pidfile |Received SIG|Main loop terminated"
)


def _is_noise(event: LogEvent) -> bool:
    if event.get("log_level", LogLevel.info) > LogLevel.info:
        return False
    source = str(event.get("log_namespace", ""))
    return source.startswith("twisted.") or (source in _LEGACY and _LIFE.match(formatEvent(event)) is not None)


_LEGACY = ("log_legacy", "-", "")  # what is logged without a logger
_PID_FILE = ("Failed to unlink PID file", "Warning: No permission to delete pid file")


def _source(event: LogEvent) -> str:
    """Who says it: the name of a logger, or ours where there is none."""
    source = str(event.get("log_namespace", ""))
    return "mailnode" if source in _LEGACY else source


def _message(event: LogEvent) -> str:
    text = formatEvent(event)
    failure = event.get("log_failure")
    if any(words in text for words in _PID_FILE):  # nothing but this is wrong, and nobody needs a traceback of it
        return (
            f"the pid file could not be removed: {failure.getErrorMessage() if failure is not None else 'no right to'}"
        )
    if failure is not None:
        text = f"{text}\n{failure.getTraceback()}" if text else failure.getTraceback()
    return _cut(text)


def _cut(value: object) -> str:
    text = str(value)
    return text if len(text) <= MAX_TEXT else text[:MAX_TEXT] + "..."


def _for_json(value: object) -> object:
    return value if isinstance(value, bool | int | float) or value is None else _cut(value)


def _escaped(text: str) -> str:
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def _time(event: LogEvent) -> str:
    return moment(event.get("log_time", 0.0))
