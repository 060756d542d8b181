"""Exim, and swaks, give a message for two of our recipients, one of whom a policy refuses it for: they hear so, and the other has
it."""

import smtplib
import subprocess

import pytest
from exim_server import Exim
from servers import MailNode, free_port, program, wait_for

A, EXIM = "127.0.0.2", "127.0.0.5"

NOT_FOR = """
from twisted.plugin import IPlugin
from zope.interface import implementer

from mailnode.interfaces.policy import IPolicy, IPolicyFactory
from mailnode.values.policy import Verdict


@implementer(IPolicy)
class NotFor:
    name = "not-for"
    stages = frozenset(["end"])
    only_strangers = True

    def __init__(self, recipients):
        self._recipients = recipients

    async def judge(self, request):
        refused = [one.address for one in request.envelope.recipients if str(one.address) in self._recipients]
        return Verdict(own={address: Verdict("refuse", "5.7.1", "not what it wants") for address in refused})


@implementer(IPlugin, IPolicyFactory)
class NotForFactory:
    name = "not-for"
    help = "Refuse what is for some recipients."
    options = {"recipients": "list of addresses"}

    def make(self, options, context):
        return NotFor(options["recipients"])


not_for = NotForFactory()
"""


@pytest.fixture
def node(tmp_path):
    plugins = tmp_path / "site" / "twisted" / "plugins"
    plugins.mkdir(parents=True)
    (plugins / "not_for_plugin.py").write_text(NOT_FOR)
    rule = '[[policy]]\nname = "not-for"\noptions = { recipients = ["bob@a.test"] }\n'
    made = MailNode(tmp_path / "node", address=A, smtp_port=free_port(), extra=rule, path=(tmp_path / "site",)).start()
    for name in ("alice", "bob"):
        made.add_account(f"{name}@a.test")
    yield made
    assert made.stop() == 0


@pytest.fixture
def exim(node):
    port = node.ports["smtp"]
    made = Exim("e.test", EXIM, port, ("a.test", A, port))
    try:
        yield made.start()
    finally:
        made.stop()


def test_exim_hears_of_each_recipient(node, exim):
    with smtplib.SMTP(EXIM, exim.port, timeout=30) as client:
        client.sendmail("carl@e.test", ["alice@a.test", "bob@a.test"], b"Subject: two\r\n\r\nx\r\n")
    (bounce,) = wait_for(exim.messages, "the bounce")
    assert b"bob@a.test" in bounce
    assert b"550 5.7.1 not what it wants" in bounce
    assert b"alice@a.test" not in bounce.partition(b"This is a copy")[0]
    accepted = node.wait_event("message.accepted")
    assert accepted["recipients"] == 1
    delivered = node.wait_event("message.delivered")
    assert (delivered["recipient"], delivered["envelope"]) == ("alice@a.test", accepted["envelope"])
    assert node.wait_event("recipient.refused")["recipient"] == "bob@a.test"
    assert " PRDR " in exim.log()


def test_swaks_hears_of_each_recipient(node):
    command = [program("swaks"), "--server", A, "--port", str(node.ports["smtp"]), "--from", "a@far.test", "--prdr"]
    done = subprocess.run(
        [*command, "--to", "alice@a.test,bob@a.test"], capture_output=True, text=True, timeout=60, check=False
    )
    replies = [line for line in done.stdout.splitlines() if line.startswith(("<-", "<*"))]
    after = replies[next(at for at, line in enumerate(replies) if " 353 " in line) :]
    assert [line.split()[1] for line in after[:4]] == ["353", "250", "550", "250"]
    assert node.wait_event("message.delivered")["recipient"] == "alice@a.test"
