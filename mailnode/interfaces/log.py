"""Logging what happens for every message and session."""

from __future__ import annotations

from time import time

from twisted.logger import Logger, LogLevel


class EventLog(Logger):
    """A logger of events that come by the thousand a second. Twisted's sorts its levels at each to see whether the
    given one is among them: some ten calls for a line, where a message over SMTP has 440 in all."""

    def info(self, format: str | None = None, **kwargs: object) -> None:
        """Hand an event to whoever listens, as :meth:`twisted.logger.Logger.info` does."""
        kwargs["log_logger"] = self
        kwargs["log_level"] = LogLevel.info
        kwargs["log_namespace"] = self.namespace
        kwargs["log_source"] = self.source
        kwargs["log_format"] = format
        kwargs["log_time"] = time()
        self.observer(kwargs)
