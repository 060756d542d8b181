"""Operations on certificates that the server gets from a certification authority."""

from __future__ import annotations

from typing import TypedDict

from mailnode.admin.administration import RunningServer
from mailnode.admin.finding import moment
from mailnode.admin.operations import OperationFailed, Reason, operation
from mailnode.errors import CertificateFailed
from mailnode.interfaces.acme import IRenewal
from mailnode.values.acme import CertificateStanding, RenewalStanding


class IssuedCertificate(TypedDict):
    """One certificate; times are UTC, "" for none."""

    kind: str  # of its key: "ecdsa" or "rsa"
    names: list[str]
    not_after: str
    renew_at: str  # "": as soon as it can be
    why: str  # what says so
    next_key: str  # SHA-256 of the next public key, for TLSA records 3 1 1
    note: str  # what keeps that key from being used; "": nothing does


class RenewalReport(TypedDict):
    """How all of them stand."""

    directory: str
    certificates: list[IssuedCertificate]
    trouble: str  # why the last try failed; "": it did not
    failures: int  # one after the other
    next_try: str  # after a failure
    under_way: str  # what is being done just now


@operation("certificate.list")
async def certificate_list(server: RunningServer) -> RenewalReport:
    """The certificates that the server gets by itself, when they are renewed, and what went wrong."""
    return _report(_renewal(server).standing())


@operation("certificate.renew", changes=True, long=True)
async def certificate_renew(server: RunningServer, force: bool = False) -> RenewalReport:
    """Get what is due now, whatever failed before, and wait for it; with force also what is not due."""
    try:
        return _report(await _renewal(server).renew(force))
    except CertificateFailed as error:
        raise OperationFailed(Reason.FAILED, str(error)) from None


def _renewal(server: RunningServer) -> IRenewal:
    renewal = server.renewal()
    if renewal is None:
        raise OperationFailed(Reason.NOT_FOUND, "the server gets no certificates by itself: there is no [acme]")
    return renewal


def _report(standing: RenewalStanding) -> RenewalReport:
    return {
        "directory": standing.directory,
        "certificates": [_certificate(one) for one in standing.certificates],
        "trouble": standing.trouble,
        "failures": standing.failures,
        "next_try": _moment(standing.next_try),
        "under_way": standing.under_way,
    }


def _certificate(one: CertificateStanding) -> IssuedCertificate:
    return {
        "kind": one.kind,
        "names": list(one.names),
        "not_after": _moment(one.not_after),
        "renew_at": _moment(one.renew_at),
        "why": one.why,
        "next_key": one.next_key,
        "note": one.key_note,
    }


def _moment(seconds: float) -> str:
    return moment(seconds) if seconds else ""
