"""Signs what is handed out with a certificate of the server."""

from __future__ import annotations

from collections.abc import Sequence

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.hazmat.primitives.serialization.pkcs7 import PKCS7Options, PKCS7SignatureBuilder

from mailnode.net.tls import Pair, pair_for


def signed(content: bytes, pairs: Sequence[Pair], name: str) -> bytes:
    """Return the content within a signature (CMS SignedData, RFC 5652, in DER) by the certificate for a name, with its chain.

    It is returned as it is where there is no certificate, or its key is of a kind that is not used there. For a thread.
    """
    if not pairs:
        return content
    pair = pairs[pair_for(pairs, name)]
    if not isinstance(pair.key, RSAPrivateKey | EllipticCurvePrivateKey):
        return content
    builder = PKCS7SignatureBuilder().set_data(content).add_signer(pair.chain[0], pair.key, SHA256())
    for certificate in pair.chain[1:]:
        builder = builder.add_certificate(certificate)
    return builder.sign(Encoding.DER, [PKCS7Options.Binary])
