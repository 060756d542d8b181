"""Whether a chain of certificates leads to an authority that this machine trusts. Blocks: the machine's authorities are a file."""

from __future__ import annotations

from collections.abc import Sequence

from cryptography import x509
from OpenSSL import SSL, crypto


def chain_trouble(chain: Sequence[x509.Certificate]) -> str:
    """Return why it does not, in OpenSSL's words; "" if it does. Whether it has expired is not looked at.

    :param chain: the leaf first.
    """
    context = SSL.Context(SSL.TLS_METHOD)
    context.set_default_verify_paths()
    store = context.get_cert_store()
    if store is None:
        return "this machine has no store of authorities"
    store.set_flags(crypto.X509StoreFlags.PARTIAL_CHAIN)
    between = [crypto.X509.from_cryptography(one) for one in chain[1:]]
    # Expiry is told by itself, with its date: at the first moment of the leaf everything above it is good, too.
    store.set_time(chain[0].not_valid_before_utc.replace(tzinfo=None))
    try:
        crypto.X509StoreContext(store, crypto.X509.from_cryptography(chain[0]), between).verify_certificate()
    except crypto.X509StoreContextError as error:
        return str(error)
    return ""
