"""MT-PRIORITY: who is granted what, where it goes, and that one file is all there is of it."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from smtp_fakes import World

from mailnode.smtp.extensions.mt_priority import ROWS
from mailnode.smtp.extensions.table import mail_words
from mailnode.smtp.wire.commands import envelope_reader
from mailnode.smtp.wire.grammar import CommandError
from mailnode.smtp.wire.profile import Profile
from mailnode.values.envelope import MailOptions

PACKAGE = Path(__file__).parents[2] / "mailnode"
LOWERED = "250 2.3.6 0 is the priority of this message, a higher one is not for this client\r\n"


def read(value: str) -> int:
    return envelope_reader(Profile()).read_mail(f"FROM:<a@x.test> {value}", True, False).options.priority


def test_values() -> None:
    assert [read(f"mt-priority={value}") for value in range(-9, 10)] == list(range(-9, 10))
    for bad in ("", "=", "=10", "=-10", "=-0", "=+1", "=00", "=01", "=1.5", "=x", "=\u0663", "=1 MT-PRIORITY=1"):
        with pytest.raises(CommandError) as refused:
            read("MT-PRIORITY" + bad)
        assert refused.value.reply.code == 501


def taken(kind: str, asked: int, highest: int = 0, **options: Any) -> tuple[str, int, bytes]:
    """Return the answer to MAIL, the priority of the envelope, and the content."""
    world = World(kind, tls="implicit" if kind == "submission" else "starttls", highest_priority=highest)
    client = world.client(**options)
    if kind == "submission":
        client.secure()
        client.heard()
    client.say(f"{'LHLO' if kind == 'lmtp' else 'EHLO'} x\n")
    if kind == "submission":
        client.say("AUTH PLAIN AGFsaWNlAHNlY3JldA==\n")
    said = client.say(f"MAIL FROM:<alice@us.test> MT-PRIORITY={asked}\n")
    client.say("RCPT TO:<bob@us.test>\n")
    client.say("DATA\n")
    client.say("Subject: x\nFrom: alice@us.test\n\nbody\n.\n")
    envelope, _, content = world.delivery.accepted[0]
    return said, envelope.options.priority, content


@pytest.mark.parametrize(
    ("kind", "options"),
    [("submission", {"highest": 9}), ("lmtp", {}), ("smtp", {"peer": "10.0.0.1"})],
    ids=["submission", "lmtp", "relay"],
)
def test_who_is_trusted_is_granted_all(kind: str, options: dict[str, Any]) -> None:
    for asked in (9, 0, -9):
        said, priority, content = taken(kind, asked, **options)
        assert (said, priority) == ("250 2.1.0 Sender ok\r\n", asked)
        trace = content.partition(b";")[0]
        assert trace.endswith(b" for <bob@us.test> PRIORITY %d" % asked) if asked else b"PRIORITY" not in trace


def test_a_stranger_may_lower_it_only() -> None:
    said, priority, content = taken("smtp", 4)
    assert (said, priority) == (LOWERED, 0)
    assert b"PRIORITY" not in content.partition(b";")[0]
    assert taken("smtp", -4)[:2] == ("250 2.1.0 Sender ok\r\n", -4)


def test_an_account_may_raise_it_as_far_as_the_setting_says() -> None:
    said, priority, content = taken("submission", 9)
    assert (said, priority) == (LOWERED, 0)
    assert b"PRIORITY" not in content.partition(b";")[0]
    said, priority, content = taken("submission", 9, highest=3)
    assert (said, priority) == (LOWERED.replace("0 is", "3 is"), 3)
    assert content.partition(b";")[0].endswith(b" PRIORITY 3")
    assert taken("submission", -9, highest=3)[:2] == ("250 2.1.0 Sender ok\r\n", -9)


def test_a_next_hop_is_told_if_it_offers_it() -> None:
    assert mail_words({"MT-PRIORITY": "MIXER"}, MailOptions(priority=-3)) == b" MT-PRIORITY=-3"
    assert mail_words({"MT-PRIORITY": ""}, MailOptions()) == b" MT-PRIORITY=0"
    assert mail_words({}, MailOptions(priority=3)) == b""


def test_nothing_but_its_file_knows_of_it() -> None:
    [row] = ROWS
    names = (row.keyword, "mt_priority", "RFC 6710")
    found = {path.name for path in PACKAGE.rglob("*.py") if any(name in path.read_text() for name in names)}
    assert found == {"mt_priority.py"}


WITHOUT = """
import pkgutil
every = pkgutil.iter_modules
pkgutil.iter_modules = lambda *of: (one for one in every(*of) if one.name != "mailnode.smtp.extensions.mt_priority")
from mailnode.smtp.wire.profile import Profile
from mailnode.smtp.wire.server import ServerConnection
from mailnode.smtp.extensions.table import mail_words
from mailnode.values.envelope import MailOptions
connection = ServerConnection(Profile())
connection.receive_data(b"EHLO x\\r\\nMAIL FROM:<a@x.test> MT-PRIORITY=1\\r\\n")
connection.next_event()
print(connection.send(connection.hello_reply("us.test")).decode())
print(connection.next_event().reply)
print(mail_words({"MT-PRIORITY": ""}, MailOptions(priority=1)))
"""


def test_without_its_file_nothing_of_it_is_left() -> None:
    done = subprocess.run([sys.executable, "-c", WITHOUT], capture_output=True, text=True, check=True, timeout=60)
    assert "250 SMTPUTF8" in done.stdout and "250-MT-PRIORITY" not in done.stdout
    assert "555 5.5.4 Unknown parameter" in done.stdout
    assert done.stdout.endswith("b''\n")
