"""The limits of a receiving SMTP connection, and how long it waits."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes in octets, the rest numbers. The minimums of RFC 5321 4.5.3.1 are kept by the defaults."""

    command_line: int = 4096  # with CRLF
    sasl_line: int = 12288  # RFC 4954 4
    content_line: int = 64 * 1024
    message_size: int = 50 * 1024 * 1024
    discard_size: int = (
        100 * 1024 * 1024
    )  # of a message or chunk that is refused: read and dropped, more ends the session
    header_size: int = 1024 * 1024
    recipients: int = 1000
    messages: int = 1000  # of one session (RFC 9422 4.1)
    null_sender_recipients: int = 1
    hops: int = 50  # Received fields
    errors_slow: int = 10  # after these each reply waits a second
    errors_max: int = 20  # after these the session ends


DEFAULT_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds. The minimums of RFC 5321 4.5.3.2 are kept by the defaults.

    ``command`` and ``data`` are silences. The others pass whatever is sent (:mod:`mailnode.smtp.pace`): ``start`` until MAIL,
    from the connection on or from the end of a message; ``envelope`` from MAIL until the content; ``data_rate`` is the octets
    per second a message must come with once it has taken ``data_grace`` seconds. ``login`` is from the connection until AUTH
    has succeeded, on submission.
    """

    command: float = 300.0
    start: float = 300.0
    envelope: float = 900.0
    data: float = 300.0
    data_grace: float = 300.0
    data_rate: int = 500
    login: float = 120.0


DEFAULT_TIMEOUTS = Timeouts()
