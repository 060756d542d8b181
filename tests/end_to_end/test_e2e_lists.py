"""Who is listed, and who comes for the first time: swaks and a real Postfix at a real server, with lists in a real DNS server."""

import contextlib
import json
import subprocess
import time
import urllib.request

import pytest
from servers import Dns, MailNode, Postfix, free_port, program, wait_for
from worker_servers import Workers

LISTED, UNLISTED, ALLOWED, SIX = "192.0.2.2", "192.0.2.3", "192.0.2.4", "2001:db8::2"
POSTFIX = "127.0.0.21"
NIBBLES = ".".join(["2"] + ["0"] * 23) + ".8.b.d.0.1.0.0.2"

RECORDS = [
    "host-record=2.2.0.192.bl.test,127.0.0.2",
    "txt-record=2.2.0.192.bl.test,listed since Monday",
    "host-record=4.2.0.192.bl.test,127.0.0.2",
    f"host-record={NIBBLES}.bl.test,127.0.0.2",
    "host-record=2.0.0.127.bl.test,127.0.0.2",
    "host-record=4.2.0.192.wl.test,127.0.5.3",
    "host-record=2.0.0.127.wl.test,127.0.5.3",
    "host-record=bad.test.dbl.test,127.0.1.2",
    "host-record=test.dbl.test,127.0.1.2",
    "address=/dead.test/127.0.0.2",  # it lists everything
]
LISTS = """
[[policy]]
name = "dnsbl"
[policy.options]
refuse_at = 6
lists = [
    { zone = "wl.test", accept = true },
    { zone = "bl.test", answers = [ { match = "127.0.0.2-3", score = 6 } ] },
    { zone = "dbl.test", of = ["helo", "mail", "from"], score = 2.5 },
    { zone = "dead.test", score = 50 },
]
"""


@pytest.fixture(scope="module")
def names(tmp_path_factory):
    dns = Dns(tmp_path_factory.mktemp("dns"), RECORDS)
    yield dns
    dns.stop()


class Door:
    """A server with one more listener, which believes who a client is said to be."""

    def __init__(self, folder, names, policies):
        self.port = free_port()
        listener = (
            f'[[listener]]\nprotocol = "smtp"\nendpoint = "tcp:{self.port}:interface=127.0.0.1"\n'
            'xclient_from = ["127.0.0.0/8"]\n[judgement]\nchecks = []\n[limits]\ngreet_pause = 0\n'
        )
        self.node = MailNode(folder, dns=names, extra=listener + policies).start()
        self.node.add_account("alice@a.test")

    def swaks(self, peer, *options, recipient="alice@a.test", sender="someone@good.test"):
        """Return the code and the lines of one dialogue."""
        done = subprocess.run(
            [program("swaks"), "--server", "127.0.0.1", "--port", str(self.port), "--to", recipient, "--from", sender]
            + ["--xclient-addr", f"IPV6:{peer}" if ":" in peer else peer]
            + ["--helo", "mx.good.test", "--timeout", "30", *options],
            capture_output=True,
            text=True,
            timeout=60,
        )
        return done.returncode, done.stdout


@pytest.fixture(scope="module")
def door(tmp_path_factory, names):
    made = Door(tmp_path_factory.mktemp("node"), names, LISTS)
    yield made
    made.node.stop()


@pytest.mark.parametrize("peer", [LISTED, SIX])
def test_who_is_listed_is_refused_and_the_log_says_by_whom_and_why(door, peer):
    code, said = door.swaks(peer)
    assert code == 24  # no recipients accepted
    assert f"550 5.7.1 Refused: {peer} is listed in bl.test" in said
    refused = door.node.wait_event("recipient.refused", peer=peer)
    assert (refused["policy"], refused["stage"], refused["recipient"]) == ("dnsbl", "rcpt", "alice@a.test")
    judged = door.node.wait_event("message.judged", peer=peer)
    assert (judged["outcome"], judged["policy"], judged["envelope"]) == ("refuse", "dnsbl", refused["envelope"])
    if peer == LISTED:
        assert "is listed in bl.test: listed since Monday" in refused["reason"]


def test_who_is_not_gets_through_though_a_list_that_died_lists_everything(door):
    code, said = door.swaks(UNLISTED)
    assert code == 0, said
    told = door.node.wait_event("message.judged", peer=UNLISTED)
    assert (told["outcome"], told["score"]) == ("inbox", 0.0)
    assert "dead.test" in door.node.wait_event("policy.list_unfit", zone="dead.test")["reason"]


def test_postmaster_hears_from_everybody(door):
    assert door.swaks(LISTED, recipient="postmaster@a.test")[0] == 0


def test_one_list_lets_in_what_another_would_refuse(door):
    assert door.swaks(ALLOWED)[0] == 0
    assert "dnsbl@rcpt accept" in door.node.wait_event("message.judged", peer=ALLOWED)["verdicts"]


def test_before_the_greeting(door, names, tmp_path):
    """By a server of its own, at whose door this machine's address stands for the client that a balancer names."""
    lists = (
        '[[policy]]\nname = "dnsbl"\noptions = { refuse_clients_at = 6, lists = [{ zone = "bl.test", score = 6 }] }\n'
    )
    strict = Door(tmp_path / "strict", names, lists)
    try:
        code, said = strict.swaks(LISTED)
        assert code, said
        assert (
            f"554 5.7.1 Refused: {LISTED} is listed in bl.test: listed since Monday" in said and "250 2.1.0" not in said
        )
        ended = strict.node.wait_event("session.ended", peer=LISTED)
        assert "dnsbl" in ended["reason"], ended
        assert strict.swaks(UNLISTED)[0] == 0
    finally:
        strict.node.stop()


