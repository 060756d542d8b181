"""An IMAP server that says what a test wants, in a thread: the source of imports, and what it may do wrong."""

import contextlib
import re
import socket
import threading

HEADER = b"BODY[HEADER.FIELDS (MESSAGE-ID)]"


class OldMessage:
    """A message of the server."""

    def __init__(self, uid, content, flags=("\\Seen",), date="12-Feb-2023 03:04:05 +0100", size=None):
        self.uid = uid
        self.content = content
        self.flags = flags
        self.date = date
        self.size = len(content) if size is None else size


class OldFolder:
    """A folder of the server."""

    def __init__(self, *messages, attributes="", uidvalidity=7):
        self.messages = list(messages)
        self.attributes = attributes
        self.uidvalidity = uidvalidity


class ScriptedImap:
    """Serves folders by their names on the wire. ``drop(command, times)`` has it close the connection at a command."""

    def __init__(self, folders, capabilities=b"IMAP4rev1 SPECIAL-USE LIST-EXTENDED", delimiter=b'"/"'):
        self.folders = folders
        self.capabilities = capabilities
        self.delimiter = delimiter
        self.commands = []  # what was asked
        self.says = {}  # by command: what is said in place of the answer, untagged data and all
        self.dropped = {}  # by command: how often it still closes there
        self.silent_about = set()  # UIDs of which no content comes, and the command is done
        self.uidnext = None  # what is said, if it is a lie
        self.untold = set()  # UIDs that are counted and not told of
        self.cut_content = {}  # by UID: after how many octets of it the connection is closed, how often
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def close(self):
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for thread in self._threads:
            thread.join(10)
            assert not thread.is_alive()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                client.settimeout(10)
                thread = threading.Thread(target=self._serve, args=(client,), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _serve(self, client):
        folder = None
        with client, client.makefile("rb") as lines, contextlib.suppress(OSError):
            if self._drops("GREETING"):
                return
            client.sendall(self.says.get("GREETING", b"* OK ready\r\n"))
            for line in lines:
                tag, verb, rest = (line.rstrip(b"\r\n").split(b" ", 2) + [b"", b""])[:3]
                if verb == b"UID":
                    verb, _, rest = rest.partition(b" ")
                while found := re.search(rb"\{([0-9]+)\}\Z", rest):
                    client.sendall(b"+ go on\r\n")
                    rest = rest[: found.start()] + b'"' + lines.read(int(found[1])) + b'"' + lines.readline().rstrip()
                name = verb.decode("latin-1").upper()
                if name == "FETCH" and b"BODY.PEEK[]" in rest:
                    name = "CONTENT"
                self.commands.append((name, rest))
                if self._drops(name):
                    return
                if name in self.says:
                    client.sendall(self.says[name].replace(b"TAG", tag))
                    continue
                if name == "EXAMINE":
                    folder = self.folders.get(rest.strip(b'"'))
                if not self._answer(client, lines, name, rest, folder):
                    return
                client.sendall(tag + b" OK done\r\n")

    def _drops(self, name):
        left = self.dropped.get(name, 0)
        self.dropped[name] = max(left - 1, 0)
        return left > 0

    def _answer(self, client, lines, name, rest, folder):
        if name == "CAPABILITY":
            client.sendall(b"* CAPABILITY " + self.capabilities + b"\r\n")
        elif name == "AUTHENTICATE":
            client.sendall(b"+ \r\n")
            lines.readline()
        elif name == "LIST":
            for written, one in self.folders.items():
                about = one.attributes.encode()
                client.sendall(b"* LIST (%s) %s {%d}\r\n%s\r\n" % (about, self.delimiter, len(written), written))
        elif name == "NAMESPACE":
            client.sendall(b'* NAMESPACE (("INBOX." ".")) (("Others." ".")) NIL\r\n')
        elif name == "EXAMINE":
            last = max((one.uid for one in folder.messages), default=0)
            client.sendall(
                b"* %d EXISTS\r\n* OK [UIDVALIDITY %d] it is\r\n* OK [UIDNEXT %d] it is\r\n"
                % (len(folder.messages), folder.uidvalidity, self.uidnext or last + 1)
            )
        elif name == "FETCH":
            for number, one in enumerate(folder.messages, 1):
                if self._is_meant(one, rest) and one.uid not in self.untold:
                    found = re.search(rb"(?im)^message-id:.*\r?\n", one.content)
                    header = (found[0] if found else b"") + b"\r\n"
                    client.sendall(
                        b'* %d FETCH (UID %d FLAGS (%s) INTERNALDATE "%s" RFC822.SIZE %d %s {%d}\r\n%s)\r\n'
                        % (number, one.uid, " ".join(one.flags).encode(), one.date.encode(), one.size, HEADER,
                           len(header), header)
                    )  # fmt: skip
        elif name == "CONTENT":
            for number, one in enumerate(folder.messages, 1):
                meant = self._is_meant(one, rest) and one.uid not in self.silent_about
                if meant and not self._send_content(client, number, one):
                    return False
        return True

    def _send_content(self, client, number, one):
        client.sendall(b"* %d FETCH (UID %d BODY[] {%d}\r\n" % (number, one.uid, len(one.content)))
        after, times = self.cut_content.get(one.uid, (0, 0))
        if times:
            self.cut_content[one.uid] = after, times - 1
            client.sendall(one.content[:after])
            return False
        client.sendall(one.content + b")\r\n")
        return True

    def _is_meant(self, one, rest):
        for some in rest.split(b" ")[0].split(b","):
            first, _, last = some.partition(b":")
            if int(first) <= one.uid <= int(last or first):
                return True
        return False
