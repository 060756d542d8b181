"""A message in, a message out, and what comes back of it in words."""

from dataclasses import replace

import pytest
from setup_support import FakePerson

from mailnode.config.commented import commented
from mailnode.interfaces.setup import MessageOffered
from mailnode.setup.items import configuration, round_trip
from mailnode.setup.returned import explain, reason_in_words
from mailnode.setup.runner import go_through
from mailnode.values.item import ItemState

DONE, TO_DO, WAITING = ItemState.DONE, ItemState.TO_DO, ItemState.WAITING
FAILED, SKIPPED = ItemState.FAILED, ItemState.SKIPPED
HOST = "mail.example.org"

REPLY = """\
From: verifier@example.net
To: you@example.org
Subject: results
Authentication-Results: mail.example.org; spf=fail

Summary
SPF check:          pass
DKIM check:         pass
DMARC check:        {dmarc}

> Authentication-Results: verifier.example.net;
>   spf=pass smtp.mailfrom=you@example.org;
>   dkim=pass header.d=example.org
"""
BOUNCE = """\
From: MAILER-DAEMON@example.net
Content-Type: multipart/report; report-type=delivery-status; boundary=x

--x
Content-Type: text/plain

It did not work.
--x
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.net

Final-Recipient: rfc822; echo@example.net
Action: {action}
Status: 5.0.0
Diagnostic-Code: smtp; {said}
--x--
"""
ECHOED = """\
From: echo@example.net
Content-Type: multipart/mixed; boundary=x

--x
Content-Type: message/rfc822

Authentication-Results: mx.example.net; dkim=pass header.d=example.org; dkim=fail header.d=other; spf={spf} smtp.mailfrom=a
Received: from mail.example.org (mail.example.org [198.51.100.7])
 by mx.example.net with ESMTPS id 1; Mon, 30 Nov 2026 10:00:00 +0000
From: you@example.org

text
--x--
"""


def said(text, host=HOST):
    return explain(text.encode(), host)


def test_a_reply_with_results():
    found = said(REPLY.format(dmarc="pass"))
    assert found.good and [line.split()[0] for line in found.lines] == ["SPF", "DKIM", "DMARC"]


def test_what_fails_is_said_with_what_mends_it():
    found = said(REPLY.format(dmarc="fail"))
    assert not found.good and "neither SPF nor DKIM" in found.lines[-1]
    found = said(ECHOED.format(spf="softfail"))
    assert not found.good and any("domain check" in line for line in found.lines)


def test_one_right_signature_of_several_is_enough():
    found = said(ECHOED.format(spf="pass"))
    assert found.good and "they got it from 198.51.100.7, encrypted" in found.lines


def test_our_own_results_about_the_answer_count_for_nothing():
    assert said("Authentication-Results: mail.example.org; spf=fail\n\nhello\n").good


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        ("550 5.7.1 Client host blocked using zen.spamhaus.org", "block list"),
        ("550 5.7.25 no PTR record", "PTR"),
        ("550-5.7.26 unauthenticated", "SPF or DKIM"),
        ("550 5.1.1 no such user", "no such mailbox"),
        ("451 4.7.1 Greylisted, try again", "tried again by itself"),
        ("554 5.7.1 we do not like you", "a rule of theirs"),
        ("599 other", "they say: 599 other"),
        ("", "do not say why"),
    ],
)
def test_bounces_in_words(reply, words):
    assert words in reason_in_words(reply)
    found = said(BOUNCE.format(action="failed", said=reply or "x"))
    assert not found.good and found.lines[0].startswith("it was refused")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe\x00",
        b"Content-Type: multipart/report; boundary=x\n\n--x\nContent-Type: message/delivery-status\n\n\n--x--",
        b"Content-Type: multipart/mixed; boundary=a\n\n" * 500,
        b"Authentication-Results: " + b"a;" * 100_000,
        b"Content-Type: text/plain; charset=nonsense\n\nSPF: \x1b[2J\n",
    ],
)
def test_nonsense_that_comes_back_is_no_end_of_it(content):
    assert explain(content, HOST).lines


# The items


class FakeMail:
    def __init__(self, world):
        self.world = world
        self.offered, self.submitted = [], []
        self.taken = MessageOffered(True, "250 OK")
        self.box: list[bytes] = []
        self.answer = None

    def offer(self, address, greeting, sender, recipient, message):
        self.offered.append(address)
        if self.taken.taken:
            self.box.append(message)
        return self.taken

    def submit(self, login, port, sender, recipient, message):
        assert login == ("you@example.org", "trial password") and port == 465
        self.submitted.append((recipient, message))
        return self.taken

    def find(self, login, port, words):
        assert login == ("you@example.org", "trial password") and port == 993
        if self.answer is not None and any(words.encode() in message for _, message in self.submitted):
            return [self.answer]
        return [message for message in self.box if words.encode() in message]


