"""A haproxy before the servers of a test."""

import contextlib
import socket

from servers import Process, program, wait_for

TCP = "defaults\n    mode tcp\n    timeout connect 60s\n    timeout client 120s\n    timeout server 120s\n"


def haproxy(folder, text, fronts):
    """Start haproxy, and wait until it takes connections on these ports."""
    path = folder / "haproxy.cfg"
    path.write_text("global\n    log stdout format raw local0\n    maxconn 200\n" + text)
    process = Process([program("haproxy"), "-db", "-f", str(path)], cwd=folder)
    for front in fronts:
        wait_for(lambda front=front: connects(front), "haproxy")
    return process


def connects(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False
