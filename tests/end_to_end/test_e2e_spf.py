"""The 203 cases of the suite of RFC 7208 once more, through a server: what it finds stands in the stored message."""

import re

from scripted_dns import FAILS, ScriptedDns
from servers import MailNode
from strangers import Strangers, become, inbox

from tests.policy.spf_suite import TIMEOUT, Scenario, scenarios

JUDGEMENT = '[judgement]\nchecks = ["iprev", "spf"]\njunk_at = 0\nrefuse_at = 0\n'
MANY = "[limits]\nconnections_per_minute = 0\nmessages_per_minute = 0\nrecipients_per_minute = 0\n"
# Reverse-paths that MAIL does not take: they never come so far.
NO_PATHS = {"toolonglabel", "emptylabel", "nolocalpart"}


class Part:
    """DNS of one scenario after the other."""

    def __init__(self) -> None:
        self.scenario: Scenario | None = None

    def look(self, name, kind):
        if self.scenario is None:
            return None
        found = self.scenario.look(name, kind)
        # That there is no such name is known for a second: for SPF one without records is as good.
        if found is None and any(name in one.zone for one in scenarios()):
            return name, []
        return FAILS if found == TIMEOUT else found


def may_fail(scenario):
    return any(TIMEOUT in pair for records in scenario.zone.values() for pair in records)


def in_order():
    """Those in which DNS fails last, and of them the one last that lets a name fail that others have: that it failed is
    remembered for some seconds."""
    return sorted(scenarios(), key=lambda one: (one.name == "Initial processing", may_fail(one)))


def send(client, case) -> str:
    """Send a message for a case; return what is refused of it."""
    if become(client, case.host, case.helo) != 250:
        return f"EHLO {case.helo}"
    local, _, domain = case.sender.rpartition("@")
    if client.docmd("MAIL", f'FROM:<"{local}"@{domain}>' if " " in local else f"FROM:<{case.sender}>")[0] != 250:
        return "MAIL"
    assert client.docmd("RCPT", "TO:<bob@a.test>")[0] == 250
    code, text = client.data(f"Subject: {case.scenario}/{case.name}\r\n\r\nx\r\n".encode())
    assert code == 250, text
    return ""


def test_the_suite_through_a_server(tmp_path):
    part, strangers = Part(), Strangers()
    dns = ScriptedDns(part.look)
    node = MailNode(tmp_path / "node", dns=dns, extra=strangers.extra + JUDGEMENT + MANY)
    try:
        node.start()
        node.add_account("bob@a.test")
        refused = {}
        for part.scenario in in_order():
            with strangers.connect() as client:
                for case in part.scenario.cases:
                    refused[f"{case.scenario}/{case.name}"] = send(client, case)
        found = {
            one["Subject"]: re.sub(r"\s+", " ", one["Authentication-Results"]) for one in inbox(node, "bob@a.test")
        }
    finally:
        node.stop()
        dns.stop()
    wrong = []
    for case in (case for scenario in scenarios() for case in scenario.cases):
        name = f"{case.scenario}/{case.name}"
        said = re.search(r"spf=(\w+)(?: reason=\S+| reason=\"[^\"]*\")? smtp.mailfrom", found.get(name, ""))
        if said is None or said[1] not in case.results:
            wrong.append((name, case.results, refused[name], found.get(name)))
    assert {name.partition("/")[2] for name, *_ in wrong} == NO_PATHS, wrong
