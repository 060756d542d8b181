"""``mailnode judge``: what would become of a message, asked of a running server and of a configuration alone."""

import json
import os
import time
from pathlib import Path

import dkim
import pytest
from scripted_dns import ScriptedDns
from servers import MailNode

from mailnode.message.dkim_keys import make_pair

LARGEST = 1_000_000
PEER, OTHER = "192.0.2.7", "192.0.2.8"
KEY = make_pair("good.test", "active", time.time())[0]
TXT = {
    "good.test": f"v=spf1 ip4:{PEER} -all",
    "_dmarc.good.test": "v=DMARC1; p=reject",
    KEY.record[0]: KEY.record[1],
}
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
    node = MailNode(folder / "node", dns=dns, extra=f"[limits]\nmessage_size = {LARGEST}\n")
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


def signed(message):
    """Sign. :param message: lines ending with LF."""
    lines = message.replace("\n", "\r\n").encode()
    return dkim.sign(lines, KEY.selector.encode(), b"good.test", KEY.private.encode()) + lines


def test_a_signature_holds_and_with_another_body_it_does_not(place):
    """Sent from elsewhere, so that the signature alone vouches for it; the keys come from a DNS server."""
    node, file = place
    letter = file.with_name("signed.eml")
    letter.write_bytes(signed(MESSAGE))
    told = json.loads(judge((node, letter), "--json", peer=OTHER))
    assert (told["outcome"], told["refusals"]) == ("inbox", [])
    assert "dkim=pass" in told["header"] and "dmarc=pass" in told["header"]
    assert ("TXT", KEY.record[0]) in {(one["type"], one["name"]) for one in told["lookups"]}
    letter.write_bytes(signed(MESSAGE).replace(b"hello", b"hullo"))
    told = json.loads(judge((node, letter), "--json", peer=OTHER))
    assert answers(told)["end", "dkim"]["answer"] == "suspect"
    assert (told["outcome"], told["policy"], told["stage"]) == ("refuse", "dmarc", "end")
    assert answers(told)["end", "words"], "behind the refusal too"


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
    with large.open("wb") as hole:
        hole.truncate(LARGEST + 1)
    command[1] = str(large)
    assert f"the server takes none of more than {LARGEST}" in node.ctl(*command, PEER, check=False).stderr


def test_the_largest_that_the_server_takes_is_judged_from_a_file_and_through_a_pipe(place):
    node, file = place
    large = file.with_name("largest.eml")
    head = signed(MESSAGE + "x" * 70 + "\n")
    large.write_bytes(head + (b"y" * 70 + b"\r\n") * ((LARGEST - len(head)) // 72))
    assert LARGEST - 72 < large.stat().st_size <= LARGEST
    told = json.loads(judge((node, large), "--json"))
    assert told["outcome"] == "inbox" and "dkim=fail" in told["header"] and "spf=pass" in told["header"]
    told = json.loads(judge(place, "--json", stdin=large.read_text()))
    assert told["outcome"] == "inbox" and "dkim=fail" in told["header"]


def test_a_file_that_only_the_one_who_asks_may_read(place):
    """It is handed over open: no name of it is told. No descriptor of the server's stays behind."""
    node, file = place
    secret = file.with_name("secret.eml")
    secret.write_text(MESSAGE)
    with secret.open("rb") as opened:
        secret.unlink()
        told = json.loads(judge((node, f"/proc/{os.getpid()}/fd/{opened.fileno()}"), "--json"))
    assert told["outcome"] == "inbox"
    held = Path(f"/proc/{node.process.popen.pid}/fd")
    assert not [one for one in held.iterdir() if one.is_symlink() and "secret.eml" in os.readlink(one)]


def test_where_no_server_runs_a_large_one_too(place):
    node, file = place
    large = file.with_name("larger.eml")
    large.write_text(MESSAGE + ("x" * 70 + "\n") * 13_000)
    assert node.stop() == 0
    told = json.loads(judge((node, large), "--json"))
    assert told["outcome"] == "inbox"
    assert "spf=pass" in told["header"]
    assert json.loads(judge((node, large), "--json", peer=OTHER))["policy"] == "dmarc"
    node.start()
