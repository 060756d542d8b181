"""The control socket: lines of JSON from whoever owns the data directory."""

from __future__ import annotations

import json
from typing import Any, cast

from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from mailnode.admin.administration import Administration
from mailnode.admin.control_socket import ControlFactory
from mailnode.admin.dispatch import OPERATIONS
from mailnode.errors import NoSuchAccount
from tests.fuzz.target import Target, each, pieces
from tests.fuzz.watched import watched


class Nothing:
    """Parts of a server of which none knows anything."""

    def __init__(self) -> None:
        self.clock = Clock()

    def __getattr__(self, name: str) -> Any:
        return _Part()


class _Part:
    def __call__(self, *_: object, **__: object) -> _Part:
        return self

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __iter__(self) -> Any:
        return iter(())

    def __await__(self) -> Any:
        raise NoSuchAccount("nobody")
        yield


def control(data: bytes) -> None:
    """Ask: every line is answered by one of JSON, or the connection is ended."""
    factory = ControlFactory(cast(Administration, Nothing()))
    protocol, transport = factory.buildProtocol(None), StringTransport()
    assert protocol is not None
    with watched():
        protocol.makeConnection(transport)
        for piece in pieces(data):
            if transport.disconnecting or transport.disconnected:
                break
            protocol.dataReceived(piece)
        protocol.connectionLost()
    for line in transport.value().splitlines():
        answer = json.loads(line)
        assert ("result" in answer) != ("error" in answer)


def _asking(name: str) -> bytes:
    values: dict[type, object] = {str: "a@x.test", int: 1, bool: True, list: ["x"]}
    arguments = {
        one.name: one.choices[0]
        if one.choices
        else values.get(cast(type, getattr(one.type, "__supertype__", one.type)))
        for one in OPERATIONS[name].parameters
        if one.required
    }
    return json.dumps({"command": name, "arguments": arguments}).encode() + b"\n"


TARGETS = (
    Target(
        "control",
        control,
        (*map(_asking, sorted(OPERATIONS)), b'{"command": "domain.list", "arguments": {}, "files": ["a"]}\n[]\n{}\n'),
        words=(
            *each(
                b'{\n}\n[\n]\n"\n:\n,\nnull\ntrue\n-1\n1e999\n\\ud800\n"command"\n"arguments"\n"files"\n"name"\n"address"'
            ),
            *(b'"%b"' % name.encode() for name in sorted(OPERATIONS)),
            b"\n",
            b"[" * 500,
        ),
    ),
)
