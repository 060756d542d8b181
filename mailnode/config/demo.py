"""The embedded default: everything on 127.0.0.1, on high ports, and nothing that leaves the machine."""

from __future__ import annotations

from pathlib import Path
from typing import TypedDict

from mailnode.config.loader import read
from mailnode.config.schema import Config
from mailnode.errors import ConfigurationError

DOMAIN = "mailnode.test"
ACCOUNTS = ("alice", "bob")
ADDRESS = "127.0.0.1"
MAX_PORT = 65535

LISTENERS = (
    ("smtp", 2525, "none"),
    ("submission", 2587, "starttls"),
    ("submission", 2465, "implicit"),
    ("imap", 2143, "starttls"),
    ("imap", 2993, "implicit"),
    ("pop3", 2110, "starttls"),
    ("pop3", 2995, "implicit"),
    ("managesieve", 2190, "starttls"),
    ("http", 2080, "none"),
)  # protocol, port, tls


def certificate_files(data: Path) -> tuple[Path, Path]:
    """Return where the demonstration keeps its certificate and key."""
    return data / "certificate.pem", data / "key.pem"


def demo_config(data: Path, port_offset: int = 0) -> Config:
    """Return the configuration used without ``--config``.

    :param data: the data directory, absolute. :param port_offset: added to every port.
    :raises ConfigurationError: there are no such ports.
    """
    most = MAX_PORT - max(port for _, port, _ in LISTENERS)
    if port_offset > most:
        raise ConfigurationError([f"--port-offset: {port_offset}: leads beyond the last port; at most {most}"])
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
                for protocol, port, tls in LISTENERS
            ],
            "tls": {"certificate": certificate, "key": key},
            "queue": {"outgoing": False},
            "domain": [{"name": DOMAIN}],
            # Nobody outside is asked anything for a demonstration.
            "doctor": {"daily": False, "mail_servers": [], "block_lists": [], "time_servers": []},
        },
        data,
    )


class DemoListener(TypedDict):
    """A listener of the demonstration."""

    protocol: str
    port: int
    tls: str


def demo_listeners(port_offset: int = 0) -> list[DemoListener]:
    """Return the listeners as ``mailnode demo --json`` shows them."""
    return [{"protocol": protocol, "port": port + port_offset, "tls": tls} for protocol, port, tls in LISTENERS]
