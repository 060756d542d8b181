"""A host that refuses what comes over one address family: lists of addresses with a bad name differ by it."""

import pytest
from scripted_peer import Scripted
from servers import Dns, MailNode, free_port
from test_e2e_relay import submit

NODE, FOUR, SIX = "127.0.0.17", "127.0.0.18", "::1"
BLOCKED = {"RCPT": "550 5.7.1 your address is on a list"}


class House:
    """A mailnode, and r.test whose one host has an address of each family."""

    def __init__(self, folder, four, six):
        port = free_port(FOUR)
        self.four, self.six = Scripted(FOUR, port, four), Scripted(SIX, port, six)
        self.dns = Dns(folder / "dns", [f"host-record=r.test,{FOUR},{SIX}"])
        extra = f"[queue]\nport = {port}\nretry = [3600.0]\n"
        self.node = MailNode(folder / "node", address=NODE, dns=self.dns, extra=extra)

    def __enter__(self):
        self.node.start()
        self.node.add_account("alice@a.test")
        submit(self.node, "alice@a.test", ["u@r.test"], "by either family")
        return self

    def __exit__(self, *_):
        for part in (self.node, self.dns, self.four, self.six):
            part.stop()


def test_what_one_family_refuses_goes_by_the_other_in_the_same_try(tmp_path):
    with House(tmp_path, {}, BLOCKED) as house:
        assert house.node.wait_event("queue.sent", recipient="u@r.test")["ip"] == FOUR
        assert "RCPT TO:<u@r.test>" in house.six.heard and len(house.four.taken) == 1
        assert not house.node.events("queue.deferred") and not house.node.events("queue.failed")


@pytest.mark.parametrize("six", [BLOCKED, {"": "554 5.7.1 your address is on a list"}])
def test_what_both_refuse_is_refused(tmp_path, six):
    with House(tmp_path, {"": six[""]} if "" in six else BLOCKED, six) as house:
        failed = house.node.wait_event("queue.failed", recipient="u@r.test")
        assert failed["status"] == "5.7.1" and failed["ip"] == FOUR
        assert house.node.wait_event("queue.bounced", envelope=failed["envelope"])


def test_it_need_not_be_the_first_try(tmp_path):
    answers = ["451 4.7.1 greylisted, try again", "550 5.7.1 your address is on a list"]
    with House(tmp_path, {}, {"RCPT": lambda line: answers.pop(0)}) as house:
        house.node.wait_event("queue.deferred", recipient="u@r.test")
        house.node.ctl("queue", "retry", "--domain", "r.test")
        assert house.node.wait_event("queue.sent", recipient="u@r.test")["ip"] == FOUR
        assert answers == [] and not house.node.events("queue.failed")


def test_a_banner_that_refuses_leads_to_the_other_family_too(tmp_path):
    with House(tmp_path, {}, {"": "554 5.7.1 your address is on a list"}) as house:
        assert house.node.wait_event("queue.sent", recipient="u@r.test")["ip"] == FOUR
