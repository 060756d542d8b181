"""One conversation with a milter: about one client's session, step by step as the policy is asked.

What an earlier stage left out (a policy before this one had accepted, or refused, and it was not asked) is said before what
is to be said now: a milter hears of the steps in their order, or not at all.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from dataclasses import dataclass, field, replace
from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from mailnode.interfaces.programs import FailedBefore, IProgramLink, IPrograms, ProgramFailed
from mailnode.interfaces.runtime import IClock
from mailnode.policy.milter_words import about_client, about_hello, about_mail, header_fields
from mailnode.policy.outside import Octets, Place, ProgramOptions, Seconds, limited, unasked
from mailnode.policy.wire import milter
from mailnode.policy.wire.fields import MAX_FIELDS, told
from mailnode.policy.wire.milter import Packet, Packets, Terms
from mailnode.policy.wire.unreadable import Unreadable
from mailnode.values.address import Address
from mailnode.values.policy import PASS, PolicyRequest, Verdict

MAX_PROGRESS = 1000  # times that it may say that it is still at work, for one reply
MAX_CHANGES = 1000  # that a milter may ask for at the end of one message
PIECE = 65_536

_REJECTED = Verdict("refuse", "5.7.1", "Refused by policy")
_DEFERRED = Verdict("defer", "4.7.1", "Try again later")
_DISCARDED = Verdict("quarantine", reason="discarded")  # nothing is taken and hidden
_SAID_AT_ONCE = {milter.REJECT: _REJECTED, milter.TEMPFAIL: _DEFERRED}
_GIVES_UP = (milter.SHUTDOWN, milter.CONNECTION_FAILED)
_OF_THE_CLIENT = (milter.CONNECT, milter.HELO)

Step: TypeAlias = Callable[[PolicyRequest], Awaitable[Verdict | None]]


class MilterOptions(ProgramOptions):
    """See each field."""

    endpoint: Place = Field(description="Where it listens: ``unix:/PATH`` or ``tcp:HOST:PORT``.")
    called: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,30}$")] = Field(
        "milter", description="What the log and ``X-Mailnode-Reason`` call it: there may be several."
    )
    timeout: Seconds = Field(8.0, description="For how long each of its replies is waited for.")
    largest: Octets = Field(50 * 1024 * 1024, description="It does not see the content of larger messages.")
    quarantine: Literal["junk", "hold"] = Field(
        "junk",
        description="What it wants in quarantine goes into the junk mailbox, or waits in the queue until an operator "
        "releases it.",
    )
    discard: Literal["junk", "refuse"] = Field(
        "junk",
        description="What it wants taken and thrown away goes into the junk mailbox, or is refused.",
    )
    not_done: list[Literal["fields", "recipients", "sender", "body"]] = Field(
        ["fields"],
        description="Changes that it may ask for and that are not made, for milters that insist on the right to: to the fields "
        "that are there, to recipients, to the sender, to the body.",
    )


@dataclass(slots=True)
class _Message:
    """What a milter was told of the message under way. ``over``: what it said of it; it hears no more of it."""

    begun: bool = False
    recipients: set[Address] = field(default_factory=set)
    data: bool = False
    over: Verdict | None = None


@dataclass(slots=True)
class _Wanted:
    """What a milter wants done with a message."""

    not_done: Collection[str]  # of what it may ask for
    fields: list[bytes] = field(default_factory=list)
    quarantine: bool = False
    reason: str = ""
    left: set[str] = field(default_factory=set)  # of what it did ask for

    def take(self, reply: Packet) -> bool:
        """Take a reply in; False: it is none of those."""
        left = milter.not_done(reply, self.not_done)
        if left:
            self.left.add(left)
            return True
        if reply.kind == milter.QUARANTINE:
            self.quarantine, self.reason = True, milter.quarantine_reason(reply)
        elif reply.kind in (milter.ADD_FIELD, milter.INSERT_FIELD):
            line = milter.added_field(reply)
            # All of them stand on top; an index counts among them.
            at = int.from_bytes(reply.data[:4], "big") if reply.kind == milter.INSERT_FIELD else len(self.fields)
            if line is not None and len(self.fields) < MAX_FIELDS:
                self.fields.insert(at, line)
        else:
            return False
        return True

    def told(self) -> str:
        """Return what the reader of the message is told of them."""
        left = f"changes not made: {', '.join(sorted(self.left))}" if self.left else ""
        return "; ".join(filter(None, (self.reason, left)))


class MilterSession:
    """See this module. After a failure what is left of the message is a failure too; the next one is begun with a new
    connection."""

    def __init__(self, programs: IPrograms, clock: IClock, options: MilterOptions, hostname: str) -> None:
        self._programs = programs
        self._clock = clock
        self._options = options
        self._place = options.endpoint
        self._hostname = hostname
        self._hold = options.quarantine == "hold"
        self._discarded = _DISCARDED if options.discard == "junk" else replace(_REJECTED, reason="discarded")
        self._offered = milter.actions(options.not_done)
        self._failed = False
        self._steps: dict[str, tuple[Step, ...]] = {
            "connect": (self._open,),
            "helo": (self._open, self._hello),
            "mail": (self._open, self._hello, self._mail),
            "rcpt": (self._open, self._hello, self._mail, self._recipient),
            "data": (self._open, self._hello, self._mail, self._data),
            "end": (self._open, self._hello, self._mail, self._recipients, self._data, self._content),
        }
        self._link: IProgramLink | None = None
        self._forget()

    def _forget(self) -> None:
        """A new conversation begins."""
        self._terms = Terms(milter.VERSION, 0)
        self._packets = Packets()
        self._helo = ""
        self._accepted = False  # it wants to hear no more of this client
        self._message = _Message()

    async def judge(self, request: PolicyRequest) -> Verdict:
        """Return what the milter says at a stage. :raises ProgramFailed: it cannot be asked, or what it says is no answer."""
        if request.stage in ("connect", "mail"):
            self._failed = False
        if self._failed:
            raise FailedBefore(f"{self._place}: it failed before")
        try:
            verdict = await self._judge(request)
        except Exception as error:
            self._failed = True
            self._drop()
            if isinstance(error, Unreadable):
                raise ProgramFailed(f"{self._place}: {error}") from None
            raise
        return PASS if verdict is _DISCARDED and request.stage != "end" else verdict

    async def end(self) -> None:
        """The client's session is over."""
        link, self._link = self._link, None
        if link is not None:
            try:
                await self._write(link, milter.octets(milter.QUIT))
            except ProgramFailed:
                link.abort()
            else:
                link.close()

    async def _judge(self, request: PolicyRequest) -> Verdict:
        if request.stage == "connect":
            await self.end()
            self._forget()
        if self._accepted:
            return PASS
        if request.stage == "end":
            left_out = unasked(self._options, request)
            if left_out is not None:
                said = self._message.over  # before its content, which it does not get
                await self._abort()
                return said if said is not None else left_out
        for step in self._steps[request.stage]:
            verdict = await step(request)
            if verdict is not None:
                return verdict
        return PASS

    def _drop(self) -> None:
        link, self._link = self._link, None
        if link is not None:
            link.abort()
        self._forget()

    # Steps: each returns a verdict when nothing more is to be said at this stage

    async def _open(self, request: PolicyRequest) -> Verdict | None:
        if self._link is not None and not self._link.ended:
            return None
        self._drop()
        seconds = self._options.timeout
        self._link = await limited(self._clock, seconds, self._programs.connect(self._place, seconds), self._place)
        await self._write(self._link, milter.offer(self._offered))
        self._terms = milter.agreed(await self._reply(), self._offered)
        values, packet = about_client(request, self._hostname)
        verdict = await self._tell(milter.CONNECT, packet, values)
        if verdict is not None and verdict is not PASS:
            await self.end()  # it is told anew of who tries again, and hears nothing more of this one
        return verdict

    async def _hello(self, request: PolicyRequest) -> Verdict | None:
        name = request.origin.helo
        if not name or (name == self._helo and request.stage != "helo"):
            return None
        await self._abort()
        verdict = await self._tell(milter.HELO, milter.packet(milter.HELO, told(name)), about_hello(request))
        self._helo = name if verdict is None or verdict is PASS else ""  # who tries again is named again
        return verdict

    async def _mail(self, request: PolicyRequest) -> Verdict | None:
        if request.stage != "mail" and self._message.begun:
            return self._message.over
        await self._abort()
        self._message.begun = True
        values, packet = about_mail(request)
        return await self._tell(milter.MAIL, packet, values)

    async def _recipient(self, request: PolicyRequest) -> Verdict | None:
        assert request.recipient is not None
        return await self._say_recipient(request.recipient.address)

    async def _recipients(self, request: PolicyRequest) -> Verdict | None:
        assert request.envelope is not None
        for recipient in request.envelope.recipients:
            if recipient.address not in self._message.recipients:
                # A refusal comes too late for the recipient: it is one of the message.
                verdict = await self._say_recipient(recipient.address)
                if verdict is not None:
                    return verdict
        return None

    async def _say_recipient(self, address: Address) -> Verdict | None:
        text = told(str(address))
        values = {"rcpt_addr": text, "rcpt_host": told(address.domain), "rcpt_mailer": b"local"}
        verdict = await self._tell(milter.RCPT, milter.packet(milter.RCPT, b"<" + text + b">"), values)
        if verdict is None:
            self._message.recipients.add(address)
        return verdict

    async def _data(self, request: PolicyRequest) -> Verdict | None:
        if self._message.data:
            return None
        verdict = await self._tell(milter.DATA, milter.octets(milter.DATA), {})
        self._message.data = verdict is None
        return verdict

    async def _content(self, request: PolicyRequest) -> Verdict | None:
        async for step, packet in self._content_packets(request):
            reply = await self._exchange(step, packet, self._identified(request, step))
            if reply is None:
                continue
            if reply.kind == milter.SKIP and step == milter.BODY:
                break
            verdict = self._outcome(step, reply)
            if verdict is not None:
                return verdict
        return await self._finish(request)

    def _identified(self, request: PolicyRequest, step: bytes) -> dict[str, bytes]:
        assert request.envelope is not None
        return {"i": told(request.envelope.id)} if step in (milter.END_OF_HEADER, milter.END) else {}

    async def _content_packets(self, request: PolicyRequest) -> AsyncIterator[tuple[bytes, bytes]]:
        """Yield what is said of header and body, with the step it belongs to."""
        for name, body in header_fields(request.header, self._terms.leading_space):
            yield milter.HEADER, milter.packet(milter.HEADER, name, body)
        yield milter.END_OF_HEADER, milter.octets(milter.END_OF_HEADER)
        assert request.read is not None
        at = len(request.header)
        while at < request.size and self._terms.wants(milter.BODY):
            data = await request.read(at, min(milter.CHUNK, request.size - at))
            if not data:
                raise ProgramFailed("the message is shorter than its size")
            at += len(data)
            yield milter.BODY, milter.octets(milter.BODY, data)

    async def _finish(self, request: PolicyRequest) -> Verdict | None:
        changes = _Wanted(self._options.not_done)
        reply = await self._exchange(milter.END, milter.octets(milter.END), self._identified(request, milter.END))
        for _ in range(MAX_CHANGES):
            assert reply is not None
            if not changes.take(reply):
                break
            reply = await self._reply()
        else:
            raise Unreadable(f"more than {MAX_CHANGES} changes")
        verdict = self._outcome(milter.END, reply)
        self._message = _Message()
        if verdict is not None and verdict is not PASS:
            return verdict
        return Verdict(
            "quarantine" if changes.quarantine and not self._hold else "pass",
            headers=tuple(changes.fields),
            hold=changes.quarantine and self._hold,
            reason=changes.told(),
        )

    # Words

    async def _abort(self) -> None:
        """End the message under way, if it was told of one."""
        if self._message.begun and self._link is not None:
            await self._write(self._link, milter.octets(milter.ABORT))
        self._message = _Message()

    async def _tell(self, step: bytes, packet: bytes, values: dict[str, bytes]) -> Verdict | None:
        """Say a step, and return what comes of it; None: it goes on."""
        reply = await self._exchange(step, packet, values)
        return None if reply is None else self._outcome(step, reply)

    async def _exchange(self, step: bytes, packet: bytes, values: dict[str, bytes]) -> Packet | None:
        """Say a step that is wanted, and return the reply, if there is one."""
        if not self._terms.wants(step):
            return None
        assert self._link is not None
        await self._write(self._link, milter.macros(step, values) + packet)
        return await self._reply() if self._terms.answers(step) else None

    async def _write(self, link: IProgramLink, data: bytes) -> None:
        """Send. :raises ProgramFailed: it does not take that, in time."""
        await limited(self._clock, self._options.timeout, link.write(data), self._place)

    async def _reply(self) -> Packet:
        """Return the next reply. Each has its time, and what says that the milter is still at work begins it anew."""
        for _ in range(MAX_PROGRESS):
            reply = await limited(self._clock, self._options.timeout, self._next_packet(), self._place)
            if reply.kind != milter.PROGRESS:
                return reply
        raise Unreadable("it is at work without end")

    async def _next_packet(self) -> Packet:
        while (packet := self._packets.next()) is None:
            assert self._link is not None
            data = await self._link.read(PIECE)
            if not data:
                raise ProgramFailed(f"{self._place}: the connection was ended before an answer")
            self._packets.receive(data)
        return packet

    def _outcome(self, step: bytes, reply: Packet) -> Verdict | None:
        """Return what a reply comes to, None: it goes on. :raises Unreadable: it fits no step."""
        kind = reply.kind
        if kind == milter.CONTINUE:
            return None
        if kind in (milter.ACCEPT, milter.DISCARD):
            if step in _OF_THE_CLIENT:
                self._accepted = True
                return PASS
            self._message.over = PASS if kind == milter.ACCEPT else self._discarded
            return self._message.over
        if kind in _GIVES_UP:
            self._drop()
            return _DEFERRED
        if kind == milter.REPLY:
            said = milter.refusal(reply.data)
            verdict = _REJECTED if said.code >= 500 else _DEFERRED
            verdict = replace(verdict, status=said.status or verdict.status, text=said.text or verdict.text)
        elif kind in _SAID_AT_ONCE:
            verdict = _SAID_AT_ONCE[kind]
        else:
            raise Unreadable(f"a reply that fits no step: {kind!r}")
        if step not in (milter.RCPT, *_OF_THE_CLIENT):
            self._message.over = verdict
        return verdict
