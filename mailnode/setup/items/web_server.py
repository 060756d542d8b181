"""A web server that has ports 80 and 443 already: what it needs for the pages of mail and for proofs to an authority."""

from __future__ import annotations

import re
from pathlib import Path

from mailnode.setup.files import Owner, holds, make_directory, write
from mailnode.setup.items.certificate import Source, certificate_files, source
from mailnode.setup.items.system_user import serving_owner
from mailnode.setup.row import SetupItem, Surrounded
from mailnode.setup.web_snippets import SNIPPETS, WebPlaces
from mailnode.setup.words import HOST_NAME
from mailnode.values.item import Item, ItemState

NAME = "web-server"
PORTS = (80, 443)
OURS = ("mailnode", "twistd", "python")  # as the system calls the processes of this server
KNOWN = {"nginx": "nginx", "apache2": "apache", "httpd": "apache", "caddy": "caddy"}
PROOFS = "/.well-known/acme-challenge"
PROBE = "mailnode-setup"  # the file by which setup sees whether the web server shows the folder
SS_TIMEOUT = 10.0  # seconds

# LISTEN 0 511 0.0.0.0:80 0.0.0.0:* users:(("nginx",pid=1,fd=6))
_LISTENER = re.compile(r'^\S+\s+\d+\s+\d+\s+\S*?:(\d+)\s+\S+(?:\s+users:\(\("([^"]+)")?', re.MULTILINE)


def found_server(around: Surrounded) -> str | None:
    """Return the name of the program that has port 80 or 443, "" where it is not told; None: nobody, or this server, has them."""
    ran = around.machine.run(["ss", "-Hltnp"], SS_TIMEOUT)
    for port, name in _LISTENER.findall(ran.output):
        if int(port) in PORTS and not name.startswith(OURS):
            return str(name)
    return None


def _look(around: Surrounded) -> Item:
    name = found_server(around)
    if name is None:
        return Item(NAME, ItemState.SKIPPED, "no other server has the ports 80 and 443")
    snippets = _snippets(around, name)
    if not (_probe(around).exists() and all(holds(path, text) for path, text in snippets.items())):
        return Item(NAME, ItemState.TO_DO, f"what {name or 'the web server'} needs is to be written into a file")
    missing = _not_shown(around)
    if not missing:
        return Item(NAME, ItemState.DONE, f"{name or 'the web server'} shows what it should")
    mend = "Take this over into its configuration, reload it, and run setup again:\n" + "\n".join(map(str, snippets))
    return Item(
        NAME, ItemState.TO_DO, f"{name or 'a web server'} has ports 80 and 443, and does not show {missing} yet", mend
    )


def _not_shown(around: Surrounded) -> str:
    """Return what the web server should show and does not; "": it shows all."""
    machine = around.machine
    if machine.page_here(around.answers.of(HOST_NAME), f"{PROOFS}/{PROBE}", False).strip() != PROBE.encode():
        return str(around.places.webroot)
    if source(around) is Source.AUTHORITY and _is_certified(around):
        policy = machine.page_here(f"mta-sts.{around.domain}", "/.well-known/mta-sts.txt", True)
        return "" if policy.startswith(b"version: STSv1") else f"the policy of mta-sts.{around.domain} over https"
    return ""


def _is_certified(around: Surrounded) -> bool:
    return all(path.exists() for path in certificate_files(around))


def _snippets(around: Surrounded, name: str) -> dict[Path, str]:
    """Return what belongs into the configuration of the server that was found, or of each that is known."""
    certificate, key = certificate_files(around)
    domains = tuple(dict.fromkeys([*around.shown, around.domain]))
    places = WebPlaces(
        around.answers.of(HOST_NAME), domains, around.places.webroot, certificate, key, _is_certified(around)
    )
    kinds = [KNOWN[name]] if name in KNOWN else list(SNIPPETS)
    return {around.places.config.parent / "web" / f"{kind}.conf": SNIPPETS[kind](places) for kind in kinds}


def _probe(around: Surrounded) -> Path:
    return around.places.webroot / PROOFS.strip("/") / PROBE


def _do(around: Surrounded) -> None:
    owner = serving_owner(around)
    keeper = Owner(0 if around.is_root else owner.uid, owner.gid)
    make_directory(around.places.config.parent / "web", 0o755, keeper)
    for path in (around.places.webroot, around.places.webroot / ".well-known", _probe(around).parent):
        make_directory(path, 0o755, owner)
    write(_probe(around), f"{PROBE}\n".encode(), 0o644, owner)
    for path, text in _snippets(around, found_server(around) or "").items():
        if not holds(path, text):
            around.write(path, text, 0o644)


ITEM = SetupItem(
    NAME,
    _look,
    _do,
    needs=("name", "directories", "certificate-files"),
    explained="Mail programs and other servers fetch a few pages over HTTP, and an authority proves names by it. Where a "
    "web server runs already, it keeps its ports and leads these pages here.",
)
