"""Another mail server, as good or bad as a test wants it."""

import contextlib
import socket
import socketserver
import threading
from pathlib import Path


class Scripted(socketserver.ThreadingTCPServer):
    """An SMTP server that answers each verb as a table says, and keeps what it was told.

    A reply is a text, or a function of the command line that returns one, or octets to say one after the other, for as long
    as somebody listens. ``taken``: (recipients, octets) of each message it answered for. ``poured``: octets that were said so.
    """

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 50

    def __init__(self, address, port, replies, *, tls=None, implicit=False, read=None):
        """:param tls: the context for STARTTLS, or from the first octet on. :param read: is given the file of the connection
        in place of the content being read; what it does not read is left there. Little fits into the buffer before it."""
        self.replies = {
            "": "220 scripted.test ESMTP",
            "EHLO": "250-scripted.test\r\n250 STARTTLS" if tls and not implicit else "250 scripted.test",
            "HELO": "250 scripted.test",
            "STARTTLS": "220 2.0.0 go on",
            "AUTH": "235 2.7.0 welcome",
            "MAIL": "250 2.1.0 ok",
            "RCPT": "250 2.1.5 ok",
            "DATA": "354 go on",
            ".": "250 2.0.0 taken",
            "RSET": "250 2.0.0 ok",
            "QUIT": "221 2.0.0 bye",
            **replies,
        }
        self.heard = []
        self.taken = []
        self.address_family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.poured = 0
        self.stopped = threading.Event()
        self.tls, self.implicit, self.read = tls, implicit, read
        super().__init__((address, port), _Conversation)
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def server_bind(self):
        if self.read is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        super().server_bind()

    def handle_error(self, request, client_address):
        """A client that is gone."""

    def every(self, seconds, piece):
        """Yield a piece again and again."""
        while not self.stopped.wait(seconds):
            yield piece

    def stop(self):
        self.stopped.set()
        self.shutdown()
        self.server_close()


class _Conversation(socketserver.StreamRequestHandler):
    def setup(self):
        super().setup()
        self.secure = False
        if self.server.implicit:
            self.start_tls()

    def start_tls(self):
        self.request = self.server.tls.wrap_socket(self.request, server_side=True)
        self.secure = True
        super().setup()

    def finish(self):
        with contextlib.suppress(OSError):
            super().finish()
        self.request.close()  # in TLS, not the socket that the server closes

    def handle(self):
        self.say("", "")
        recipients = []
        while line := self.rfile.readline():
            text = line.decode("utf-8", "replace").strip()
            verb = (text.split() or ["NOOP"])[0].upper()
            self.server.heard.append(text)
            reply = self.say(verb, text)
            if verb == "STARTTLS" and reply.startswith("220"):
                self.start_tls()
            if verb == "MAIL":
                recipients = []
            if verb == "RCPT" and reply.startswith("250"):
                recipients.append(text.split("<")[1].split(">")[0])
            if verb == "QUIT":
                return
            if verb == "DATA" and reply.startswith("354"):
                self.take(recipients)

    def take(self, recipients):
        if self.server.read is not None:
            self.server.read(self.rfile)
            return
        content = []
        while (line := self.rfile.readline()) != b".\r\n":
            if not line.endswith(b"\r\n"):
                return  # the client is gone in the middle
            content.append(line.removeprefix(b"."))
        self.server.taken.append((tuple(recipients), b"".join(content)))
        self.say(".", "")

    def say(self, verb, line):
        reply = self.server.replies.get(verb, "500 5.5.1 what")
        if callable(reply):
            reply = reply(line)
        if not isinstance(reply, str):
            for piece in reply:
                self.wfile.write(piece)
                self.server.poured += len(piece)
            return ""
        if verb == "EHLO" and self.secure:
            reply = reply.replace("250-scripted.test\r\n250 STARTTLS", "250 scripted.test")
        self.wfile.write(reply.encode() + b"\r\n")
        return reply


def most_memory(pid):
    """Return the most octets of memory that a process has had since its beginning, or since :func:`forget_most_memory`."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def forget_most_memory(pid):
    """Let :func:`most_memory` begin with what a process has now; return that."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")
    return most_memory(pid)
