"""The settings of certificates from a certification authority: ``[acme]`` and ``[[acme.zone]]``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from mailnode.config.fields import (
    CertificateName,
    DomainName,
    FilePath,
    Host,
    HttpsUrl,
    HttpsUrlOrNone,
    MailboxOrNone,
    Section,
)
from mailnode.values.acme import AcmeSettings, ExternalAccount
from mailnode.values.address import domain_key
from mailnode.values.dns_update import TsigKey, UpdateServer

LETS_ENCRYPT = "https://acme-v02.api.letsencrypt.org/directory"
LETS_ENCRYPT_STAGING = "https://acme-staging-v02.api.letsencrypt.org/directory"


class AcmeZone(Section):
    """A zone of DNS that the server may change (RFC 2136), for the challenge dns-01 and for TLSA records of keys to come."""

    name: DomainName = Field(description="The zone.")
    server: Host = Field(description="Its primary name server: a host name or an IP address.")
    port: int = Field(53, ge=1, le=65535, description="Its port.")
    key_name: str = Field("", description="The name of the TSIG key it knows us by. Empty: it knows us by our address.")
    key_algorithm: Literal["hmac-sha256", "hmac-sha384", "hmac-sha512", "hmac-sha224", "hmac-sha1", "hmac-md5"] = Field(
        "hmac-sha256", description="The algorithm of that key."
    )
    key_file: FilePath | None = Field(
        None, description="A file whose first line is the secret of that key in Base64, readable by the server alone."
    )


class Acme(Section):
    """Certificates that the server gets and renews by itself (:doc:`certificates`). Without this section it gets none. It needs
    what "pip install '.[acme]'" installs."""

    directory: HttpsUrl = Field(LETS_ENCRYPT, description="The directory of the certification authority.")
    staging: HttpsUrlOrNone | None = Field(
        None,
        description="The directory of its test installation, where the first order goes, so that mistakes cost nothing. Empty: it "
        "has none. When it is not said: that of Let's Encrypt, where ``directory`` is Let's Encrypt's.",
    )
    terms_agreed: bool = Field(
        False, description="Whether you agree to the terms of the authority: true, or nothing is asked of it."
    )
    contact: MailboxOrNone = Field("", description="A mail address for the authority. Empty: none is told.")
    names: list[CertificateName] = Field(
        [],
        max_length=100,
        description="The names that the certificate is for, such as mta-sts.example.org, beside ``[server] hostname``, which "
        "is always the first. With dns-01 also wildcards, ``*.example.org``.",
    )
    challenge: Literal["http-01", "tls-alpn-01", "dns-01"] = Field(
        "http-01",
        description="How it is proved that the names lead here: by a page on port 80, by a handshake on port 443, by a record in "
        "DNS.",
    )
    webroot: FilePath | None = Field(
        None,
        description="For http-01 where another web server has port 80: the directory that it shows, below which "
        "proofs are written. Not given: a listener for http shows them.",
    )
    keys: list[Literal["ecdsa", "rsa"]] = Field(
        ["ecdsa"],
        min_length=1,
        max_length=2,
        description="Kinds of keys, with a certificate each. With both, clients are shown the one they can use.",
    )
    profile: Annotated[str, Field(max_length=64)] = Field(
        "", description='The profile to order, such as "shortlived". Empty: the one that the authority chooses.'
    )
    eab_kid: str = Field("", description="The id of your account there, where the authority asks for one (EAB).")
    eab_key_file: FilePath | None = Field(
        None, description="A file whose first line is the MAC key of that account, readable by the server alone."
    )
    ca_file: FilePath | None = Field(
        None,
        description="A PEM file of who vouches for the authority's own web server, for an authority of your own. Not given: "
        "one of those that browsers trust (certifi).",
    )
    zone: list[AcmeZone] = Field([], description="Zones that the server may change.")

    @property
    def staging_directory(self) -> str:
        """The URL of the test installation; "" for none."""
        if self.staging is not None:
            return self.staging
        return LETS_ENCRYPT_STAGING if self.directory == LETS_ENCRYPT else ""

    def settings(self, hostname: str) -> AcmeSettings:
        """Return what those go by who get certificates. :param hostname: the first name.

        :raises OSError: a file with a secret cannot be read."""
        account = None
        if self.eab_kid and self.eab_key_file is not None:
            account = ExternalAccount(self.eab_kid, _first_line(self.eab_key_file))
        return AcmeSettings(
            self.directory,
            tuple(dict.fromkeys([hostname, *self.names])),
            self.staging_directory,
            self.contact,
            tuple(dict.fromkeys(self.keys)),
            self.challenge,
            str(self.webroot or ""),
            self.profile,
            account,
            str(self.ca_file or ""),
            {domain_key(zone.name): _server(zone) for zone in self.zone},
        )


def _server(zone: AcmeZone) -> UpdateServer:
    key = None
    if zone.key_name and zone.key_file is not None:
        key = TsigKey(zone.key_name, _first_line(zone.key_file), zone.key_algorithm)
    return UpdateServer(zone.server, key, zone.port)


def _first_line(path: FilePath) -> str:
    with path.open("r", encoding="ascii", errors="replace") as file:
        return file.readline(1000).strip()


def acme_mistakes(acme: Acme, hostname: str) -> list[str]:
    """Return what is wrong between keys. :param hostname: the server's."""
    mistakes = []
    if not acme.terms_agreed:
        mistakes.append("acme.terms_agreed: should be true: read the terms of the authority, and agree")
    if bool(acme.eab_kid) != (acme.eab_key_file is not None):
        mistakes.append("acme.eab_kid: eab_kid and eab_key_file belong together")
    if acme.webroot is not None and acme.challenge != "http-01":
        mistakes.append("acme.webroot: only with challenge http-01")
    wild = [name for name in acme.names if name.startswith("*.")]
    if wild and acme.challenge != "dns-01":
        mistakes.append(f"acme.names: {wild[0]}: a wildcard needs the challenge dns-01")
    for index, zone in enumerate(acme.zone):
        if bool(zone.key_name) != (zone.key_file is not None):
            mistakes.append(f"acme.zone[{index}].key_name: key_name and key_file belong together")
    if acme.challenge == "dns-01":
        zones = [domain_key(zone.name) for zone in acme.zone]
        for name in dict.fromkeys([hostname, *acme.names]):
            bare = name.removeprefix("*.")
            if not any(bare == zone or bare.endswith(f".{zone}") for zone in zones):
                mistakes.append(f"acme.zone: {name} is in none of them, which dns-01 needs")
    return mistakes
