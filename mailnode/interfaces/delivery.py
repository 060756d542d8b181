"""From an accepted message to durable storage: the router and the one door every message passes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence

from zope.interface import Attribute, Interface

from mailnode.interfaces.store import IBlobWriter
from mailnode.values.address import Address
from mailnode.values.authentication import AuthenticationResult, BodyDigest, ChainVerdict
from mailnode.values.blob import StagedBlob
from mailnode.values.directory import Resolved
from mailnode.values.envelope import Envelope
from mailnode.values.facts import EncodedFacts
from mailnode.values.filtered import Filtered
from mailnode.values.plan import Judgement, RecipientPlan
from mailnode.values.reading import ReadMessage
from mailnode.values.refused import RefusedMail


class IRouter(Interface):
    """Where a recipient's mail goes."""

    async def resolve(recipient: Address, relay: bool, size: int = 0, null_sender: bool = False) -> Resolved:
        """Resolve one recipient. ``relay``: whether this client may send to foreign domains. ``null_sender``: whether the
        reverse-path is empty, as that of a bounce.

        :raises mailnode.errors.Refused: 5.1.1 unknown user, 5.7.1 relaying denied, 5.1.10 null MX is left to delivery.
        :raises mailnode.errors.OverQuota: the only account behind it cannot take ``size`` octets.
        """


class IForwarding(Interface):
    """Whose address mail bears that this server sends on."""

    async def rewritten(sender: Address, recipient: Address, forged: bool = False) -> Address:
        """Return the reverse-path for what goes to other servers because a recipient of ours leads there: an address in the
        recipient's domain, or the sender where that is of a domain of ours.

        :param forged: nobody vouches for the sender: a bounce to the address is refused, and goes on to nobody."""

    async def restored(recipient: Address, null_sender: bool) -> Address | None:
        """Return the sender whom an address stands for that was made here; None when it does not look like one.

        :param null_sender: whether the mail is a bounce. :raises mailnode.errors.Refused: it is none, or the address was
            not made here, or too long ago, or for a sender that nobody vouches for.
        """


class IJudge(Interface):
    """What verdicts come to for each recipient."""

    async def judge(
        envelope: Envelope,
        routes: Mapping[Address, Resolved],
        common: RecipientPlan,
        own: Mapping[Address, RecipientPlan],
        header: bytes = b"",
    ) -> Judgement:
        """Yield one plan a recipient.

        :param routes: where each recipient leads. :param common: what is wanted for everybody. :param own: what is wanted
            for single recipients besides. :param header: the message's, which tells where it has been.
        :raises mailnode.errors.StoreUnavailable:
        """


class ISignature(Interface):
    """The signature of one message on its way in."""

    def update(data: bytes) -> None:
        """Take the next octets of the body."""

    async def fields(envelope_id: str, header: bytes) -> bytes:
        """Return whole header fields for the top of every copy, once the body is whole; b"" when it could not be signed.

        :param header: the block as it is stored. :raises mailnode.errors.Busy:
        """


class ISigner(Interface):
    """Signs what leaves for the domain of its author."""

    async def begin(domains: Sequence[str]) -> ISignature | None:
        """Begin to sign a message. The first of the domains that has keys signs; None: none of them has, or nothing is to
        be signed. :raises mailnode.errors.StoreUnavailable:"""

    async def sign(domains: Sequence[str], envelope_id: str, header: bytes, body: bytes) -> bytes:
        """The same for a message that is in memory; its header fields, b"" without any. :raises mailnode.errors.Busy:
        :raises mailnode.errors.StoreUnavailable:"""


class IReadAhead(Interface):
    """One message that has come, to be read in another process."""

    reading = Attribute("values.reading.ReadMessage | None: what was read; None before, and where it could not be")

    async def read(keys: Mapping[str, Sequence[bytes] | None]) -> ReadMessage | None:
        """Read it, at the first call, and return :attr:`reading`. :param keys: records of the keys of its signatures, by name; None
        for one of which nobody can say just now."""


