"""Certificates that an authority issues while the server runs: where they are, and what is shown until there is one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING

from mailnode.acme.files import certificate_file
from mailnode.config.schema import Config
from mailnode.errors import ConfigurationError
from mailnode.interfaces.dns import IDnsLookup
from mailnode.interfaces.runtime import IClock
from mailnode.net.self_signed import make_self_signed
from mailnode.net.tls import CertificateStore, Pair
from mailnode.server.runtime import Runtime

if TYPE_CHECKING:
    from mailnode.server.issuing import Issuing

FOLDER = "acme"  # of the data directory


def acme_folder(config: Config) -> Path:
    """Return the directory of all that belongs to them."""
    return config.server.data / FOLDER


def issued_files(config: Config) -> list[Path]:
    """Return the files of certificates that are issued while the server runs, each with its key."""
    if config.acme is None:
        return []
    return [certificate_file(acme_folder(config), kind) for kind in dict.fromkeys(config.acme.keys)]


def stand_in(config: Config, clock: IClock) -> Callable[[], Pair]:
    """Return what makes the certificate that is shown until one has been issued."""

    def make() -> Pair:
        name = config.server.hostname
        certificate, key = make_self_signed([name], clock.seconds())
        return Pair((certificate,), key, (name,))

    return make


def issuing(
    config: Config,
    runtime: Runtime,
    dns: IDnsLookup,
    certificates: CertificateStore,
    told: Callable[[], Awaitable[object]],
) -> Issuing:
    """Make what renews them; see :class:`Issuing`. :raises ConfigurationError: a library is missing, or a secret."""
    try:
        from mailnode.server.issuing import Issuing
    except ImportError as error:
        raise ConfigurationError([f"acme: certificates from an authority need mailnode[acme]: {error}"]) from None
    return Issuing(config, runtime, dns, certificates, told)
