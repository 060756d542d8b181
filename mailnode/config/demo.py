"""The embedded default: everything on 127.0.0.1, on high ports, and nothing that leaves the machine."""

from __future__ import annotations

from pathlib import Path

from mailnode.config.loader import read
from mailnode.config.schema import Config

DOMAIN = "mailnode.test"
ACCOUNTS = ("alice", "bob")
ADDRESS = "127.0.0.1"

# (protocol in the configuration, name shown, port, tls)
DOORS = (
    ("smtp", "smtp", 2525, "none"),
    ("submission", "submission", 2587, "starttls"),
    ("submission", "submissions", 2465, "implicit"),
    ("imap", "imap", 2143, "starttls"),
    ("imap", "imaps", 2993, "implicit"),
    ("pop3", "pop3", 2110, "starttls"),
    ("pop3", "pop3s", 2995, "implicit"),
    ("http", "http", 2080, "none"),
)


def certificate_files(data: Path) -> tuple[Path, Path]:
    """Return where the demonstration keeps its certificate and key."""
    return data / "certificate.pem", data / "key.pem"


def demo_config(data: Path, port_offset: int = 0) -> Config:
    """Return the configuration used without ``--config``.

    :param data: the data directory, absolute. :param port_offset: added to every port.
    """
    certificate, key = certificate_files(data)
    return read(
        {
            "server": {"hostname": f"mail.{DOMAIN}", "data": data, "partitions": 1, "grace": 5.0},
            "listener": [
                {
                    "protocol": protocol,
                    "endpoint": f"tcp:{port + port_offset}:interface={ADDRESS}",
                    "tls": tls,
                }
                for protocol, _, port, tls in DOORS
            ],
            "tls": {"certificate": certificate, "key": key},
            "queue": {"outgoing": False},
            "domain": [{"name": DOMAIN}],
        },
        data,
    )


def demo_listeners(port_offset: int = 0) -> list[dict[str, object]]:
    """Return the listeners as ``mailnode demo --json`` shows them."""
    return [{"protocol": name, "port": port + port_offset, "tls": tls} for _, name, port, tls in DOORS]
