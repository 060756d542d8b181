"""The 203 cases of the suite of RFC 7208, through our driver."""

import pytest
from spf_suite import TIMEOUT, cases
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from zope.interface import implementer
from zope.interface.verify import verifyObject

from mailnode.errors import NoSuchName, ResolverFailure
from mailnode.interfaces.outbound import IResolver, MxRecord, Records
from mailnode.net.no_reactor import CallingThread
from mailnode.policy.spf_check import SpfCheck
from mailnode.policy.spf_query import SpfIdentity


@implementer(IResolver)
class SuiteZone:
    """What a scenario's DNS says."""

    def __init__(self, scenario):
        self._scenario = scenario

    def look(self, name, kind):
        found = self._scenario.look(name, kind)
        if found is None:
            raise NoSuchName(name)
        if found == TIMEOUT:
            raise ResolverFailure(name)
        return found[1]

    async def a(self, host):
        return Records(self.look(host, "A"))

    async def aaaa(self, host):
        return Records(self.look(host, "AAAA"))

    async def addresses(self, host):
        raise AssertionError("SPF asks for one family")

    async def mx(self, domain):
        return Records(MxRecord(preference, host.removesuffix(".")) for preference, host in self.look(domain, "MX"))

    async def ptr(self, address):
        from dns.reversename import from_address

        return Records(name.removesuffix(".") for name in self.look(str(from_address(address)), "PTR"))

    async def txt(self, name):
        return Records(b"".join(texts) for texts in self.look(name, "TXT"))

    async def tlsa(self, name):
        raise AssertionError("SPF asks for no TLSA")


def test_the_suite_is_whole():
    assert len(cases()) == 203


@pytest.mark.parametrize(("scenario", "case"), [pytest.param(*one, id=one[1].name) for one in cases()])
def test_case(scenario, case):
    zone = SuiteZone(scenario)
    verifyObject(IResolver, zone)
    check = SpfCheck(zone, CallingThread(), Clock(), "receiver.test")
    local, _, domain = case.sender.rpartition("@") if case.sender else ("postmaster", "@", case.helo)
    done = []
    who = SpfIdentity(case.host, local, domain, case.helo)
    Deferred.fromCoroutine(check.find(who)).addBoth(done.append)
    [outcome] = done
    assert outcome.result in case.results, outcome
    if case.explanation is not None:
        assert outcome.text == ("" if case.explanation == "DEFAULT" else case.explanation)
