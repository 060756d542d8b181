"""What is said of certificates that the server gets by itself, and having them renewed."""

from __future__ import annotations

import pytest

from mailnode.admin.certificates import certificate_list, certificate_renew
from mailnode.admin.operations import OperationFailed, Reason
from mailnode.ctl.certificate_words import renewal
from mailnode.errors import CertificateFailed
from mailnode.net.no_reactor import run_now
from mailnode.values.acme import CertificateStanding, RenewalStanding

NOW = 1.8e9
GOOD = CertificateStanding("ecdsa", ("mx.a.test",), NOW + 90 * 86_400, NOW + 60 * 86_400, "two thirds", "ab" * 32)
NONE = CertificateStanding("rsa", (), 0.0, 0.0, "there is none for these names yet", "cd" * 32, "it waits")


class Renewing:
    """A server, and its renewal."""

    def __init__(self, standing: RenewalStanding | None = None, trouble: str = "") -> None:
        self._standing = standing
        self._trouble = trouble
        self.forced: list[bool] = []

    def renewal(self):
        return self if self._standing is not None else None

    def standing(self):
        return self._standing

    async def renew(self, force):
        self.forced.append(force)
        if self._trouble:
            raise CertificateFailed(self._trouble)
        return self._standing


def test_a_server_that_gets_none():
    for operation in (certificate_list, certificate_renew):
        with pytest.raises(OperationFailed) as caught:
            run_now(operation(Renewing()))
        assert (caught.value.reason, "[acme]" in caught.value.text) == (Reason.NOT_FOUND, True)


def test_how_they_stand_as_a_person_reads_it():
    standing = RenewalStanding("https://ca.example", (GOOD, NONE), "CAA records\x1b", 2, NOW + 600, "an order")
    told = run_now(certificate_list(Renewing(standing)))
    assert told["certificates"][0]["not_after"] == "2027-04-15T08:00:00Z"
    assert told["certificates"][1]["not_after"] == told["certificates"][1]["renew_at"] == ""
    lines = renewal(told).splitlines()
    assert lines[1].split() == ["ecdsa", "mx.a.test", "2027-04-15T08:00:00Z", "2027-03-16T08:00:00Z"]
    assert lines[2].split() == ["rsa", "none", "yet", "-", "now"]
    assert "# rsa: the key stays as it is: it waits" in lines
    assert any(line.startswith("! CAA records") and "2 failed" in line and "\x1b" not in line for line in lines)
    assert lines[-1] == "# now: an order"


def test_renewed_now():
    server = Renewing(RenewalStanding("https://ca.example", (GOOD,)))
    assert run_now(certificate_renew(server))["trouble"] == ""
    run_now(certificate_renew(server, force=True))
    assert server.forced == [False, True]


def test_what_fails_is_said():
    server = Renewing(RenewalStanding("https://ca.example", (GOOD,)), "it refuses")
    with pytest.raises(OperationFailed, match="it refuses"):
        run_now(certificate_renew(server))
