"""What can be said of an endpoint string before anything listens."""

from __future__ import annotations

import ipaddress
import os
import re

from twisted.internet.endpoints import serverFromString

_TCP = re.compile(r"(?:tcp|tcp4|tcp6|ssl):(?:port=)?(?P<port>-?[0-9]{1,9})(?P<rest>(?::[a-zA-Z]+=(?:[^:\\]|\\.)*)*)\Z")
_INTERFACE = re.compile(r":interface=((?:[^:\\]|\\.)*)")


def check_endpoint(text: str) -> str:
    """Return what is wrong with a Twisted server endpoint string, or ""."""
    if text.startswith("haproxy:"):
        return check_endpoint(text.removeprefix("haproxy:"))
    if text.startswith("systemd:") and "LISTEN_FDS" not in os.environ:
        # Checked outside of systemd, where the sockets it would pass are not there.
        return "" if "domain=" in text and ("name=" in text or "index=" in text) else "systemd: needs domain and name"
    tcp = _TCP.match(text)
    if tcp and not 0 <= int(tcp["port"]) <= 65535:
        return "the port should be a number from 0 to 65535"
    try:
        serverFromString(_NoReactor(), text)  # type: ignore[no-untyped-call]
    except Exception as error:  # each endpoint type fails in its own ways
        return f"not a server endpoint ({type(error).__name__}: {error})"
    return ""


def overlapping(one: str, other: str) -> bool:
    """Whether two endpoint strings cannot both listen: the same string, or the same port on a common TCP interface."""
    one, other = one.removeprefix("haproxy:"), other.removeprefix("haproxy:")
    a, b = _TCP.match(one), _TCP.match(other)
    if not a or not b:
        return one == other
    if int(a["port"]) != int(b["port"]) or int(a["port"]) == 0:
        return False
    here, there = _interface(one, a), _interface(other, b)
    return here == there or "::" in (here, there) or ("0.0.0.0" in (here, there) and ":" not in here + there)


def reached_locally(text: str) -> bool:
    """Whether only programs of this machine can connect: to a Unix socket, or to TCP on a loopback address.

    What an endpoint of another kind listens on is not known here: not, then.
    """
    text = text.removeprefix("haproxy:")
    if text.startswith("unix:"):
        return True
    tcp = _TCP.match(text)
    named = _INTERFACE.findall(tcp["rest"]) if tcp else []
    try:
        return len(named) == 1 and ipaddress.ip_address(named[0].replace("\\", "")).is_loopback
    except ValueError:
        return False


def tcp_port(text: str) -> int:
    """Return the port of a TCP endpoint; 0 where another one, or none, is named."""
    tcp = _TCP.match(text.removeprefix("haproxy:"))
    return max(0, int(tcp["port"])) if tcp else 0


def tcp_interface(text: str) -> str:
    """Return the address a TCP endpoint listens on; "" where none is named."""
    tcp = _TCP.match(text.removeprefix("haproxy:"))
    named = _INTERFACE.findall(tcp["rest"]) if tcp else []
    return str(named[0]).replace("\\", "") if named else ""


def _interface(text: str, match: re.Match[str]) -> str:
    found = _INTERFACE.search(match["rest"])
    if found and found[1]:
        return found[1].replace("\\", "")
    return "::" if text.startswith("tcp6:") else "0.0.0.0"


class _NoReactor:
    """Stands where a reactor would: parsing an endpoint needs none."""
