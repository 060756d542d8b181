"""What a milter is told at each step, as texts and macros."""

from __future__ import annotations

from collections.abc import Iterator

from mailnode.message.headers import scan_fields
from mailnode.policy.wire import milter
from mailnode.policy.wire.fields import told
from mailnode.values.policy import PolicyRequest

Macros = dict[str, bytes]


def about_client(request: PolicyRequest, hostname: str) -> tuple[Macros, bytes]:
    """Return the macros and the packet of who connects: by address, no name of it is known yet."""
    peer = request.origin.peer
    name = f"[{peer}]" if peer else "localhost"
    values = {"j": told(hostname), "_": told(name), "daemon_name": b"mailnode", "client_addr": told(peer)}
    return values, milter.client(told(name), peer)


def about_hello(request: PolicyRequest) -> Macros:
    """Return how the connection is encrypted."""
    version, _, cipher = request.origin.tls.partition(" ")
    return {"tls_version": told(version), "cipher": told(cipher)}


def about_mail(request: PolicyRequest) -> tuple[Macros, bytes]:
    """Return the macros and the packet of who sends."""
    sender = request.reverse_path
    address = told(str(sender)) if sender is not None else b""
    words = [b"<" + address + b">"]
    if request.stage == "mail" and request.size:
        words.append(b"SIZE=%d" % request.size)
    values = {
        "auth_authen": told(request.origin.account),
        "mail_addr": address,
        "mail_host": told(sender.domain) if sender is not None else b"",
        "mail_mailer": b"local" if request.origin.account else b"esmtp",
    }
    return values, milter.packet(milter.MAIL, *words)


def header_fields(block: bytes, leading_space: bool) -> Iterator[tuple[bytes, bytes]]:
    """Yield name and body of each field that the client sent: what this server has put on top ends with its Received.

    :param leading_space: a body begins with what stands behind the colon; else one space is taken off.
    """
    ours = True
    for _, name, value_start, end in scan_fields(block):
        if ours:
            ours = name.lower() != b"received"
            continue
        body = block[value_start:end].removesuffix(b"\r\n")
        if not leading_space:
            body = body.removeprefix(b" ")
        yield name, body.replace(b"\r\n", b"\n")
