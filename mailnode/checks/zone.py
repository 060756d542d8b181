"""The records that a domain's zone should have for mail, as data."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Sequence
from urllib.parse import quote

from mailnode.checks.caa import AUTHORITIES, allowing, certified
from mailnode.values.address import domain_key
from mailnode.values.published import CLIENT_HOSTS, SERVICES, DnsRecord, Published

MX_PREFERENCE = 10

_PROGRAMS = {
    "submission": "send",
    "imap": "read mail over IMAP",
    "pop3": "fetch mail over POP3",
    "managesieve": "change filters",
}
_SRV_RFCS = {"sieve": "RFC 5804"}  # of labels that RFC 6186 does not have: nobody is told that there is no such service
_KINDS = {"implicit": "TLS from the first octet", "starttls": "STARTTLS"}


def zone(domain: str, published: Published, dkim: Sequence[tuple[str, str]] = ()) -> list[DnsRecord]:
    """Return the records of a domain, and those of the host name and of other zones that it depends on.

    :param domain: in A-labels. :param dkim: names and texts of the records of its DKIM keys.
    """
    return [
        *_receiving(domain, published),
        *_sending(domain, published),
        *(DnsRecord(name, "TXT", text, "The key by which others verify our signatures (DKIM).") for name, text in dkim),
        *_reports(domain, published),
        *_encryption(domain, published),
        *_issuance(published),
        *_programs(domain, published),
        *_settings(domain, published),
    ]


def notes(domain: str, published: Published, records: Sequence[DnsRecord]) -> list[str]:
    """Return what a person should know of the records of a domain beside them."""
    found = []
    host = published.hostname
    if not published.addresses:
        found.append(
            f"The addresses of {host} are not known here: publish A and AAAA records of it, or name them in [server]"
            " addresses."
        )
    if not any("._domainkey." in one.name for one in records):
        found.append(
            f"No key of {domain} is to be published (DKIM): make some with mailnode domain dkim-rotate {domain}."
        )
    if published.relays:
        found.append(
            f"Mail leaves through {', '.join(published.relays)}: add to the SPF record what its operator says, often an"
            " include:, and then end it with -all."
        )
    if not published.key_digests:
        found.append("No certificate could be read: there is no TLSA record.")
    elif not _covered(host, published):
        found.append(
            f"No certificate here is for {host}: other servers and mail programs that look at it take it for wrong."
        )
    issued = certified(host, published)
    if issued is not None and issued[1] not in AUTHORITIES:
        found.append(
            f"The certificate of {host} was issued by {issued[1]}: what it is called in a CAA record (RFC 8659), it says itself."
        )
    if published.sts is None:
        found.append(
            'MTA-STS is not published: nothing serves its policy. Add a listener with protocol = "http", tls = "implicit" and'
            f' pages = ["mta-sts"] on port 443 and a certificate for mta-sts.{domain}.'
        )
    elif not _covered(policy_host(domain), published):
        found.append(
            f"No certificate here is for {policy_host(domain)}: unless another server shows the MTA-STS policy, add one as"
            " [[tls.name]]."
        )
    return found + _settings_notes(domain, published)


def _settings_notes(domain: str, published: Published) -> list[str]:
    bare = [host for host in settings_hosts(domain, published) if not _covered(host, published)]
    if not bare:
        return []
    return [
        f"No certificate here is for {' and '.join(bare)}: unless another server shows them the settings, mail programs that"
        " look there find none. Add them to [acme] names, or a certificate as [[tls.name]]."
    ]


def settings_hosts(domain: str, published: Published) -> list[str]:
    """Return the names under which programs look for the settings of a domain; none where nothing shows them."""
    return [f"{label}.{domain}" for label in CLIENT_HOSTS] if published.clients else []


def _covered(host: str, published: Published) -> bool:
    return not {host, "*." + host.partition(".")[2]}.isdisjoint(published.certificate_names)


def policy_host(domain: str) -> str:
    """Return the name under which the MTA-STS policy of a domain is fetched (RFC 8461 3.3)."""
    return f"mta-sts.{domain}"


def reports_to(domain: str, published: Published) -> str:
    """Return the address that reports about a domain go to."""
    return published.reports_to or f"postmaster@{domain}"


def _receiving(domain: str, published: Published) -> Iterator[DnsRecord]:
    host = published.hostname
    yield DnsRecord(domain, "MX", f"{MX_PREFERENCE} {host}", "Where mail for the domain goes.")
    for text in published.addresses:
        kind = "AAAA" if ipaddress.ip_address(text).version == 6 else "A"
        yield DnsRecord(host, kind, text, "Where this server is.")


def _sending(domain: str, published: Published) -> Iterator[DnsRecord]:
    end = "~all" if published.relays else "-all"
    yield DnsRecord(domain, "TXT", f"v=spf1 mx {end}", "Who may send mail from the domain (SPF): its mail servers.")
    if published.hostname != domain:
        why = "The same for the name this server greets with, which bounces are checked by (SPF)."
        yield DnsRecord(published.hostname, "TXT", "v=spf1 a -all", why)


def _reports(domain: str, published: Published) -> Iterator[DnsRecord]:
    address = reports_to(domain, published)
    local, _, written = address.rpartition("@")
    where = domain_key(written)
    to = f"mailto:{quote(local, safe='')}@{where}"
    yield DnsRecord(
        f"_dmarc.{domain}",
        "TXT",
        f"v=DMARC1; p={published.dmarc}; rua={to}",
        "What others should do with mail that only claims to be from the domain, and where they report it (DMARC).",
    )
    if not _related(domain, where):  # RFC 7489 7.1
        yield DnsRecord(
            f"{domain}._report._dmarc.{where}",
            "TXT",
            "v=DMARC1",
            f"Reports about {domain} go to another domain: it must say in its zone that it takes them (RFC 7489 7.1).",
        )
    why = "Where others report that TLS to this server failed (TLS-RPT)."
    yield DnsRecord(f"_smtp._tls.{domain}", "TXT", f"v=TLSRPTv1; rua={to}", why)


def _related(one: str, other: str) -> bool:
    return one == other or one.endswith(f".{other}") or other.endswith(f".{one}")


def _encryption(domain: str, published: Published) -> Iterator[DnsRecord]:
    if published.sts is not None:
        why = "Tells others that there is a policy for TLS, and which one (MTA-STS); its id changes with the policy."
        yield DnsRecord(f"_mta-sts.{domain}", "TXT", f"v=STSv1; id={published.sts.id};", why)
        yield DnsRecord(policy_host(domain), "CNAME", published.hostname, "Where that policy is fetched.")
    for digest in published.key_digests:
        yield DnsRecord(
            f"_25._tcp.{published.hostname}",
            "TLSA",
            f"3 1 1 {digest}",
            "The key of this server's certificate (DANE). Only in a zone that is signed with DNSSEC; publish that of a new key"
            " before the key is in use.",
        )


def _issuance(published: Published) -> Iterator[DnsRecord]:
    found = certified(published.hostname, published)
    if found is not None and found[1] in AUTHORITIES:
        name, organization = found
        wild = name.startswith("*.")
        names = name if wild else "this name and those below it"
        yield DnsRecord(
            name.removeprefix("*."),
            "CAA",
            allowing("issuewild" if wild else "issue", organization),
            f"Who may issue certificates for {names}: nobody else (CAA). Others that you use must stand here too.",
        )


def _programs(domain: str, published: Published) -> Iterator[DnsRecord]:
    for label, port in published.services.items():
        protocol, tls = SERVICES[label]
        rfcs = _SRV_RFCS.get(label, "RFC 6186, RFC 8314")
        why = f"Where programs {_PROGRAMS[protocol]}, with {_KINDS[tls]} ({rfcs})."
        yield DnsRecord(f"_{label}._tcp.{domain}", "SRV", f"0 1 {port} {published.hostname}", why)
    for label in (label for label in SERVICES if label not in published.services and label not in _SRV_RFCS):
        yield DnsRecord(f"_{label}._tcp.{domain}", "SRV", "0 0 0 .", "Tells programs what is not offered (RFC 6186).")


def _settings(domain: str, published: Published) -> Iterator[DnsRecord]:
    for host in settings_hosts(domain, published):
        yield DnsRecord(host, "CNAME", published.hostname, "Where mail programs find their settings.")
    if published.clients:
        yield DnsRecord(
            f"_autodiscover._tcp.{domain}",
            "SRV",
            f"0 1 {published.clients} {published.hostname}",
            "Where Outlook finds its settings, if not under that name.",
        )
