"""What a server does whose configuration says nothing of it: the values that were settled with the traps (docs/traps.rst)."""

import pytest

from mailnode.config.schema import Config
from mailnode.delivery import mx
from mailnode.message import dkim, dkim_keys, scanner
from mailnode.net import dialing
from mailnode.net.outbound import OutboundSettings
from mailnode.queue import destination
from mailnode.queue.destination import DestinationSettings
from mailnode.queue.schedule import Schedule
from mailnode.smtp import session
from mailnode.smtp.wire.content import BARE
from mailnode.smtp.wire.limits import DEFAULT_LIMITS
from mailnode.smtp.wire.profile import Profile

MINUTE, HOUR, DAY, MIB = 60, 3600, 86_400, 2**20
CONFIG = Config.model_fields
QUEUE, LIMITS, SUBMISSION = (CONFIG[name].default for name in ("queue", "limits", "submission"))
SCHEDULE, WINDOW, OUTBOUND = Schedule(), DestinationSettings(), OutboundSettings()

DEFAULTS = {
    "bare line ends and NUL": ((BARE.code, BARE.status), (550, "5.5.2")),
    "octets of a command line": (DEFAULT_LIMITS.command_line, 4096),
    "octets of a line of content": (DEFAULT_LIMITS.content_line, 64 * 1024),
    "size of a message": (LIMITS.message_size, 50 * MIB),
    "the same where nothing is configured": (DEFAULT_LIMITS.message_size, 50 * MIB),
    "recipients": (LIMITS.recipients, 1000),
    "hops": (LIMITS.hops, 50),
    "depth of parts": (scanner.MAX_DEPTH, 100),
    "parts": (scanner.MAX_PARTS, 1000),
    "octets of a header": (DEFAULT_LIMITS.header_size, MIB),
    "recipients of the null sender": (DEFAULT_LIMITS.null_sender_recipients, 1),
    "errors until each reply waits": ((DEFAULT_LIMITS.errors_slow, session.SLOW_SECONDS), (10, 1.0)),
    "errors until the end": (LIMITS.errors, 20),
    "seconds until a stranger is greeted": (LIMITS.greet_pause, 2),
    "waits between tries": (QUEUE.retry, [5 * MINUTE, 10 * MINUTE, 20 * MINUTE, 40 * MINUTE, HOUR]),
    "jitter": (SCHEDULE.jitter, 0.1),
    "lifetime": ((QUEUE.lifetime, QUEUE.lifetime_null), (5 * DAY, 2 * DAY)),
    "notice of a delay": (QUEUE.delay_notice, 4 * HOUR),
    "connections to a destination": ((WINDOW.start, WINDOW.cap, QUEUE.concurrency), (5, 20, 20)),
    "windows of failures until it is dead": (destination.DEAD_COHORTS, 3),
    "how long less is sent where less was asked for": (WINDOW.slow_for, 10 * MINUTE),
    "mails and seconds of a connection": ((OUTBOUND.mails, OUTBOUND.lifetime), (100, 300)),
    "seconds for an address": (OUTBOUND.connect, 10),
    "seconds until the next is tried beside it": (dialing.STAGGER, 0.25),
    "how long an address is remembered that did not answer": (mx.UNHEALTHY_SECONDS, 10 * MINUTE),
    "hosts and addresses": ((mx.MAX_HOSTS, mx.MAX_ADDRESSES), (5, 2)),
    "policies of TLS": ((QUEUE.dane, QUEUE.mta_sts), (True, True)),
    "bits of a DKIM key": (dkim_keys.RSA_BITS, 2048),
    "fields that are signed once more": (dkim.OVERSIGNED, ("From", "Subject", "Date", "To")),
    "seals": (QUEUE.arc, False),
    "recipients of an account in an hour": (SUBMISSION.recipients_per_hour, 300),
    "logins on port 25": (Profile().auth, False),
}


@pytest.mark.parametrize("what", DEFAULTS)
def test_a_default_is_what_was_settled(what):
    is_so, settled = DEFAULTS[what]
    assert is_so == settled


def test_the_retries_of_the_schedule_are_those_of_the_configuration():
    assert list(SCHEDULE.intervals) == QUEUE.retry
    assert (SCHEDULE.lifetime, SCHEDULE.null_lifetime) == (QUEUE.lifetime, QUEUE.lifetime_null)
    assert SCHEDULE.delay_after == QUEUE.delay_notice
