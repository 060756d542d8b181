"""``mailnode judge``: what would become of a message, asked of a running server and of a configuration alone."""

import json

import pytest
from scripted_dns import ScriptedDns
from servers import MailNode

PEER, OTHER = "192.0.2.7", "192.0.2.8"
TXT = {"good.test": f"v=spf1 ip4:{PEER} -all", "_dmarc.good.test": "v=DMARC1; p=reject"}
MESSAGE = (
    "From: Ann <ann@good.test>\nTo: alice@a.test\nSubject: x\nAuthentication-Results: mx.a.test; spf=pass\n\nhello\n"
)


def look(name, kind):
    if name not in TXT:
        return None
    return name, [TXT[name]] if kind == "TXT" else []


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("judge")
    dns = ScriptedDns(look)
    node = MailNode(folder / "node", dns=dns)
    file = folder / "message.eml"
    file.write_text(MESSAGE)
    try:
        node.start()
        node.add_account("alice@a.test")
        yield node, file
    finally:
        node.stop()
        dns.stop()


def judge(place, *options, peer=PEER, rcpt=("alice@a.test",), sender="ann@good.test", stdin=""):
    node, file = place
    named = [f"--rcpt={one}" for one in rcpt]
    command = ["judge", "-" if stdin else str(file), "--from", peer, "--helo", "mail.good.test", "--mail-from", sender]
    return node.ctl(*command, *named, *options, stdin=stdin).stdout


def answers(told):
    return {(one["stage"], one["policy"]): one for one in told["answers"]}


def test_who_is_who_it_says_is_let_in_with_all_that_was_found(place):
    told = json.loads(judge(place, "--json"))
    assert (told["outcome"], told["reply"][:3]) == ("inbox", "250")
    assert answers(told)["mail", "spf"]["answer"] in ("pass", "trust")
    asked = {(one["type"], one["name"]): one for one in told["lookups"]}
    assert asked["TXT", "good.test"]["records"] == [TXT["good.test"]]
    assert ("TXT", "_dmarc.good.test") in asked
    assert asked["PTR", PEER]["failure"] == "no such name"
    assert told["header"].startswith("Authentication-Results: mx.a.test;")
    assert "dmarc=pass" in told["header"]
    assert [(one["address"], one["outcome"]) for one in told["recipients"]] == [("alice@a.test", "inbox")]


def test_who_is_not_is_refused_by_name_of_policy_and_stage(place):
    told = json.loads(judge(place, "--json", peer=OTHER))
    assert (told["outcome"], told["policy"], told["stage"]) == ("refuse", "dmarc", "end")
    assert told["reply"].startswith("550 5.7.1 Refused by the DMARC policy of good.test")
    assert answers(told)["mail", "spf"]["score"] > 0


def test_people_read_it(place):
    shown = judge(place, peer=OTHER)
    assert shown.startswith("refuse, by dmarc at end: 550")
    for said in ("spf", "good.test says that 192.0.2.8 may not send for it", "v=DMARC1; p=reject", "_dmarc.good.test"):
        assert said in shown


def test_standard_input_and_recipients_that_are_refused(place):
    told = json.loads(judge(place, "--json", stdin=MESSAGE, rcpt=("nobody@a.test", "alice@a.test")))
    assert [(one["address"], one["outcome"]) for one in told["recipients"]] == [
        ("nobody@a.test", "refuse"),
        ("alice@a.test", "inbox"),
    ]
    assert told["recipients"][0]["reply"].startswith("550 5.1.1")


def test_nothing_of_it_is_left(place):
    node, _ = place
    before = node.ctl("policy", "stats", "--json").stdout
    judge(place)
    judge(place, peer=OTHER)
    assert node.ctl("policy", "stats", "--json").stdout == before
    assert not node.events("message.judged") + node.events("message.accepted") + node.events("recipient.refused")
    assert not node.queue()


def test_what_is_wrong_is_said(place):
    node, file = place
    command = ["judge", str(file), "--helo", "x", "--mail-from", "", "--from"]
    assert "not an IP address" in node.ctl(*command, "somewhere", check=False).stderr
    large = file.with_name("large.eml")
    large.write_text(MESSAGE + "x" * 70 + "\n" * 300_000)
    command[1] = str(large)
    assert "more than a running server is told" in node.ctl(*command, PEER, check=False).stderr


def test_where_no_server_runs_a_large_one_too(place):
    node, file = place
    large = file.with_name("larger.eml")
    large.write_text(MESSAGE + ("x" * 70 + "\n") * 20_000)
    assert node.stop() == 0
    told = json.loads(judge((node, large), "--json"))
    assert told["outcome"] == "inbox"
    assert "spf=pass" in told["header"]
    assert json.loads(judge((node, large), "--json", peer=OTHER))["policy"] == "dmarc"
    node.start()