def test_domains_score_and_the_sum_stands_on_top(door):
    code, said = door.swaks("192.0.2.7", "--header", "From: me@bad.test", sender="x@bad.test")
    assert code == 0, said
    told = door.node.wait_event("message.judged", peer="192.0.2.7")
    assert told["outcome"] == "junk" and told["score"] == 2.5  # the other half is the recipient's own
    assert "dnsbl@rcpt suspect +2.5" in told["verdicts"] and "dnsbl@end suspect +2.5" in told["verdicts"]


def test_commands_and_metrics_tell_how_much_of_it_there_was(door):
    door.swaks(LISTED)

    def stats():
        rows = {one["policy"]: one for one in json.loads(door.node.ctl("policy", "stats", "--json").stdout)}
        return rows if rows.get("dnsbl", {}).get("refused") else None

    assert wait_for(stats, "stats")["dnsbl"]["asked"] > 3
    [listed] = json.loads(door.node.ctl("policy", "list", "--json").stdout)
    assert (listed["name"], listed["place"], listed["origin"]) == ("dnsbl", "policy[0]", "mailnode.policy.dnsbl")
    assert listed["stages"] == ["connect", "helo", "mail", "rcpt", "end"] and "dead.test" in listed["options"]
    with urllib.request.urlopen(f"http://127.0.0.1:{door.node.ports['http']}/metrics", timeout=30) as answer:
        page = answer.read().decode()
    assert 'mailnode_policy_answers_total{answer="refuse",policy="dnsbl",stage="rcpt"}' in page
    assert 'mailnode_policy_seconds_count{policy="dnsbl"}' in page
    assert 'mailnode_messages_judged_total{outcome="refuse"}' in page


GREYLIST = '[[policy]]\nname = "greylist"\noptions = { delay = 3, at = "rcpt" }\n'
RATES = '[[policy]]\nname = "rates"\noptions = { limits = [{ by = "address", recipients = 2 }] }\n'


@pytest.fixture
def make(tmp_path, names):
    with contextlib.ExitStack() as ends:

        def make(policies):
            door = Door(tmp_path / "node", names, policies)
            ends.callback(door.node.stop)
            return door, ends

        yield make


def test_a_real_postfix_comes_again_and_is_let_in(make):
    door, ends = make(GREYLIST)
    postfix = Postfix("p.test", POSTFIX, free_port(POSTFIX), [("a.test", "127.0.0.1", door.node.ports["smtp"])])
    ends.callback(postfix.stop)
    postfix.start()
    subprocess.run(
        [program("swaks"), "--server", POSTFIX, "--port", str(postfix.port), "--to", "alice@a.test"]
        + ["--from", "bob@p.test"],
        check=True,
        capture_output=True,
        timeout=60,
    )
    put_off = door.node.wait_event("recipient.refused", sender="bob@p.test")
    assert (put_off["code"], put_off["status"], put_off["policy"]) == (451, "4.7.1", "greylist")
    door.node.wait_event("message.delivered", recipient="alice@a.test")
    assert door.node.wait_event("message.judged", outcome="inbox")["sender"] == "bob@p.test"


# SMTP trap 28
def test_whether_somebody_lives_here_is_told_to_nobody_who_is_put_off(make):
    door, _ = make(RATES + GREYLIST)
    said = {
        who: [line for line in door.swaks(UNLISTED, recipient=f"{who}@a.test")[1].splitlines() if " 451 " in line]
        for who in ("alice", "nobody")
    }
    assert said["alice"] == said["nobody"] != []
    assert "Not known here yet" in said["alice"][0]
    third = door.swaks(UNLISTED, recipient="alice@a.test")[1]
    assert "451 4.7.1 Too much mail from there" in third


def test_what_one_process_remembers_and_counts_the_other_knows(tmp_path):
    alone = "[judgement]\nchecks = []\n"
    node = Workers(tmp_path / "node", 2, extra=alone + RATES.replace("= 2", "= 4") + GREYLIST)
    node.start()
    try:
        node.add_account("alice@a.test")

        def told(index, sender):
            with node.connect(index) as client:
                client.ehlo()
                client.mail(sender)
                return client.rcpt("alice@a.test")

        assert told(0, "a@far.test")[1].startswith(b"4.7.1 Not known here yet")
        # Written a few seconds later, and by then old enough.
        wait_for(lambda: told(1, "a@far.test")[0] == 250 or time.sleep(3), "a try at the other process")
        words = [told(index, "b@far.test")[1] for index in (0, 1, 0, 1)]
        assert words[-1].startswith(b"4.7.1 Too much mail from there")

        def counted():
            rows = {one["policy"]: one for one in json.loads(node.ctl("policy", "stats", "--json").stdout)}
            return rows if rows.get("rates", {}).get("stages", {}).get("rcpt", 0) >= 6 else None

        rows = wait_for(counted, "what both have counted")
        assert rows["rates"]["deferred"] and rows["greylist"]["deferred"]
    finally:
        node.stop()
