"""The control socket over a real UNIX socket: requests, bounds, and a path that is too long for a socket address."""

import contextlib
import json
import os
import socket
import stat
import tempfile
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from mailnode.admin.control_client import SOCKET, ask, short_path
from mailnode.admin.control_socket import MAX_FILES, MAX_REQUEST, ControlFactory, ControlPort
from mailnode.admin.operations import OpenFile, OperationFailed, Reason
from mailnode.config.demo import demo_config
from mailnode.server.administration import administration


def held(name):
    """Return how many descriptors of this process are of a file."""
    links = Path("/proc/self/fd").iterdir()
    return sum(one.is_symlink() and os.readlink(one) == name for one in links)


class ControlSocketTests(TestCase):
    """A factory on a real store, asked from threads."""

    timeout = 30

    async def serve(self, data):
        os.makedirs(data, mode=0o700, exist_ok=True)
        opened = administration(demo_config(data))
        admin = opened.__enter__()
        self.addCleanup(opened.__exit__, None, None, None)
        port = ControlPort(reactor, data, ControlFactory(admin))
        port.open()
        return port

    def folder(self):
        return Path(self.mktemp()).absolute()

    async def test_a_command_is_answered(self):
        data = self.folder()
        port = await self.serve(data)
        assert stat.S_IMODE((data / SOCKET).stat().st_mode) == 0o600
        domains = await deferToThread(ask, data, "domain.list", {})
        assert [domain["name"] for domain in domains] == ["mailnode.test"]
        with self.assertRaises(OperationFailed) as caught:
            await deferToThread(ask, data, "domain.remove", {"name": "nowhere.test"})
        assert caught.exception.reason is Reason.NOT_FOUND
        await port.close()
        assert not (data / SOCKET).exists()
        with self.assertRaises(FileNotFoundError):
            ask(data, "domain.list", {})

    async def test_a_long_path_is_reached_too(self):
        data = self.folder() / ("d" * 120)
        port = await self.serve(data)
        assert await deferToThread(ask, data, "ping", {}) == {"running": False}
        await port.close()
        assert not (data / SOCKET).exists()

    async def test_what_a_killed_server_left_does_not_stand_in_the_way(self):
        data = self.folder()
        os.makedirs(data)
        with socket.socket(socket.AF_UNIX) as left, short_path(data / SOCKET) as name:
            left.bind(name)
        with self.assertRaises(FileNotFoundError):
            ask(data, "ping", {})
        port = await self.serve(data)
        assert await deferToThread(ask, data, "ping", {})
        await port.close()

    async def test_junk_is_refused_and_disturbs_nobody(self):
        data = self.folder()
        port = await self.serve(data)

        def junk(octets, lines=1):
            with socket.socket(socket.AF_UNIX) as client, short_path(data / SOCKET) as name:
                client.settimeout(20)
                client.connect(name)
                try:
                    client.sendall(octets)
                    answers = client.makefile("rb")
                    return [answers.readline() for _ in range(lines)]
                except ConnectionError:
                    return [b""]

        for octets in (
            b"\n",
            b"{}\n",
            b"[1]\n",
            b"\xff\xfe\n",
            b'{"command": 1, "arguments": {}}\n',
            b'{"command": "domain.list", "arguments": []}\n',
            b"[" * 100_000 + b"\n",
        ):
            (answer,) = map(json.loads, await deferToThread(junk, octets))
            assert answer == {"code": 1, "error": "not a request"}, octets[:40]
        assert await deferToThread(junk, b"x" * (MAX_REQUEST + 1000)) == [b""]
        two = b'{"command": "ping", "arguments": {}}\n' * 2
        assert [b"result" in line for line in await deferToThread(junk, two, 2)] == [True, True]
        assert await deferToThread(ask, data, "ping", {})
        await port.close()

    async def test_files_are_handed_over_open_and_closed_again(self):
        data = self.folder()
        port = await self.serve(data)

        def judged(file, **more):
            about = {"peer": "127.0.0.1", "helo": "x", "sender": "", "recipients": []}
            return ask(data, "judge", {**about, "content": OpenFile(file.fileno()), **more})

        with tempfile.TemporaryFile() as letter:
            letter.write(b"From: a@b.test\n\nhello\n")
            letter.flush()
            name = os.readlink(f"/proc/self/fd/{letter.fileno()}")
            told = await deferToThread(judged, letter)
            assert told["outcome"] == "inbox"
            with self.assertRaises(OperationFailed) as caught:  # a number is no file, whatever the server has open
                await deferToThread(judged, letter, content=letter.fileno())
            assert caught.exception.text == "content: should be an open file"
            assert held(name) == 1
        reading, writing = map(os.fdopen, os.pipe(), ("rb", "wb"))
        with reading, writing, self.assertRaises(OperationFailed) as caught:
            await deferToThread(judged, reading)
        assert caught.exception.text == "the message: not a file"
        unread = data / "unread"
        unread.write_bytes(b"x")
        with unread.open("ab") as file, self.assertRaises(OperationFailed) as caught:
            await deferToThread(judged, file)
        assert caught.exception.text == "the message: Bad file descriptor"
        await port.close()

    async def test_files_that_nobody_named_or_too_many_are_closed(self):
        data = self.folder()
        port = await self.serve(data)
        letter = data / "letter"
        letter.touch()

        def hand_over(line, times, more=b""):
            with socket.socket(socket.AF_UNIX) as client, short_path(data / SOCKET) as name:
                client.settimeout(20)
                client.connect(name)
                with contextlib.suppress(OSError), letter.open("rb") as file:
                    for _ in range(times):
                        socket.send_fds(client, [line], [file.fileno()])
                    client.sendall(more)
                    return client.makefile("rb").readline()
            return b""

        ping = b'{"command": "ping", "arguments": {}}\n'
        assert b"not a request" in await deferToThread(hand_over, ping, 1)
        named = b'{"command": "ping", "arguments": {}, "files": ["content"]}\n'
        assert b"takes no content" in await deferToThread(hand_over, named, 1)
        assert b"not a request" in await deferToThread(hand_over, named[:10], 1, b"\n")
        assert await deferToThread(hand_over, b" ", MAX_FILES + 1, ping) == b""
        assert held(str(letter)) == 0
        await port.close()

    async def test_who_asks_believes_no_strange_answer(self):
        """Of a server of another version, or of what is no server of ours."""
        data = self.folder()
        os.makedirs(data)
        for octets, reason in (
            (b'{"code": 5, "error": "is in use"}\n', Reason.CONFLICT),
            (b'{"code": 99, "error": "of a later version"}\n', Reason.FAILED),
            (b'{"code": [1], "error": {}}\n', Reason.FAILED),
            (b"{}\n", Reason.FAILED),
            (b'["result"]\n', Reason.UNREACHABLE),
            (b'"result"\n', Reason.UNREACHABLE),
            (b"[" * 100_000 + b"\n", Reason.UNREACHABLE),
            (b"\xff\n", Reason.UNREACHABLE),
            (b"", Reason.UNREACHABLE),
        ):
            with socket.socket(socket.AF_UNIX) as server, short_path(data / SOCKET) as name:
                (data / SOCKET).unlink(missing_ok=True)
                server.bind(name)
                server.listen(1)
                asking = deferToThread(ask, data, "ping", {})
                answering = await deferToThread(lambda server=server: server.accept()[0])
                with answering:
                    await deferToThread(answering.recv, 1000)
                    answering.sendall(octets)
                    answering.shutdown(socket.SHUT_WR)
                    with self.assertRaises(OperationFailed) as caught:
                        await asking
                assert caught.exception.reason is reason, octets[:40]

    async def test_a_bug_is_one_answer(self):
        data = self.folder()
        port = await self.serve(data)
        self.patch(port._factory.admin.directory, "domains", None)
        with self.assertRaises(OperationFailed) as caught:
            await deferToThread(ask, data, "domain.list", {})
        assert caught.exception.text == "the command failed; see the log of the server"
        assert len(self.flushLoggedErrors(TypeError)) == 1
        await port.close()
