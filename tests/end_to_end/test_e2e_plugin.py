"""The documented plug-in, installed as its page says and run by a real server."""

import smtplib
import subprocess
import sys

import pytest
from servers import ROOT, MailNode


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    target = tmp_path_factory.mktemp("site")
    source = tmp_path_factory.mktemp("source") / "refuse-subject"
    subprocess.run(["cp", "-r", str(ROOT / "docs" / "refuse-subject"), str(source)], check=True)
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--target", str(target)]
        + [str(source)],
        check=True,
        timeout=120,
    )
    return target


POLICY = '[[policy]]\nname = "refuse-subject"\noptions = { words = ["Lottery", "gew\u00f6nne"] }\n'


def test_a_message_is_refused_by_its_subject(tmp_path, installed):
    node = MailNode(tmp_path / "node", extra=POLICY, path=(installed,)).start()
    node.add_account("bob@a.test")
    with smtplib.SMTP(node.address, node.ports["smtp"], timeout=30) as client:
        for subject in (b"You won the LOTTERY", b"=?utf-8?q?Du_gew=C3=B6nnest?="):
            with pytest.raises(smtplib.SMTPDataError) as refused:
                client.sendmail("a@side.test", ["bob@a.test"], b"Subject: " + subject + b"\r\n\r\nx\r\n")
            assert refused.value.smtp_code == 550
            assert refused.value.smtp_error.startswith(b"5.7.1 This server does not take")
        client.sendmail("a@side.test", ["bob@a.test"], b"Subject: lunch\r\n\r\nx\r\n")
    assert node.stop() == 0  # the log is whole
    assert len(node.events("message.refused")) == 2
    assert len(node.events("message.accepted")) == 1


def test_the_check_names_what_is_wrong(tmp_path, installed):
    wrong = (
        '[[policy]]\nname = "no-such"\n'
        '[[policy]]\nname = "refuse-subject"\noptions = { word = "x" }\n'
        '[[policy]]\nname = "refuse-subject"\noptions = { words = "x" }\n'
    )
    node = MailNode(tmp_path / "node", extra=wrong, path=(installed,))
    done = node.ctl("check", check=False)
    assert done.returncode == 1
    output = done.stdout + done.stderr
    for text in (
        "policy[0]: no plug-in named 'no-such'",
        "policy[1]: refuse-subject has no option word",
        "policy[2]: ",
    ):
        assert text in output


HOLD = """
from twisted.plugin import IPlugin
from zope.interface import implementer

from mailnode.interfaces.policy import IPolicy, IPolicyFactory
from mailnode.values.policy import PASS, Verdict


@implementer(IPolicy)
class Hold:
    name = "hold"
    stages = frozenset(["mail"])
    only_strangers = False

    def __init__(self, senders):
        self._senders = senders

    async def judge(self, request):
        return Verdict(hold=True) if str(request.reverse_path) in self._senders else PASS


@implementer(IPlugin, IPolicyFactory)
class HoldFactory:
    name = "hold"
    help = "Hold what some senders send."
    options = {"senders": "list of reverse-paths"}

    def make(self, options, context):
        return Hold(options["senders"])


hold = HoldFactory()
"""


def test_what_a_rule_holds_waits_for_its_release(tmp_path):
    plugins = tmp_path / "site" / "twisted" / "plugins"
    plugins.mkdir(parents=True)
    (plugins / "hold_plugin.py").write_text(HOLD)
    rule = '[[policy]]\nname = "hold"\noptions = { senders = ["a@side.test"] }\n'
    node = MailNode(tmp_path / "node", extra=rule, path=(tmp_path / "site",)).start()
    node.add_account("bob@a.test")
    with smtplib.SMTP(node.address, node.ports["smtp"], timeout=30) as client:
        for sender in ("a@side.test", "b@side.test"):
            client.sendmail(sender, ["bob@a.test"], b"Subject: lunch\r\n\r\nx\r\n")
    [waits] = node.queue()
    assert (waits["sender"], waits["held"]) == ("a@side.test", True)
    assert node.wait_event("message.delivered", recipient="bob@a.test")["envelope"] != waits["id"]
    node.ctl("queue", "release", "--sender", "a@side.test")
    assert node.wait_event("message.delivered", envelope=waits["id"])
    assert node.stop() == 0