@pytest.fixture
def served(world):
    around = world.around()
    world.places.config.write_text(commented(configuration.wanted_table(around), "x"))
    world.mail = FakeMail(world)
    world.machine.dns["example.org", "MX"] = ("20 backup.example.net", f"10 {HOST}")
    world.machine.dns[HOST, "A"] = ("198.51.100.7",)
    world.trials = []
    trial = {"username": "you@example.org", "password": "trial password"}
    world.server.results |= {
        "account.trial-login": lambda given: world.trials.append("made") or trial,
        "account.trial-end": lambda given: world.trials.append("ended") or {},
        "queue.list": [],
    }
    return world


def run(world, item):
    [found] = go_through([replace(item, needs=())], world.around())
    assert world.trials.count("made") == world.trials.count("ended")
    return found


def test_a_message_comes_in_by_the_mx_and_once_is_enough(served):
    assert run(served, round_trip.ARRIVES_ITEM).state is DONE
    assert served.mail.offered == ["198.51.100.7"] and len(served.trials) == 2
    assert run(served, round_trip.ARRIVES_ITEM).state is DONE
    assert len(served.mail.offered) == 1


def test_a_mx_that_nobody_answers_at_is_said(served):
    served.mail.taken = MessageOffered(False, "connection refused")
    found = run(served, round_trip.ARRIVES_ITEM)
    assert found.state is FAILED and "connection refused" in found.seen and "firewall" in found.mend


def test_a_message_that_this_machine_took_and_nobody_finds_is_not_blamed_on_the_mx(served):
    served.mail.find = lambda *args: []
    found = run(served, round_trip.ARRIVES_ITEM)
    assert found.state is FAILED and "another server" not in found.seen and "log" in found.mend


def test_a_mx_that_leads_elsewhere_is_found(served):
    served.machine.dns[HOST, "A"] = ("198.51.100.8",)
    served.mail.find = lambda *args: []
    found = run(served, round_trip.ARRIVES_ITEM)
    assert found.state is FAILED and "leads to another server" in found.seen
    assert served.machine.now() < 1_790_000_060


@pytest.mark.parametrize("lacks", [("example.org", "MX"), (HOST, "A")], ids=["mx", "address"])
def test_a_resolver_that_remembers_nothing_is_waited_for(served, lacks):
    """It has nothing to do with port 25; with patience it is asked until it knows."""
    known = served.machine.dns.pop(lacks)
    found = run(served, round_trip.ARRIVES_ITEM)
    assert found.state is WAITING and "resolver does not know" in found.seen and served.mail.offered == []
    served.patience = 30.0

    def appear():
        if served.machine.now() >= 1_790_000_010:
            served.machine.dns[lacks] = known

    served.machine.on_pause = appear
    assert run(served, round_trip.ARRIVES_ITEM).state is DONE
    assert served.machine.now() < 1_790_000_020


def test_where_nobody_gives_an_address_none_is_tried(served):
    assert run(served, round_trip.ITEM).state is SKIPPED
    served.person = FakePerson({"An address elsewhere": ["nonsense", ""]})
    assert run(served, round_trip.ITEM).state is SKIPPED
    assert served.mail.submitted == []


def test_what_comes_back_is_told_and_nothing_is_sent_again(served):
    served.given["echo_address"] = "echo@example.net"
    served.mail.answer = REPLY.format(dmarc="pass").encode()
    found = run(served, round_trip.ITEM)
    assert found.state is DONE and "SPF, DKIM, DMARC pass there" in found.seen
    assert any("DKIM passes" in line for line in served.told)
    assert run(served, round_trip.ITEM).state is DONE
    [(recipient, message)] = served.mail.submitted
    assert recipient == "echo@example.net" and b"Auto-Submitted" not in message


def test_what_is_bad_is_told_and_tried_anew_at_the_next_run(served):
    served.given["echo_address"] = "echo@example.net"
    served.mail.answer = BOUNCE.format(action="failed", said="550 5.7.25 no PTR record").encode()
    found = run(served, round_trip.ITEM)
    assert found.state is FAILED and "PTR" in found.seen
    served.mail.answer = REPLY.format(dmarc="pass").encode()
    assert run(served, round_trip.ITEM).state is DONE
    assert len(served.mail.submitted) == 2


def test_an_answer_that_takes_its_time_is_found_by_a_later_run(served):
    served.given["echo_address"] = "echo@example.net"
    assert run(served, round_trip.ITEM).state is WAITING
    waiting = [{"recipients": [{"address": "echo@example.net", "last_reply": "451 4.7.1 Greylisted"}]}]
    served.server.results["queue.list"] = waiting
    assert "tried again by itself" in run(served, round_trip.ITEM).seen
    served.mail.answer = REPLY.format(dmarc="pass").encode()
    assert run(served, round_trip.ITEM).state is DONE
    assert len(served.mail.submitted) == 1


def test_the_password_for_the_trial_is_taken_back_whatever_happens(served):
    def interrupted(*args):
        raise KeyboardInterrupt

    served.mail.find = interrupted
    with pytest.raises(KeyboardInterrupt):
        run(served, round_trip.ARRIVES_ITEM)
    assert served.trials == ["made", "ended"]