class IMessageReader(Interface):
    """Reads messages in another process, where many come at once."""

    largest: int = Attribute("Octets of a message that is.")

    def begin(content: bytes, header_size: int, accounts: Sequence[str]) -> IReadAhead | None:
        """A message has come; None: it is to be read as everybody likes. :param accounts: it is for."""


class ISignatureCheck(Interface):
    """Finds out whether the signatures on a message hold. Keys are looked up, within a few seconds."""

    async def hashed(
        header: bytes, size: int, read: Callable[[int, int], Awaitable[bytes]]
    ) -> Mapping[bytes, BodyDigest]:
        """Read a body and return its hashes in both forms. :param header, size, read: as :class:`ISealer` has them."""

    async def signatures(header: bytes, body: Mapping[bytes, BodyDigest]) -> tuple[AuthenticationResult, ...]:
        """Return a result for each signature of DKIM, the topmost few; "none" without any."""

    async def chain(header: bytes, body: Mapping[bytes, BodyDigest]) -> ChainVerdict:
        """Return what the chain of ARC comes to."""


class ISealer(Interface):
    """Seals what is sent on (ARC, RFC 8617)."""

    async def sealed(
        envelope: Envelope,
        judgement: Judgement,
        header: bytes,
        size: int,
        read: Callable[[int, int], Awaitable[bytes]],
        digests: Mapping[bytes, BodyDigest],
    ) -> Judgement:
        """Return a judgement with seals for those recipients whose mail goes to other servers. What cannot be sealed goes
        without one: nothing is raised.

        :param header: the block as it is stored. :param size: octets of the message, as :param read: has it by offset and
            length. :param digests: of the body as it is stored, where it was hashed as it came.
        """


class IBinaryMail(Interface):
    """Says in lines what came in binary (RFC 3030 3)."""

    async def in_lines(writer: IBlobWriter) -> IBlobWriter | None:
        """Return another writer with the same message in lines that end with CRLF; None: it cannot be said so. The one it is
        given stays as it is.

        :raises mailnode.errors.Busy: too much is to be done. :raises mailnode.errors.StoreUnavailable:"""


class IRejects(Interface):
    """Where accounts see what was refused to them."""

    def note(refused: RefusedMail) -> None:
        """Show a message to the accounts it was for, as far as there are such, later and if nothing is in the way. Never raises."""


class IDelivery(Interface):
    """The one door into mailboxes and queue."""

    def writer(size: int) -> IBlobWriter:
        """Where the content of a new message is written: at most ``size`` octets, as the client was told, and the header
        we add."""

    async def scan(blob: StagedBlob) -> EncodedFacts:
        """Compute the facts of a staged message: in pieces or a process when it is large."""

    async def stage(writer: IBlobWriter, reading: ReadMessage | None = None) -> tuple[StagedBlob, EncodedFacts]:
        """Finish what was written and compute its facts, at the same time where that is possible.

        :param reading: of what was written, if it was read ahead."""

    async def accept(envelope: Envelope, judgement: Judgement, blob: StagedBlob, facts: EncodedFacts | None) -> None:
        """Make the message durable for all recipients, all or none. When it returns, 250 may be said.

        :param facts: None will do when no copy is for a mailbox here: other servers' mail is never asked for them.
        :raises mailnode.errors.StoreUnavailable: nothing was kept.
        :raises mailnode.errors.OverQuota: the only copy is for a mailbox that became full meanwhile; nothing was kept.
        """

    async def accept_filtered(
        envelope: Envelope, filtered: Filtered, blob: StagedBlob | None, facts: EncodedFacts | None
    ) -> None:
        """Make a message durable, and what scripts send and remember because of it: all or none. When it returns, 250 may be said.

        :param blob: None where nobody gets the message as it came. :param facts: as for :meth:`accept`, unless scripts file the
            message. :raises mailnode.errors.StoreUnavailable: nothing was kept. :raises mailnode.errors.OverQuota: as above.
        """
