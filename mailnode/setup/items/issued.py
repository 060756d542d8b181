"""The certificate of an authority: asked for when DNS is right, and for the names under which pages of every domain are shown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import cast

from mailnode.admin.certificates import IssuedCertificate, RenewalReport
from mailnode.admin.operations import OperationFailed
from mailnode.admin.published import ZoneRecords
from mailnode.setup.items import configuration, service
from mailnode.setup.items.certificate import Source, authority_name, source
from mailnode.setup.row import SetupItem, Surrounded
from mailnode.setup.trouble import SetupTrouble
from mailnode.setup.web_snippets import web_hosts
from mailnode.values.item import Item, ItemState

NAME = "certificate"
MAX_NAMES = 100  # of one certificate, as authorities take them and [acme] does


def has_lasting_key(around: Surrounded) -> bool:
    """Whether the key of the certificate in use is one to be pinned in DNS: not one that is about to be replaced."""
    return source(around) is Source.OWN or (source(around) is Source.AUTHORITY and bool(_issued(around)))


def _issued(around: Surrounded) -> list[IssuedCertificate]:
    report = cast(RenewalReport, around.operate("certificate.list", {}))
    return [one for one in report["certificates"] if one["not_after"]]


def _look(around: Surrounded) -> Item:
    if source(around) is Source.OWN:
        return Item(NAME, ItemState.SKIPPED, "you look after your own certificate")
    if source(around) is Source.SELF_SIGNED:
        return Item(
            NAME,
            ItemState.SKIPPED,
            "nobody vouches for the certificate in use",
            'Answer acme = "yes", or name your own.',
        )
    found = _issued(around)
    if not found:
        return Item(NAME, ItemState.TO_DO, f"{authority_name(around)} is to be asked for one")
    lacking = _lacking(_page_names(around), found[0]["names"])
    if lacking:
        return Item(NAME, ItemState.TO_DO, f"it is not for {', '.join(lacking)} yet")
    return Item(NAME, ItemState.DONE, f"for {', '.join(found[0]['names'])}, until {found[0]['not_after']}")


def _page_names(around: Surrounded) -> list[str]:
    """Return the names of the domain that its records lead here, for pages are shown under them."""
    told = cast(ZoneRecords, around.operate("domain.records", {"name": around.domain}))
    led = {one["name"] for one in told["records"] if one["type"] in ("CNAME", "A", "AAAA")}
    return [name for name in web_hosts(around.domain) if name in led]


def _lacking(wanted: Iterable[str], names: Sequence[str]) -> list[str]:
    """Return which of some names a certificate for others is not for. (RFC 9525 6.3: a wildcard stands for one label.)"""
    return [one for one in wanted if one not in names and f"*.{one.partition('.')[2]}" not in names]


def _do(around: Surrounded) -> None:
    acme = configuration.present(around).acme
    if acme is not None and (lacking := _lacking(_page_names(around), acme.names)):
        _add_names(around, lacking, len(acme.names))
    try:
        around.operate("certificate.renew", {})
    except OperationFailed as failed:
        mend = "Mend that, and run setup again; the server tries again by itself, too:\nmailnode certificate list"
        raise SetupTrouble(failed.text, mend) from None


def _add_names(around: Surrounded, lacking: Sequence[str], there: int) -> None:
    """Have the server ask for names of this domain too. Not before DNS leads them here: without them it renews all the others."""
    told = f"the certificate is not for {', '.join(lacking)}, for which the server does not ask"
    if not around.progress.is_ours(around.places.config):
        written = ", ".join(f'"{name}"' for name in lacking)
        mend = f"names = [{written}]   # in [acme], beside those that are there; then start the server anew"
        raise SetupTrouble(told, mend, ItemState.TO_DO)
    if there + len(web_hosts(around.domain)) > MAX_NAMES:
        raise SetupTrouble(
            told, f"One certificate takes {MAX_NAMES} names. Get another for these: [[tls.name]].", ItemState.TO_DO
        )
    around.remember_pages()
    configuration.write_anew(around)
    service.serve(around)


ITEM = SetupItem(
    NAME,
    _look,
    _do,
    needs=("service", "web-server", "dns-visible"),
    explained="Mail programs trust a certificate that an authority vouches for, and MTA-STS needs one. The authority looks at DNS, "
    "which has to be right before.",
)
