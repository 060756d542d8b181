"""A program beside the server that says what a test wants, when it wants it; no sockets."""

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from zope.interface import implementer

from mailnode.interfaces.programs import IProgramLink, IPrograms, ProgramFailed
from mailnode.net.http_post import post_on
from mailnode.policy.outside import limited
from mailnode.values.address import parse_address
from mailnode.values.envelope import CLIENT_NAME, Envelope, Origin, Recipient
from mailnode.values.policy import PolicyRequest

MESSAGE = b"Received: from x by mx.us.test\r\nFrom: a@far.test\r\nSubject: hello\r\n\r\nbody\r\n"
ORIGIN = Origin("s1", "ESMTPS", "192.0.2.7", "far.test", "TLSv1.3 TLS_AES_256_GCM_SHA384")
SENDER, ALICE = parse_address("a@far.test"), parse_address("alice@us.test")


@implementer(IProgramLink)
class FakeLink:
    """``hears``: called with the link at each write, to answer."""

    def __init__(self, hears):
        self.hears = hears
        self.written = bytearray()
        self.ended = self.aborted = self.closed = False
        self.came = bytearray()
        self.reader = None
        self.stuck = None  # a Deferred: it takes nothing until then

    @property
    def answered(self):
        return self.ended or bool(self.came)

    async def write(self, data):
        if not self.ended:
            self.written += data
            self.hears(self)
        if self.stuck is not None:
            await self.stuck

    async def read(self, largest):
        if not self.answered:
            self.reader = Deferred()
            await self.reader
        taken = bytes(self.came[:largest])
        del self.came[:largest]
        return taken

    def say(self, data):
        if data:
            self.came += data
            self.wake()

    def end(self):
        self.ended = True
        self.wake()

    def wake(self):
        if self.reader is not None and not self.reader.called:
            self.reader.callback(None)

    def close(self):
        self.closed = True
        self.end()

    def abort(self):
        self.aborted = True
        self.end()


@implementer(IPrograms)
class FakePrograms:
    """``down``: nobody is there."""

    def __init__(self, hears=lambda link: None):
        self.hears = hears
        self.clock = Clock()
        self.links = []
        self.down = False

    async def connect(self, endpoint, seconds):
        if self.down:
            raise ProgramFailed(f"{endpoint}: connection refused")
        self.links.append(FakeLink(self.hears))
        return self.links[-1]

    async def post(self, request, seconds):
        link = await self.connect(request.endpoint, seconds)
        try:
            return await limited(self.clock, seconds, post_on(link, request), request.endpoint)
        finally:
            link.abort()


class HereThreads:
    async def run(self, pool, function, *arguments):
        return function(*arguments)


class FakeContext:
    def __init__(self, programs):
        self.clock = programs.clock
        self.programs = programs
        self.threads = HereThreads()
        self.hostname = "mx.us.test"


def at_end(message=MESSAGE, *recipients, origin=ORIGIN, sender=SENDER, **more):
    """Return what a policy is asked when a message has come."""
    addresses = recipients or (ALICE,)
    tags = {CLIENT_NAME: "host.far.test"}
    envelope = Envelope("e1", sender, tuple(Recipient(one) for one in addresses), origin, 0.0, tags=tags)

    async def read(offset, length):
        return message[offset : offset + length]

    header = message[: message.index(b"\r\n\r\n") + 4]
    return PolicyRequest("end", origin, sender, None, envelope, header, len(message), read=read, **more)


def judged(policy, request):
    """Return the Deferred of a verdict."""
    return Deferred.fromCoroutine(policy.judge(request))
