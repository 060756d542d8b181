"""Where a program beside the server listens."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ProgramEndpoint:
    """``host``: a name or an IP address, or the path of a Unix socket, then ``port`` is 0."""

    host: str
    port: int = 0

    def __str__(self) -> str:
        """Return it as the configuration has it."""
        if not self.port:
            return f"unix:{self.host}"
        return f"tcp:[{self.host}]:{self.port}" if ":" in self.host else f"tcp:{self.host}:{self.port}"


def program_endpoint(text: str) -> ProgramEndpoint:
    """Return what ``tcp:127.0.0.1:11333``, ``tcp:[::1]:11333`` or ``unix:/run/clamav/clamd.ctl`` names. :raises ValueError:"""
    kind, _, rest = text.partition(":")
    if kind == "unix" and rest.startswith("/") and "\0" not in rest:
        return ProgramEndpoint(rest)
    host, _, port = rest.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        host = ""
    if kind != "tcp" or not host or not (port.isascii() and port.isdigit() and 0 < int(port) < 65_536):
        raise ValueError(f"should be tcp:HOST:PORT or unix:/PATH, not {text!r}")
    return ProgramEndpoint(host, int(port))
