"""Mail of strangers that is taken and then fails: those who sent it are told, those whose address was written there are not."""

import pytest
from scripted_dns import ScriptedDns
from scripted_peer import Scripted
from servers import MailNode, free_port, wait_for
from strangers import Strangers, become

NODE, HERE, BACK = "127.0.0.34", "127.0.0.35", "192.0.2.7"
TXT = {"verified.test": f"v=spf1 ip4:{BACK} -all", "victim.test": "v=spf1 -all"}
HOSTS = dict.fromkeys(("far.test", "verified.test", "victim.test", "none.test"), HERE)


def look(name, kind):
    if name not in HOSTS:
        return None
    return name, {"TXT": [TXT[name]] if name in TXT else [], "A": [HOSTS[name]]}.get(kind, [])


@pytest.fixture(scope="module", params=["false", "true"], ids=["as it came", "rewritten"])
def place(tmp_path_factory, request):
    port, strangers, dns = free_port(HERE), Strangers(), ScriptedDns(look)
    # The one server of all foreign domains: it takes notices, and knows no "gone".
    peer = Scripted(HERE, port, {"RCPT": lambda line: "550 5.1.1 nobody" if "gone@" in str(line) else "250 2.1.5 ok"})
    judgement = '[judgement]\nchecks = ["spf"]\njunk_at = 0\n'
    extra = f"[queue]\nport = {port}\nretry = [3600.0]\nrewrite_senders = {request.param}\n{judgement}{strangers.extra}"
    node = MailNode(tmp_path_factory.mktemp("forged"), address=NODE, dns=dns, extra=extra)
    try:
        node.start()
        node.ctl("alias", "add", "on@a.test", "gone@far.test")
        yield node, strangers, peer
    finally:
        for part in (node, peer, dns):
            part.stop()


def fail(place, sender, judged=True):
    """Send a message that fails; return the envelope."""
    node, strangers, _ = place
    with strangers.connect() as client:
        if judged:
            assert become(client, BACK, "mail.verified.test") == 250
        before = len(node.events("queue.failed"))
        client.sendmail(sender, ["on@a.test"], b"Subject: x\r\n\r\nx\r\n")
    wait_for(lambda: len(node.events("queue.failed")) > before, "a failure")
    return node.events("queue.failed")[-1]["envelope"]


def test_who_sent_it_is_told(place):
    node, _, _ = place
    envelope = fail(place, "a@verified.test")
    bounced = node.wait_event("queue.bounced", envelope=envelope)
    assert node.wait_event("queue.sent", envelope=bounced["bounce"])["recipient"] == "a@verified.test"


@pytest.mark.parametrize("sender", ["a@victim.test", "a@none.test"])
def test_whose_address_was_forged_is_not(place, sender):
    node, _, _ = place
    envelope = fail(place, sender)
    untold = node.wait_event("queue.untold", envelope=envelope)
    assert (untold["kind"], untold["sender"]) == ("failed", sender)
    assert "vouches" in untold["reason"]
    assert envelope not in {event["envelope"] for event in node.events("queue.bounced")}


def test_where_nobody_looked_the_sender_is_told(place):
    node, _, _ = place
    node.wait_event("queue.bounced", envelope=fail(place, "a@none.test", judged=False))
