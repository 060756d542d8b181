"""Asks rspamd, over HTTP, what it makes of a message."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from zope.interface import implementer

from mailnode.interfaces.policy import IAsksProgram, IPluginContext, IPolicy
from mailnode.interfaces.programs import HttpPost, IPrograms, ProgramFailed
from mailnode.interfaces.runtime import IThreads
from mailnode.policy.outside import Asked, AskedOptions, Octets, Place, unasked
from mailnode.policy.wire import rspamd
from mailnode.policy.wire.fields import told, weightiest
from mailnode.values.envelope import CLIENT_NAME
from mailnode.values.policy import PolicyRequest, Verdict
from mailnode.values.program import ProgramEndpoint

PATH = "/checkv2"
SMALL = 16_384  # octets of an answer that is read at once; a larger one is read in a thread
MAX_RECIPIENTS = 100  # that it is told of: its own limit of fields is not far above


class RspamdOptions(AskedOptions):
    """See each field."""

    endpoint: Place = Field(
        ProgramEndpoint("127.0.0.1", 11333),
        description="Where rspamd's normal worker listens: ``tcp:HOST:PORT`` or ``unix:/PATH``.",
    )
    largest: Octets = Field(50 * 1024 * 1024, description="It is not asked about larger messages.")
    scale: float = Field(
        0.84,
        ge=0,
        le=100,
        description="What its score is multiplied by: for its action ``add header`` it has 6 as it comes, for junk here are 5.",
    )
    reject: Literal["refuse", "quarantine", "score"] = Field(
        "refuse", description="What becomes of mail that it would reject; ``score``: what the score says."
    )
    add_header: Literal["quarantine", "score"] = Field(
        "quarantine", description="The same for its actions ``add header`` and ``rewrite subject``."
    )
    greylist: Literal["defer", "score"] = Field("score", description="The same for its action ``greylist``.")
    headers: bool = Field(True, description="Whether fields that it wants to add stand on top of the message.")


OPTIONS = RspamdOptions


@implementer(IPolicy, IAsksProgram)
class RspamdPolicy:
    """See this module."""

    name = "rspamd"
    stages = frozenset(["end"])

    def __init__(self, options: RspamdOptions, context: IPluginContext) -> None:
        self.only_strangers = not options.users
        self.place = options.endpoint
        self._options = options
        self._hostname: str = context.hostname
        self._programs: IPrograms = context.programs
        self._threads: IThreads = context.threads
        self._rspamd = Asked(context.clock, options)

    async def judge(self, request: PolicyRequest) -> Verdict:
        """See :class:`IPolicy`."""
        left_out = unasked(self._options, request)
        if left_out is not None:
            return left_out
        return self._verdict(await self._rspamd.ask(lambda: self._check(request)))

    async def _check(self, request: PolicyRequest) -> rspamd.RspamdAnswer:
        options = self._options
        assert request.read is not None
        post = HttpPost(options.endpoint, PATH, about(request, self._hostname), request.size, request.read)
        said = await self._programs.post(post, options.timeout)
        if said.code != 200:
            raise ProgramFailed(f"{options.endpoint}: code {said.code} of HTTP")
        if len(said.content) <= SMALL:
            return rspamd.answer(said.content)
        answer: rspamd.RspamdAnswer = await self._threads.run("cpu", rspamd.answer, said.content)
        return answer

    def _verdict(self, answer: rspamd.RspamdAnswer) -> Verdict:
        options = self._options
        wanted = {
            "reject": options.reject,
            "add header": options.add_header,
            "rewrite subject": options.add_header,
            "quarantine": "quarantine",
            "discard": "quarantine",  # nothing is taken and hidden
            "greylist": options.greylist,
            "soft reject": "defer",
        }.get(answer.action, "score")
        reason = f"{answer.action}, {answer.score:.1f} of {answer.needed:.1f}{weightiest(answer.symbols)}"
        if wanted == "refuse":
            return Verdict("refuse", "5.7.1", answer.text or "Message looks like junk and was not taken", reason=reason)
        if wanted == "defer":
            return Verdict("defer", "4.7.1", answer.text or "Try again later", reason=reason)
        return Verdict(
            "quarantine" if wanted == "quarantine" else "pass",
            headers=answer.headers if options.headers else (),
            score=answer.score * options.scale,
            reason=reason,
        )


def about(request: PolicyRequest, hostname: str) -> tuple[tuple[str, bytes], ...]:
    """Return what rspamd is told of a message besides its content."""
    envelope, origin = request.envelope, request.origin
    assert envelope is not None
    version, _, cipher = origin.tls.partition(" ")
    words = [
        ("MTA-Name", hostname),
        ("Queue-Id", envelope.id),
        ("From", f"<{envelope.reverse_path or ''}>"),
        *(("Rcpt", f"<{recipient.address}>") for recipient in envelope.recipients[:MAX_RECIPIENTS]),
        ("IP", origin.peer),
        ("Hostname", envelope.tags.get(CLIENT_NAME, "")),
        ("Helo", origin.helo),
        ("User", origin.account),
        ("TLS-Version", version),
        ("TLS-Cipher", cipher),
    ]
    return tuple((name, told(value)) for name, value in words if value)


def make(options: RspamdOptions, context: IPluginContext) -> IPolicy:
    """Return the policy."""
    return RspamdPolicy(options, context)
