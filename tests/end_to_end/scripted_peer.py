"""Another mail server, as good or bad as a test wants it."""

import socket
import socketserver
import threading


class Scripted(socketserver.ThreadingTCPServer):
    """An SMTP server that answers each verb as a table says, and keeps what it was told.

    A reply is a text, or a function of the command line. ``taken``: (recipients, octets) of each message it answered for.
    """

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 50

    def __init__(self, address, port, replies):
        self.replies = {
            "": "220 scripted.test ESMTP",
            "EHLO": "250 scripted.test",
            "HELO": "250 scripted.test",
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
        super().__init__((address, port), _Conversation)
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def handle_error(self, request, client_address):
        """A client that is gone."""

    def stop(self):
        self.shutdown()
        self.server_close()


class _Conversation(socketserver.StreamRequestHandler):
    def handle(self):
        self.say("", "")
        recipients = []
        while line := self.rfile.readline():
            text = line.decode("utf-8", "replace").strip()
            verb = (text.split() or ["NOOP"])[0].upper()
            self.server.heard.append(text)
            reply = self.say(verb, text)
            if verb == "MAIL":
                recipients = []
            if verb == "RCPT" and reply.startswith("250"):
                recipients.append(text.split("<")[1].split(">")[0])
            if verb == "QUIT":
                return
            if verb == "DATA" and reply.startswith("354"):
                self.take(recipients)

    def take(self, recipients):
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
        self.wfile.write(reply.encode() + b"\r\n")
        return reply
